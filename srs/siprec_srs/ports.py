"""Pairs of UDP sockets for RTP and RTCP."""

import contextlib
import random
import socket

from siprec_srs.errors import SrsError

# Below the ephemeral range, so that ports others chose as free stay free.
FIRST_PORT = 10_000
LAST_PORT = 29_998
_RECEIVE_BUFFER_BYTES = 262_144


class PortPairs:
    """Hand out an even port and the odd one above it; the kernel says which are free."""

    def __init__(self, first: int = FIRST_PORT, last: int = LAST_PORT) -> None:
        self._first = first
        self._count = (last - first) // 2
        self._next = random.randrange(self._count)

    def open(self, host: str) -> tuple[socket.socket, socket.socket]:
        """Return two bound, non-blocking sockets. Raises: SrsError when no pair is free."""
        for _ in range(self._count):
            port = self._first + 2 * self._next
            self._next = (self._next + 1) % self._count
            rtp = _bind(host, port)
            if rtp is None:
                continue
            rtcp = _bind(host, port + 1)
            if rtcp is not None:
                return rtp, rtcp
            rtp.close()
        raise SrsError(f"no free pair of RTP ports on {host}")


def _bind(host: str, port: int) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        with contextlib.suppress(OSError):
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        bound.bind((host, port))
    except OSError:
        bound.close()
        return None
    return bound
