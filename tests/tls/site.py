"""A TLS proxy with the recording client behind it, both ready for a test to drive."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509

from tests.scenarios.phone import Phone
from tests.scenarios.polling import poll
from tests.scenarios.ports import PortBlock
from tests.scenarios.sip_text import Message, in_brackets
from tests.scenarios.wire import Address
from tests.tls.certificates import Authority, Identity
from tests.tls.proxy import TlsProxy, profile
from tests.tls.tls_wire import TlsPhone

SRS = "srs.example.com"


class Node(Phone):
    """The recording client, as recorders see it: its Contact is the TLS proxy."""

    def __init__(self) -> None:
        super().__init__("siprec", ("", 0))
        self.behind: Address = ("", 0)

    @property
    def contact(self) -> str:
        """Give the address that recorders send to."""
        return f"sip:siprec@{self.behind[0]}:{self.behind[1]};transport=tls"

    def probe(self, route: str) -> None:
        """Send OPTIONS to whom the route names, outside any dialog."""
        self.forget()
        self.target, self.remote = f"sip:{SRS}", f"<sip:{SRS}>"
        self.send(self.compose("OPTIONS", headers=[("Route", route)]))


class Site:
    """Authorities, a TLS proxy and the client. Profile `good` trusts `ca`, `other` another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ends = ExitStack()
        self.ports = PortBlock()
        self._ends.callback(self.ports.close)
        self.ca = Authority(folder, "ca")
        self.other_ca = Authority(folder, "other-ca")
        self.us = self.ca.issue("127.0.0.1")
        self.src = self._ends.enter_context(Node())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.__exit__(kind, error, trace)

    def start(
        self,
        defines: Mapping[str, str] | None = None,
        *,
        profiles: str = "",
        host: str = "127.0.0.1",
    ) -> None:
        """Start the TLS proxy, with more defines and profiles; `host` is its outside's."""
        profiles += "\n" + profile("good", self.ca.certificate, self.us)
        profiles += "\n" + profile("other", self.other_ca.certificate)
        src_host, src_port = self.src.wire.address
        known = {"SRC_URI": f"sip:{src_host}:{src_port}", **(defines or {})}
        self.proxy = TlsProxy(
            self.folder / "tls", self.ports, self.us, profiles=profiles, defines=known, host=host
        )
        self._ends.enter_context(self.proxy)
        self.src.proxy, self.src.behind = self.proxy.inside, self.proxy.outside

    def srs(self, identity: Identity | None = None, *, trusted: Path | None = None) -> TlsPhone:
        """Start a recorder; with a good certificate unless told otherwise."""
        return self.phone("srs", identity or self.ca.issue(SRS), trusted=trusted)

    def phone(
        self,
        name: str,
        identity: Identity | None = None,
        *,
        trusted: Path | None = None,
        claims: str | None = None,
    ) -> TlsPhone:
        """Start an endpoint that speaks TLS."""
        phone = TlsPhone(
            name,
            self.proxy.outside,
            identity or self.ca.issue(name),
            trusted=None if trusted is None else str(trusted),
            claims=claims,
        )
        return self._ends.enter_context(phone)

    def route(self, to: Address, *, profile: str = "good", host: str = SRS) -> str:
        """Write the Route of a probe."""
        inside = f"{self.proxy.inside[0]}:{self.proxy.inside[1]}"
        return f"<sip:{inside};lr;hop={to[0]}:{to[1]};profile={profile};host={host}>"

    def probe(self, srs: TlsPhone, *, profile: str = "good", host: str = SRS) -> Message:
        """Probe a recorder that answers; give what the client hears."""
        self.src.probe(self.route(srs.tls.address, profile=profile, host=host))
        srs.reply(srs.expect("OPTIONS"), 200, "OK")
        return self.src.expect(200)

    def probe_in_vain(self, srs: TlsPhone, *, profile: str = "good") -> str:
        """Probe a recorder with which there is no handshake; give what it says of that."""
        self.src.probe(self.route(srs.tls.address, profile=profile))
        poll(lambda: srs.next(0.02) or srs.tls.failures)
        assert self.src.expect(503, within_s=2).one("X-TLS-Route") == ""
        return srs.tls.failures[-1]


def way(reply: Message) -> str:
    """Give the Route that the answer to a probe offers."""
    return reply.one("X-TLS-Route")


def certificate_of(reply: Message) -> x509.Certificate:
    """Read the certificate of the peer from the answer to a probe."""
    return x509.load_pem_x509_certificate(base64.b64decode(reply.one("X-TLS-Certificate")))


def call(src: Node, srs: TlsPhone, route: str) -> tuple[Message, Message]:
    """Set up a recording session; give the INVITE of the recorder and the client's 200."""
    sdp = src.sdp(direction="sendonly")
    src.invite("srs", uri=f"sip:{SRS}", sdp=sdp, headers=[("Route", route)])
    invite = srs.expect("INVITE")
    srs.reply(invite, 180, "Ringing")
    src.expect(180)
    srs.reply(invite, 200, "OK", sdp=srs.sdp(direction="recvonly"))
    answer = src.expect(200)
    src.ack(answer)
    srs.expect("ACK")
    return invite, answer


def parameters(route: str) -> Iterator[tuple[str, str]]:
    """Give the parameters of a Route's URI."""
    for part in in_brackets(route).split(";")[1:]:
        name, _, value = part.partition("=")
        yield name, value
