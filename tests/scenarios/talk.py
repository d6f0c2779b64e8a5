"""Two phones talk: a packet every 20 ms each way, counted at both ends."""

import select
import socket
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.scenarios.phone import Phone
from tests.scenarios.polling import poll

PACKET_S = 0.02
PCMA = 8
_PAYLOAD_BYTES = 160
_CALLER, _CALLEE = 0xA, 0xB


class Talk:
    """Speech in both directions as long as the `with` block lasts, in a thread.

    At the end of the block it waits for what is under way; then `lost` tells what is missing.
    """

    def __init__(self, caller: Phone, callee: Phone, *, payload_type: int = PCMA) -> None:
        self._ends = (_End(caller, _CALLER, payload_type), _End(callee, _CALLEE, payload_type))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="talk")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def go_on(self, packets: int = 15) -> None:
        """Wait until each side has heard so many packets more."""
        caller, callee = self._ends
        until = len(caller.heard) + packets, len(callee.heard) + packets
        poll(
            lambda: len(caller.heard) >= until[0] and len(callee.heard) >= until[1],
            why=lambda: f"no media: {self.heard}",
        )

    @property
    def heard(self) -> tuple[int, int]:
        """Give how many different packets the caller and the callee have heard."""
        caller, callee = self._ends
        return len(caller.heard), len(callee.heard)

    @property
    def sent(self) -> tuple[int, int]:
        """Give the numbers of the packets that caller and callee send next."""
        caller, callee = self._ends
        return caller.sent, callee.sent

    @property
    def lost(self) -> tuple[list[int], list[int]]:
        """List the packets that the caller, and the callee, did not hear; after the block."""
        caller, callee = self._ends
        return (
            sorted(set(range(callee.sent)) - caller.heard),
            sorted(set(range(caller.sent)) - callee.heard),
        )

    def missing(self, tracks: Sequence[bytes]) -> tuple[int, int]:
        """Count the packets missing at the beginning of recordings of caller and callee.

        Anything else must be as it was sent, byte by byte, to the end. Call it after the block.
        """
        first = [_number(raw) for raw in tracks]
        for end, raw, begin in zip(self._ends, tracks, first, strict=True):
            assert raw == b"".join(end.payload(number) for number in range(begin, end.sent))
        return first[0], first[1]

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            for end in self._ends:
                end.speak()
            due += PACKET_S
            self._listen(due)
        self._listen(time.monotonic() + 0.2)

    def _listen(self, until: float) -> None:
        sockets = {end.socket: end for end in self._ends}
        while (left_s := until - time.monotonic()) > 0:
            for ready in select.select(list(sockets), [], [], left_s)[0]:
                sockets[ready].listen()


def numbers_in(raw: bytes) -> list[int]:
    """Give the numbers of the packets that a recording has."""
    return [_number(raw[at:]) for at in range(0, len(raw), _PAYLOAD_BYTES)]


def talk(caller: Phone, callee: Phone, *, payload_type: int = PCMA) -> None:
    """Talk for a moment; every packet arrives."""
    with Talk(caller, callee, payload_type=payload_type) as talking:
        talking.go_on()
    assert talking.lost == ([], [])


class _End:
    def __init__(self, phone: Phone, ssrc: int, payload_type: int) -> None:
        self._payload_type = payload_type
        self.socket: socket.socket = phone.rtp
        self.sent = 0
        self.heard: set[int] = set()
        self._phone = phone
        self._ssrc = ssrc

    def speak(self) -> None:
        """Send the next packet to where the last SDP said."""
        header = bytes([0x80, self._payload_type]) + self.sent.to_bytes(2, "big")
        header += (self.sent * _PAYLOAD_BYTES).to_bytes(4, "big") + self._ssrc.to_bytes(4, "big")
        self.socket.sendto(header + self.payload(self.sent), self._phone.remote_media)
        self.sent += 1

    def payload(self, number: int) -> bytes:
        """Give the payload of a packet."""
        return number.to_bytes(4, "big") + bytes([self._ssrc]) * (_PAYLOAD_BYTES - 4)

    def listen(self) -> None:
        """Note a packet of the other side; RTCP and strangers do not count."""
        data = self.socket.recv(2048)
        if len(data) == 12 + _PAYLOAD_BYTES and data[-1] not in (0, self._ssrc):
            self.heard.add(_number(data[12:]))


def _number(payload: bytes) -> int:
    return int.from_bytes(payload[:4], "big")
