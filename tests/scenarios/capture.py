"""What really went over the loopback: packets, as tshark saw them."""

import os
import socket
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.scenarios.polling import poll
from tests.scenarios.wire import Address

_FIELDS = ("ip.src", "ip.dst", "udp.srcport", "udp.dstport", "tcp.srcport", "tcp.dstport")
_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Packet:
    """One IPv4 packet: `udp` or `tcp`, from where to where."""

    kind: str
    source: Address
    target: Address


class Capture:
    """Captures from and to these ports of 127.0.0.1 during the `with` block, then has `packets`.

    Capturing takes root, or its rights.
    """

    def __init__(self, folder: Path, ports: Iterable[int]) -> None:
        self.packets: list[Packet] = []
        self._probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._probe.bind(("127.0.0.1", 0))
        self._mark: Address = self._probe.getsockname()
        self._path = folder / "capture.txt"
        self._errors = folder / "capture.log"
        wanted = " or ".join(f"port {port}" for port in (self._mark[1], *ports))
        command = [] if os.geteuid() == 0 else ["sudo", "-n"]
        command += ["tshark", "-n", "-l", "-i", "lo", "-f", wanted, "-T", "fields"]
        command += [word for field in _FIELDS for word in ("-e", field)]
        with self._path.open("wb") as out, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors
            )

    def __enter__(self) -> Self:
        try:
            self._wait_mark()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                # Packets come in order: what was sent before the mark has been seen with it.
                self._wait_mark()
                self.packets = [packet for packet in self._read() if not self._is_mark(packet)]
        finally:
            self._end()

    def _wait_mark(self) -> None:
        """Send to ourselves until the capture has seen one more of it."""
        before = self._marks()

        def seen() -> bool:
            self._probe.sendto(b"mark", self._mark)
            return self._marks() > before

        poll(seen, 30, why=lambda: self._errors.read_text())

    def _marks(self) -> int:
        return sum(self._is_mark(packet) for packet in self._read())

    def _is_mark(self, packet: Packet) -> bool:
        return packet.source == packet.target == self._mark

    def _read(self) -> list[Packet]:
        # The last line may not be complete.
        lines = self._path.read_text().split("\n")[:-1]
        return [_packet(line.split("\t")) for line in lines]

    def _end(self) -> None:
        self._probe.close()
        self._process.terminate()
        self._process.wait(_STOP_S)


def _packet(fields: list[str]) -> Packet:
    source, target, *ports = fields
    kind = "udp" if ports[0] else "tcp"
    first, second = (int(port) for port in ports if port)
    return Packet(kind, (source, first), (target, second))
