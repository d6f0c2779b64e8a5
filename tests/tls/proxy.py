"""The TLS proxy as a process of its own, on ports of a test's own."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.scenarios.polling import poll
from tests.scenarios.ports import PortBlock
from tests.scenarios.processes import descendants, is_bound
from tests.scenarios.wire import Address
from tests.tls.certificates import Identity

CONF = Path(__file__).parents[2] / "kamailio-tls.cfg"
_STOP_S = 3.0
# As /proc/net/tcp has them.
ESTABLISHED, CLOSE_WAIT = "01", "08"


class TlsProxy:
    """One Kamailio with kamailio-tls.cfg. Use it with `with`.

    `profiles` are sections of tls.cfg; `defines` what kamailio-tls.cfg reads beside the usual.
    `host` is the address of the outside.
    """

    def __init__(
        self,
        folder: Path,
        ports: PortBlock,
        identity: Identity,
        *,
        profiles: str = "",
        defines: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.inside: Address = ("127.0.0.1", ports.take())
        self.outside: Address = (host, ports.take())
        self._folder = folder
        self._log_path = folder / "kamailio.log"
        self._tls_cfg = folder / "tls.cfg"
        self._defines = {"OWN_NODES": "127.0.0.0/8", **(defines or {})}
        self._ours = (f"certificate = {identity.certificate}", f"private_key = {identity.key}")
        self.write(profiles)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def command(self) -> list[str]:
        """Give the command line, as docs/tls.md has it."""
        host, port = self.inside
        command = ["/usr/sbin/kamailio", "-DD", "-E", "-x", "fm", "-X", "fm"]
        command += ["-m", "256", "-M", "8", "-f", str(CONF), "-A", "LOG_LEVEL=2", "-n", "1"]
        outside = f"tls:{_shown(self.outside[0])}:{self.outside[1]}"
        source = "SOURCE_IPV6" if ":" in self.outside[0] else "SOURCE_IPV4"
        command += ["-A", f"{source}={self.outside[0]}"]
        strings = {"TLS_CONFIG": str(self._tls_cfg), **self._defines}
        for name, value in strings.items():
            command += ["-A", f'{name}="{value}"']
        command += ["-l", f"udp:{host}:{port}", "-l", outside]
        return [*command, "-Y", str(self._folder), "-P", str(self._folder / "kamailio.pid")]

    @property
    def pid(self) -> int:
        """Give the id of the main process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """Give what it has logged so far."""
        return self._log_path.read_text(errors="replace")

    def write(self, profiles: str) -> None:
        """Write tls.cfg with these profiles; a proxy that runs does not know them yet."""
        sections = (
            section("server:default", "no", *self._ours),
            section("client:default", "yes"),
            profiles,
        )
        self._tls_cfg.write_text("\n".join(sections))

    def start(self) -> None:
        """Start it and wait until it listens on both sides."""
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            poll(self._listens, why=lambda: f"the TLS proxy is not ready:\n{self.log}")
        except BaseException:
            self.stop()
            raise

    def is_running(self) -> bool:
        """Tell whether the main process lives."""
        return self._process is not None and self._process.poll() is None

    def notices_end_of(self, port: int) -> None:
        """Wait until it has closed its side of connections to or at a port, too."""
        poll(lambda: not any(port in ports for ports in _half_open()))

    def kill(self) -> None:
        """End it as a crash would; it can be started again on the same ports."""
        assert self._process is not None
        # Without their parent its children would go on.
        for pid in (*descendants(self.pid), self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(_STOP_S)

    def stop(self) -> None:
        """End it."""
        if not self.is_running():
            return
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            # A child that had only just begun misses the signal, and is waited for.
            self.kill()

    def _listens(self) -> bool:
        assert self.is_running(), f"the TLS proxy has ended:\n{self.log}"
        return is_bound(self.outside[1], "tcp") and is_bound(self.inside[1])


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _half_open() -> Iterator[tuple[int, int]]:
    """Give the ports of TCP connections that at least one side has not closed yet."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        if state in (ESTABLISHED, CLOSE_WAIT):
            yield int(local.rpartition(":")[2], 16), int(remote.rpartition(":")[2], 16)


def section(name: str, verify: str, *lines: str) -> str:
    """Write a section of tls.cfg; what it leaves out is not inherited from the defaults."""
    checks = (f"verify_certificate = {verify}", f"require_certificate = {verify}")
    return "\n".join((f"[{name}]", "method = TLSv1.2+", *checks, *lines, ""))


def profile(name: str, authority: Path, identity: Identity | None = None) -> str:
    """Write a client profile: whom to trust, and who we are."""
    # Both must be the same, and no host name: 5.6 finds a profile by either.
    lines = [f"server_name = {name}", f"server_id = {name}", f"ca_list = {authority}"]
    if identity is not None:
        lines += [f"certificate = {identity.certificate}", f"private_key = {identity.key}"]
    return section("client:any", "yes", *lines)
