"""The video of a phone: an m-line of its own, and packets that no others are like."""

import select
import socket
import time

VP8 = 96
_ARRIVE_S = 5.0


class Camera:
    """A UDP socket on 127.0.0.1 that sends and takes video. Close it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._to = ("", 0)
        self._sent = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def added_to(self, sdp: str, port: int | None = None) -> str:
        """Put an m-line of video behind the others; port 0 refuses it."""
        shown = self.port if port is None else port
        return f"{sdp}m=video {shown} RTP/AVP {VP8}\r\na=rtpmap:{VP8} VP8/90000\r\n"

    def sees(self, sdp: str) -> None:
        """Take from an SDP where the video goes."""
        lines = sdp.splitlines()
        port = next(int(line.split()[1]) for line in lines if line.startswith("m=video"))
        self._to = ("127.0.0.1", port)

    def film(self, count: int = 10) -> list[bytes]:
        """Send packets; give their payloads."""
        payloads: list[bytes] = []
        for _ in range(count):
            payload = f"{self._name} {self._sent:06}".encode().ljust(100, b".")
            head = bytes([0x80, VP8]) + (self._sent & 0xFFFF).to_bytes(2, "big")
            head += (self._sent * 3000).to_bytes(4, "big") + self._name.encode().ljust(4)[:4]
            self._socket.sendto(head + payload, self._to)
            self._sent += 1
            payloads.append(payload)
        return payloads

    def shown(self, payload: bytes) -> bool:
        """Tell whether this payload arrives; what came before is dropped."""
        give_up = time.monotonic() + _ARRIVE_S
        while select.select([self._socket], [], [], max(0.0, give_up - time.monotonic()))[0]:
            if self._socket.recv(2048)[12:] == payload:
                return True
        return False


def film(one: Camera, two: Camera, count: int = 10) -> tuple[list[bytes], list[bytes]]:
    """Let both film, and each see the other; give what each has sent."""
    seen: tuple[list[bytes], list[bytes]] = ([], [])
    for _ in range(count):
        for sender, receiver, sent in ((one, two, seen[0]), (two, one, seen[1])):
            (payload,) = sender.film(1)
            assert receiver.shown(payload)
            sent.append(payload)
    return seen
