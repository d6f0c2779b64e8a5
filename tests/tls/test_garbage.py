"""Garbage on the TLS port: who else talks through the proxy does not notice."""

import contextlib
import random
import socket
import ssl
from collections.abc import Callable

import pytest

from tests.scenarios.wire import Address
from tests.tls.site import Site, way

pytestmark = pytest.mark.daemon

PIECES = 400
_CONTEXT = ssl.create_default_context()
_CONTEXT.check_hostname = False
_CONTEXT.verify_mode = ssl.CERT_NONE


def _hello() -> bytearray:
    outgoing = ssl.MemoryBIO()
    client = _CONTEXT.wrap_bio(ssl.MemoryBIO(), outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return bytearray(outgoing.read())


def _noise(plain: socket.socket, chance: random.Random) -> None:
    plain.sendall(chance.randbytes(chance.randint(1, 2000)))


def _plain_sip(plain: socket.socket, chance: random.Random) -> None:
    plain.sendall(b"OPTIONS sip:x SIP/2.0\r\n\r\n" * chance.randint(1, 9))


def _broken_hello(plain: socket.socket, chance: random.Random) -> None:
    hello = _hello()
    hello[chance.randrange(len(hello))] ^= 1 << chance.randrange(8)
    plain.sendall(hello)


def _part_of_hello(plain: socket.socket, chance: random.Random) -> None:
    plain.sendall(_hello()[: chance.randint(1, 300)])


def _noise_inside_tls(plain: socket.socket, chance: random.Random) -> None:
    with _CONTEXT.wrap_socket(plain) as inside:
        inside.sendall(chance.randbytes(500))


def _noise_instead_of_records(plain: socket.socket, chance: random.Random) -> None:
    with socket.socket(fileno=_CONTEXT.wrap_socket(plain).detach()) as inside:
        inside.sendall(chance.randbytes(300))


KINDS: tuple[Callable[[socket.socket, random.Random], None], ...] = (
    _noise,
    _plain_sip,
    _broken_hello,
    _part_of_hello,
    _noise_inside_tls,
    _noise_instead_of_records,
)


def _throw(at: Address, chance: random.Random) -> None:
    with (
        contextlib.suppress(OSError),
        socket.create_connection(at, timeout=1) as plain,
    ):
        chance.choice(KINDS)(plain, chance)


def test_garbage_on_the_port_recorder_still_reached(site: Site) -> None:
    srs = site.srs()
    chance = random.Random(20)
    first = way(site.probe(srs))
    for _ in range(PIECES // 20):
        for _ in range(20):
            _throw(site.proxy.outside, chance)
        assert way(site.probe(srs)) == first
    assert site.proxy.is_running()
