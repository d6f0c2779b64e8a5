"""Garbage on the TLS port: who else talks through the proxy does not notice."""

import contextlib
import random
import socket
import ssl
from collections.abc import Callable

import pytest

from tests.scenarios.polling import poll
from tests.scenarios.sip_text import Message
from tests.scenarios.wire import Address
from tests.tls.site import Site
from tests.tls.tls_wire import TlsPhone

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


def _probe(site: Site, srs: TlsPhone) -> Message:
    site.src.probe(site.route(srs.tls.address))

    def reply() -> Message | None:
        request = srs.next(0.01)
        if request is not None:
            # The connection may be lost by now.
            with contextlib.suppress(OSError):
                srs.reply(request, 200, "OK")
        return site.src.next(0.01)

    return poll(reply)


def test_garbage_on_the_port_recorder_still_reached(site: Site) -> None:
    """OpenSSL takes an error of one connection for another's: one may be lost, and is made anew."""
    srs = site.srs()
    chance = random.Random(20)
    for _ in range(PIECES // 20):
        for _ in range(20):
            _throw(site.proxy.outside, chance)
        poll(lambda: _probe(site, srs).status == 200)
    assert site.proxy.is_running()
