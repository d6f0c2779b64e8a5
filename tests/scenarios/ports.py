"""Blocks of ports that no other test on this machine uses, and none that the kernel hands out."""

import random
import socket

from tests.scenarios.polling import poll

BLOCK_PORTS = 500
# Outside net.ipv4.ip_local_port_range, so that no client socket can take one between our look
# and the daemon's bind. From 20000 on are the RTP ports of the recorders of tests, from
# 30000 on rtpengine's default, from 10000 on those of SIPp.
_BASES = (*range(12000, 20000, BLOCK_PORTS), *range(61000, 65000, BLOCK_PORTS))
# A claim is a TCP socket bound to an address that no daemon of a test listens on.
_CLAIM_HOST = "127.77.77.77"


class PortBlock:
    """At least `count` ports of our own: `take` gives single ones, `take_range` some in a row."""

    def __init__(self, count: int = BLOCK_PORTS) -> None:
        blocks = -(-count // BLOCK_PORTS)
        self._claims = poll(lambda: _claim(blocks), 60, why="all blocks of ports are in use")
        self._next: int = self._claims[0].getsockname()[1]
        self._end = self._next + blocks * BLOCK_PORTS

    def take(self) -> int:
        """Give a port that is free on 127.0.0.1 and ::1 for UDP and TCP at this moment."""
        while self._next < self._end:
            port = self._next
            self._next += 1
            if _is_free(port):
                return port
        raise AssertionError("the block of ports is used up")

    def take_range(self, count: int) -> tuple[int, int]:
        """Give the first and the last of `count` ports in a row."""
        first = self._next + self._next % 2
        self._next = first + count
        if self._next > self._end:
            raise AssertionError(f"no {count} ports are left in the block")
        return first, first + count - 1

    def close(self) -> None:
        """Let others have the block; call it when every daemon has ended."""
        for claim in self._claims:
            claim.close()


def _claim(blocks: int) -> list[socket.socket]:
    bases = list(_BASES)
    # Seeded by the system: workers of one run share the seed of the random module.
    random.SystemRandom().shuffle(bases)
    for base in bases:
        wanted = [base + number * BLOCK_PORTS for number in range(blocks)]
        if set(wanted) <= set(bases) and (claims := _bind_all(wanted)):
            return claims
    return []


def _bind_all(ports: list[int]) -> list[socket.socket]:
    claims: list[socket.socket] = []
    try:
        for port in ports:
            claims.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            claims[-1].bind((_CLAIM_HOST, port))
    except OSError:
        for claim in claims:
            claim.close()
        return []
    return claims


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family, kind) as probe:
                try:
                    probe.bind((host, port))
                except OSError:
                    return False
    return True
