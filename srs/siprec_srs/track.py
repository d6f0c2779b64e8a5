"""One labelled m-line that we receive: two sockets, what guards them, what came."""

import asyncio
import contextlib
import secrets
import socket
import time
from dataclasses import dataclass, field

from siprec_srs.guard import Guard
from siprec_srs.rtcp import read_sender_reports, write_report
from siprec_srs.rtp import Arrival, Receiver
from siprec_srs.transport import Address
from siprec_srs.wav import WavWriter

_DATAGRAM_BYTES = 2048
_DRAIN_MAX = 10_000
_FIRST_REPORT_S = 1.0
_REPORT_S = 5.0
# What is on its way when something is agreed on may still come.
_GRACE_S = 0.5
# A packet that was sent before a BYE may come right after it, as the kernel queues them apart.
_OVERTAKEN_S = 0.02

SocketPair = tuple[socket.socket, socket.socket]


@dataclass(slots=True, kw_only=True)
class Track:
    """One labelled m-line that we receive. `guard` is None for plain RTP.

    directions: when (by the monotonic clock) each began to hold.
    is_awaited: whether an offer of ours that is not answered yet lets packets come.
    moving: sockets of an offer that is not answered yet. left: those before the last move.
    """

    label: str
    kind: str
    payload_type: int
    encoding: str
    port: int
    rtp: socket.socket
    rtcp: socket.socket
    rtcp_to: tuple[str, int]
    receiver: Receiver
    profile: str = ""
    wav: WavWriter | None = None
    guard: Guard | None = None
    queue: list[Arrival] = field(default_factory=list)
    ssrc: int = field(default_factory=lambda: secrets.randbits(32))
    reports: int = 0
    reported_at: float = 0.0
    before_answer: int = 0
    over_at: float | None = None
    after_bye: int = 0
    directions: list[tuple[float, str]] = field(default_factory=list)
    while_inactive: int = 0
    is_awaited: bool = False
    moving: SocketPair | None = None
    left: list[SocketPair] = field(default_factory=list)
    moved_at: float = 0.0
    at_old_port: int = 0

    def listen(self, pair: SocketPair) -> None:
        """Let the event loop read from a pair of sockets."""
        loop = asyncio.get_running_loop()
        loop.add_reader(pair[0], self.read, pair[0])
        loop.add_reader(pair[1], self.read_rtcp, pair[1])

    def read(self, through: socket.socket) -> None:
        """Take one datagram; called by the event loop, so it does as little as it can."""
        try:
            data, peer = through.recvfrom(_DATAGRAM_BYTES)
        except OSError:
            return
        if self.guard is None or not self.guard.handshake(data, peer[:2], is_rtcp=False):
            now = time.monotonic()
            self.queue.append((now, data))
            if self.left and through is not self.rtp and now > self.moved_at + _GRACE_S:
                self.at_old_port += 1

    def read_rtcp(self, through: socket.socket) -> None:
        """Take one RTCP packet: a sender report is what our next report answers."""
        try:
            data, peer = through.recvfrom(_DATAGRAM_BYTES)
        except OSError:
            return
        if self.guard is not None:
            if self.guard.handshake(data, peer[:2], is_rtcp=True):
                return
            data = self.guard.rtcp.open_rtcp(data) or b""
        for ssrc, middle in read_sender_reports(data).items():
            source = self.receiver.sources.get(ssrc)
            if source is not None:
                source.last_sr, source.last_sr_at = middle, time.monotonic()

    def drain(self) -> None:
        """Take all that the kernel has for us, and work through it."""
        for rtp, _ in self._pairs():
            for _ in range(_DRAIN_MAX if rtp.fileno() >= 0 else 0):
                before = len(self.queue)
                self.read(rtp)
                if before == len(self.queue):
                    break
        self.work()

    def _pairs(self) -> list[SocketPair]:
        return [(self.rtp, self.rtcp), *([self.moving] if self.moving else []), *self.left]

    def work(self, *, is_last: bool = False) -> None:
        """Work through the datagrams taken so far; they wait for keys unless `is_last`."""
        if self.guard is not None and not (self.guard.rtp.has_keys or is_last):
            return
        batch, self.queue[:] = self.queue[:], []
        self._count_unwanted(batch)
        if self.guard is not None:
            opened = ((arrival, self.guard.rtp.open(data)) for arrival, data in batch)
            batch = [(arrival, plain) for arrival, plain in opened if plain is not None]
        self.receiver.process(batch)

    def end(self) -> None:
        """Count from now on what comes although the session is over."""
        self.drain()
        if self.over_at is None:
            self.over_at = time.monotonic()

    def _count_unwanted(self, batch: list[Arrival]) -> None:
        since, direction = self.directions[-1] if self.directions else (0.0, "")
        if direction == "inactive" and not self.is_awaited:
            self.while_inactive += _count_later(batch, since + _GRACE_S)
        if self.over_at is not None:
            self.after_bye += _count_later(batch, self.over_at + _OVERTAKEN_S)

    def expect(self) -> None:
        """Be ready for packets: who has our offer may send before its answer is here."""
        self.drain()
        self.is_awaited = True

    def turn(self, direction: str) -> None:
        """Say what holds from now on: `recvonly`, `inactive` or `removed`."""
        if not self.directions or self.directions[-1][1] != direction:
            self.drain()
            self.directions.append((time.monotonic(), direction))
        self.is_awaited = False

    def move(self) -> None:
        """Go over to the sockets of an offer that was accepted; the old ones stay open."""
        if self.moving is not None:
            self.drain()
            self.left.append((self.rtp, self.rtcp))
            self.rtp, self.rtcp = self.moving
            self.port, self.moving = int(self.rtp.getsockname()[1]), None
            self.moved_at = time.monotonic()

    def stay(self) -> None:
        """Go on as before an offer that was not accepted, and close its sockets."""
        self.is_awaited = False
        if self.moving is not None:
            _close(self.moving)
            self.moving = None

    def take_guard(self, guard: Guard | None) -> None:
        """Secure the m-line another way than before; what came so far is opened the old way."""
        if self.guard is not guard:
            self.drain()
            if self.guard is not None:
                self.guard.close()
            self.guard = guard

    def report(self, now: float) -> None:
        """Send a receiver report when one is due (RFC 7866 §8.1.1, RFC 3550 §6.2)."""
        # An m-line that was ended has no socket any more.
        if not self.receiver.packets or self.rtcp.fileno() < 0:
            return
        due = self.reported_at + _REPORT_S
        if not self.reports:
            due = self.receiver.first_arrival + _FIRST_REPORT_S
        if now < due:
            return
        sources = list(self.receiver.sources.values())
        packet: bytes | None = write_report(self.ssrc, f"{self.label}@siprec-srs", sources, now)
        if self.guard is not None and packet is not None:
            packet = self.guard.rtcp.seal_rtcp(packet)
        if packet is None:
            return
        self.reports += 1
        self.reported_at = now
        try:
            self.rtcp.sendto(packet, self.rtcp_to)
        except OSError as error:
            self.receiver.note(f"cannot send RTCP for label {self.label}: {error}")

    def send_rtp(self, data: bytes, to: Address) -> None:
        """Send a datagram of a handshake; like any, it may get lost."""
        _send(self.rtp, data, to)

    def send_rtcp(self, data: bytes, to: Address) -> None:
        """Send a datagram of a handshake on the other socket."""
        _send(self.rtcp, data, to)

    def close(self) -> None:
        """Work through all that came and close the sockets; harmless the second time."""
        self.drain()
        self.work(is_last=True)
        if self.guard is not None:
            self.guard.close()
        for pair in self._pairs():
            _close(pair)


def _close(pair: SocketPair) -> None:
    for owned in pair:
        if owned.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(owned)
            owned.close()


def _send(through: socket.socket, data: bytes, to: Address) -> None:
    with contextlib.suppress(OSError):
        through.sendto(data, to)


def _count_later(batch: list[Arrival], than: float) -> int:
    """Count the datagrams that look like RTP and came later."""
    late = [data for arrival, data in batch if arrival > than]
    return sum(len(data) >= 12 and data[0] >> 6 == 2 for data in late)
