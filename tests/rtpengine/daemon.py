"""A real rtpengine for tests: own ports on 127.0.0.1, our rtpengine.conf, log in a file."""

import contextlib
import socket
import subprocess
import time
from pathlib import Path

from rtpengine_ng.client import ask
from rtpengine_ng.errors import NgTimeout
from rtpengine_ng.messages import ping, statistics

CONF = Path(__file__).parents[2] / "rtpengine" / "rtpengine.conf"
_READY_S = 10.0
_STOP_S = 10.0
_PORTS_S = 2.0
# Below the ephemeral ports of Linux, so that no other socket comes into a range by chance.
_RANGES = range(20000, 32000, 400)


class Rtpengine:
    """One daemon. `start` returns when it answers; always `stop` it, or use it with `with`.

    It logs to `folder`/rtpengine.log. `ports` limits how many RTP ports it has; `user` is the
    numeric id it runs as, when not ours.
    """

    def __init__(self, folder: Path, *, ports: int = 398, user: int | None = None) -> None:
        self._user = user
        self.log_file = folder / "rtpengine.log"
        self.host = "127.0.0.1"
        self.ng = (self.host, free_udp_port())
        self._guard, self.port_min = _claim_range()
        self.port_max = self.port_min + ports - 1
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Rtpengine":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def command(self) -> list[str]:
        """Give the command line that `start` runs."""
        return [
            "/usr/bin/rtpengine",
            f"--config-file={CONF}",
            f"--interface={self.host}",
            f"--listen-ng={self.host}:{self.ng[1]}",
            f"--port-min={self.port_min}",
            f"--port-max={self.port_max}",
        ]

    @property
    def log(self) -> str:
        """Give what the daemon has logged so far."""
        return self.log_file.read_text(errors="replace")

    def start(self) -> None:
        """Start the daemon and wait until it answers a ping."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log, user=self._user)
        give_up = time.monotonic() + _READY_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up:
                self.stop()
                raise RuntimeError(f"rtpengine did not start: {self.log}")

    def kill(self) -> None:
        """End the daemon as a crash would; it can be started again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_STOP_S)
            self._process = None

    def stop(self) -> None:
        """End the daemon and give its port range back."""
        self._guard.close()
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def ports_used(self) -> int:
        """Count the RTP ports that are taken."""
        totals = ask(self.ng, statistics())["statistics"]
        assert isinstance(totals, dict)
        interfaces = totals["interfaces"]
        assert isinstance(interfaces, list)
        used = 0
        for interface in interfaces:
            assert isinstance(interface, dict)
            ports = interface["ports"]
            assert isinstance(ports, dict)
            assert isinstance(ports["used"], int)
            used += ports["used"]
        return used

    def ports_come_to(self, used: int) -> bool:
        """Tell whether so many RTP ports are taken, now or within two seconds.

        rtpengine may answer `delete` a moment before the ports are free.
        """
        give_up = time.monotonic() + _PORTS_S
        while self.ports_used() != used:
            if time.monotonic() > give_up:
                return False
        return True

    def _answers(self) -> bool:
        try:
            ask(self.ng, ping(), timeout_s=0.1)
        except NgTimeout:
            return False
        return True


def free_udp_port() -> int:
    """Find a UDP port of 127.0.0.1 on which nothing listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _claim_range() -> tuple[socket.socket, int]:
    """Claim a range of RTP ports among parallel tests: its last port stays bound by us."""
    for first in _RANGES:
        guard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):
            guard.bind(("127.0.0.1", first + 399))
            return guard, first
        guard.close()
    raise RuntimeError("no range of RTP ports is free")
