"""RTP endpoints and a call between two of them, for tests against a real rtpengine."""

import select
import socket
import time
from typing import Any, ClassVar

from rtpengine_ng.client import ask
from rtpengine_ng.messages import Reply

PAYLOAD_BYTES = 160
_ARRIVE_S = 5.0
# A packet that rtpengine forwards is on loopback within a millisecond.
_SILENCE_S = 0.2


class RtpEndpoint:
    """A UDP socket on 127.0.0.1 that speaks RTP; PCMU, sequence numbers from 0.

    `wishes` is what rtpengine is told of it when it is called.
    """

    wishes: ClassVar[dict[str, str]] = {"transport-protocol": "RTP/AVP"}

    def __init__(self, name: str, ssrc: int = 0) -> None:
        self.name = name
        self.tag = f"tag-{name}"
        self._ssrc = ssrc
        self._sequence = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.peer: tuple[str, int] = ("127.0.0.1", 9)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    @property
    def socket(self) -> socket.socket:
        """Give the socket, for what is no RTP."""
        return self._socket

    def sdp(self) -> str:
        """Give an SDP with this endpoint's port: PCMU and telephone-event."""
        return "\r\n".join(
            [
                "v=0",
                "o=- 1 1 IN IP4 127.0.0.1",
                "s=-",
                "c=IN IP4 127.0.0.1",
                "t=0 0",
                f"m=audio {self.port} RTP/AVP 0 101",
                "a=rtpmap:101 telephone-event/8000",
                "",
            ]
        )

    def hears_of(self, sdp: str) -> None:
        """Take what the other side has offered or answered."""
        self.peer = ("127.0.0.1", media_ports(sdp)[0])

    def send(self, count: int, mark: str, payload_type: int = 0) -> list[bytes]:
        """Send packets to `peer`; give their payloads, each unlike any other of `mark`."""
        payloads: list[bytes] = []
        for _ in range(count):
            number = self._sequence
            payload = f"{self.name} {mark} {number:05} ".encode().ljust(PAYLOAD_BYTES, b"\x7f")
            header = bytes([0x80, payload_type]) + number.to_bytes(2, "big")
            header += (number * PAYLOAD_BYTES).to_bytes(4, "big") + self._ssrc.to_bytes(4, "big")
            self._socket.sendto(self._seal(header + payload), self.peer)
            self._sequence += 1
            payloads.append(payload)
        return payloads

    def receive(self, count: int) -> list[bytes]:
        """Wait for so many RTP packets; give their payloads by sequence number.

        rtpengine's threads may change the order within a burst.
        """
        give_up = time.monotonic() + _ARRIVE_S
        packets: list[bytes] = []
        while len(packets) < count:
            packet = self._next(max(0.0, give_up - time.monotonic()))
            if packet is None:
                raise AssertionError(f"{self.name} got {len(packets)} of {count} packets")
            packets.append(packet)
        packets.sort(key=lambda packet: packet[2:4])
        return [packet[12:] for packet in packets]

    def hears(self, payload: bytes) -> bool:
        """Tell whether this payload is there, or comes in time; what came before is dropped."""
        packet = self._next(_SILENCE_S)
        while packet is not None and packet[12:] != payload:
            packet = self._next(_SILENCE_S)
        return packet is not None

    def hears_nothing(self) -> bool:
        """Tell whether no packet is there, nor comes within a fifth of a second."""
        return self._next(_SILENCE_S) is None

    def _next(self, timeout_s: float) -> bytes | None:
        readable, _, _ = select.select([self._socket], [], [], timeout_s)
        return self._open(self._socket.recv(2048)) if readable else None

    def _seal(self, packet: bytes) -> bytes:
        return packet

    def _open(self, packet: bytes) -> bytes:
        return packet


def recorder_answer(*recorders: RtpEndpoint) -> str:
    """Give the SDP with which a recorder takes each m-line of a fork at one endpoint."""
    session = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]
    media = [f"m=audio {each.port} RTP/AVP 0\r\na=recvonly" for each in recorders]
    return "\r\n".join([*session, *media, ""])


def media_ports(sdp: str) -> list[int]:
    """Give the port of each m-line."""
    return [int(line.split()[1]) for line in sdp.splitlines() if line.startswith("m=")]


class AnsweredCall:
    """A call that rtpengine anchors: `caller` and `callee` can send to each other."""

    def __init__(
        self,
        ng: tuple[str, int],
        call_id: str,
        caller: RtpEndpoint | None = None,
        callee: RtpEndpoint | None = None,
    ) -> None:
        self.ng = ng
        self.call_id = call_id
        self.caller = caller or RtpEndpoint("caller", ssrc=0xA)
        self.callee = callee or RtpEndpoint("callee", ssrc=0xB)
        offer = self.ask(
            "offer", sdp=self.caller.sdp(), **{"from-tag": self.caller.tag, **self.callee.wishes}
        )
        self.callee.hears_of(str(offer["sdp"]))
        tags = {"from-tag": self.caller.tag, "to-tag": self.callee.tag}
        answer = self.ask("answer", sdp=self.callee.sdp(), **tags)
        self.caller.hears_of(str(answer["sdp"]))

    def close(self) -> None:
        """Close the endpoints' sockets."""
        self.caller.close()
        self.callee.close()

    def ask(self, command: str, **arguments: Any) -> Reply:
        """Send a raw NG command about this call."""
        return ask(self.ng, {"command": command, "call-id": self.call_id, **arguments})

    def talk(self, count: int, mark: str) -> tuple[list[bytes], list[bytes]]:
        """Send both ways and check that each hears the other; give what each has said."""
        said = self.caller.send(count, mark), self.callee.send(count, mark)
        assert self.callee.receive(count) == said[0]
        assert self.caller.receive(count) == said[1]
        return said
