"""A real Kamailio in the SRC role that sends probes for a test."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from siprec.record import to_json
from siprec.settings import EdgeSettings, RedisSettings, Runtime, Settings, SrcSettings, TlsProxy
from tests.scenarios.polling import poll
from tests.scenarios.ports import PortBlock
from tests.scenarios.processes import is_bound

ROOT = Path(__file__).parents[2]
WITHIN_S = 15.0


class ProbeNode:
    """Asks what it is told to. Use it with `with`.

    `tls` is `HOST:PORT` of a TLS proxy's outside and inside; the profiles that it knows stand in
    the file `loaded`. There is an edge `other`, with TCP only, on 127.0.0.2.
    """

    def __init__(
        self,
        folder: Path,
        ports: PortBlock,
        *,
        src_inside: str = "",
        tls: tuple[str, str] | None = None,
        nameserver: str = "",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.loaded = folder / "loaded"
        self.port, self._commands = ports.take(), ports.take()
        self._folder = folder
        self._log_path = folder / "kamailio.log"
        listen = tuple(f"{transport}:127.0.0.1:{self.port}" for transport in ("udp", "tcp"))
        self.edge_port = ports.take()
        edge = EdgeSettings(name="other", listen=(f"tcp:127.0.0.2:{self.edge_port}",))
        proxies: tuple[TlsProxy, ...] = ()
        if tls is not None:
            outside, inside = tls
            proxies = (TlsProxy(edge=None, listen=f"tls:{outside}", shown=outside, inside=inside),)
        runtime = Runtime(
            settings=Settings(
                src=SrcSettings(listen=listen),
                edges=(edge,),
                redis=RedisSettings(url="unix:///nowhere"),
            ),
            node="n",
            route_key="",
            tls_proxies=proxies,
            src_inside=src_inside,
            tls_loaded=str(self.loaded) if proxies else "",
        )
        (folder / "runtime.json").write_text(to_json(runtime))
        self._listen = [*listen, *edge.listen, *([f"udp:{src_inside}"] if src_inside else [])]
        self._nameserver, self._count = nameserver, 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(WITHIN_S)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    @property
    def log(self) -> str:
        """Give what it has logged so far."""
        return self._log_path.read_text(errors="replace")

    def begin(self, do: str, **arguments: str) -> int:
        """Tell it something; give a number for `answer`."""
        self._count += 1
        command = {"id": self._count, "do": do, **arguments}
        self._socket.sendto(json.dumps(command).encode(), ("127.0.0.1", self._commands))
        return self._count

    def answer(self, number: int) -> dict[str, Any]:
        """Wait for an answer."""
        while number not in self._answers:
            try:
                answer = json.loads(self._socket.recv(65535))
            except TimeoutError:
                raise AssertionError(f"no answer:\n{self.log}") from None
            self._answers[answer["id"]] = answer
        return self._answers.pop(number)

    def ask(self, do: str, **arguments: str) -> dict[str, Any]:
        """Tell it something, and wait for the answer."""
        return self.answer(self.begin(do, **arguments))

    def _start(self) -> None:
        command = ["/usr/sbin/kamailio", "-DD", "-E", "-x", "fm", "-X", "fm", "-m", "64", "-M", "8"]
        command += ["-f", str(ROOT / "kamailio.cfg"), "-n", "1", "-A", "ROLE_SRC"]
        command += ["-A", "LOG_LEVEL=0", "-A", "TCP_WORKERS=1"]
        command += ["-A", f'KEMI_SCRIPT="{Path(__file__).with_name("probing.py")}"']
        command += ["-A", 'CONTROLLER_TIMER="name=controller;interval=1;mode=1;"']
        for listen in self._listen:
            command += ["-l", listen]
        command += ["-Y", str(self._folder), "-P", str(self._folder / "kamailio.pid")]
        environment = dict(os.environ)
        for name in ("PYTHONPATH", "PYTHONHOME"):
            environment.pop(name, None)
        environment |= {
            "PATH": f"{ROOT / '.venv/bin'}:{os.environ.get('PATH', os.defpath)}",
            "SIPREC_RUNTIME": str(self._folder / "runtime.json"),
            "SIPREC_BOOT": "boot",
            "SIPREC_NAMESERVER": self._nameserver,
            "PROBING_PORT": str(self._commands),
        }
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        poll(self._is_ready, why=lambda: f"the node is not ready:\n{self.log}")

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        return is_bound(self._commands) and is_bound(self.port, "tcp")

    def _stop(self) -> None:
        self._socket.close()
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
