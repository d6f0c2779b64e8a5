"""A Kamailio as an operator has it, with what docs/plug-in.md adds."""

import os
import re
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from siprec_control.layout import find_layout
from siprec_control.ready import sip_status
from siprec_control.tls_proxies import KAMAILIO
from siprec_control.values import parse_listen
from tests.scenarios.polling import poll
from tests.scenarios.processes import descendants, is_alive

STOCK = Path("/etc/kamailio/kamailio.cfg")
HOME = find_layout().home
GUIDE = HOME / "docs" / "plug-in.md"

INCLUDE = HOME / "deploy" / "siprec.cfg"
# What the guide names, and a test has elsewhere.
GUIDE_HOME = "/opt/kamailio-siprec"
GUIDE_GATEWAY = "sip:192.0.2.10:5060"
OFFERED = "\t\troute(SIPREC_OFFERED);\n"
STOCK_NG = "127.0.0.1:2223"

_STOP_S = 15.0


def blocks(kind: str) -> list[str]:
    """Give the fenced blocks of the guide that are marked with `kind`, in their order."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)


class OperatorsProxy:
    """The operator's Kamailio, with `kamailio.cfg` in `folder`, at `port`. Use it with `with`.

    `runtime` is the file that `siprec run` writes, once it has started.
    """

    def __init__(self, folder: Path, *, port: int, runtime: Path) -> None:
        config = str(folder / "kamailio.cfg")
        environment = {
            **os.environ,
            "PATH": f"{find_layout().venv / 'bin'}:{os.environ['PATH']}",
            "SIPREC_RUNTIME": str(runtime),
        }
        check = subprocess.run(
            [KAMAILIO, "-c", "-f", config],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert check.returncode == 0, check.stderr
        run = folder / "run"
        run.mkdir()
        command = [KAMAILIO, "-DD", "-E", "-f", config, "-Y", str(run)]
        command += ["-P", str(run / "kamailio.pid"), "-l", f"udp:127.0.0.1:{port}"]
        self._listen = parse_listen(f"udp:127.0.0.1:{port}")
        self._log_path = folder / "kamailio.log"
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        try:
            poll(self._is_up, why=lambda: self.log)
        except BaseException:
            self.end()
            raise

    def _is_up(self) -> bool:
        assert self._process.poll() is None, self.log
        try:
            return sip_status(self._listen).startswith("SIP/2.0 ")
        except OSError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def log(self) -> str:
        """Give all that it has written."""
        return self._log_path.read_text(errors="replace")

    def errors(self) -> list[str]:
        """List the lines of errors in its log."""
        return [line for line in self.log.splitlines() if "ERROR:" in line or "CRITICAL:" in line]

    def end(self) -> None:
        """End it, and what it has started. May be called again."""
        if self._process.poll() is not None:
            return
        below = descendants(self._process.pid)
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_S)
        for pid in filter(is_alive, below):
            os.kill(pid, signal.SIGKILL)


def write_stock(folder: Path, ng: str, *, choices: bool = False) -> None:
    """Write Debian's configuration with the changes of the guide; of its own are the ports.

    `ng` (`host:port`) is the rtpengine's. With `choices` the routing also chooses calls, and
    refuses those that must be recorded, as the guide shows.
    """
    folder.mkdir(parents=True)
    (folder / "siprec.cfg").write_bytes(INCLUDE.read_bytes())
    config = folder / "kamailio.cfg"
    config.write_bytes(STOCK.read_bytes())
    (difference,) = blocks("diff")
    patch = ["patch", "-p0", "--fuzz=0"]
    done = subprocess.run(
        patch, input=difference, cwd=folder, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout
    text = config.read_text()
    assert STOCK_NG in text
    if choices:
        assert OFFERED in text
        shown = [block for block in blocks("kamailio") if "siprec_connector" in block]
        shown += [block for block in blocks("kamailio") if "send_reply" in block]
        text = text.replace(OFFERED, "".join(shown))
    config.write_text(text.replace(STOCK_NG, ng))
    (folder / "kamailio-local.cfg").write_text(at_home(blocks("kamailio")[0]))


def write_kemi(folder: Path, ng: str, *, gateway: str) -> None:
    """Write a configuration in Python: the script of the guide, and what it asks of the rest."""
    folder.mkdir(parents=True)
    (script,) = blocks("python")
    assert GUIDE_GATEWAY in script
    (folder / "proxy.py").write_text(script.replace(GUIDE_GATEWAY, gateway))
    lines = INCLUDE.read_text().splitlines()
    ours = [
        line
        for line in lines
        if line.startswith(("loadmodule", "modparam"))
        and "SIPREC_SCRIPT" not in line
        and "route=SIPREC_OUTBOX" not in line
    ]
    timer = next(block for block in blocks("kamailio") if "route=siprec_outbox" in block)
    modules = [
        "jsonrpcs",
        "kex",
        "corex",
        "tm",
        "tmx",
        "sl",
        "rr",
        "pv",
        "maxfwd",
        "textops",
        "siputils",
        "rtpengine",
    ]
    config = [
        "#!KAMAILIO",
        "log_stderror=yes",
        'kemi.onsend_route_callback="none"',
        'kemi.reply_route_callback="none"',
        *(f'loadmodule "{name}.so"' for name in modules),
        *ours,
        timer,
        f'modparam("rtpengine", "rtpengine_sock", "udp:{ng}")',
        f'modparam("app_python3", "load", "{folder / "proxy.py"}")',
        'cfgengine "python"',
        "",
    ]
    (folder / "kamailio.cfg").write_text("\n".join(config))


def at_home(text: str) -> str:
    """Let a text of the guide name the project's own folder."""
    assert GUIDE_HOME in text
    return text.replace(GUIDE_HOME, str(HOME))
