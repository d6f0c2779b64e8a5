"""The URI of a recorder as an operator writes it: ours are `secure` and `edge`.

sip:srs.example.com                              TCP, RTP
sip:rec@192.0.2.30:5080;transport=udp            UDP, RTP
sips:srs.example.com                             TLS, RTP
sip:srs.example.com;secure=true&edge=ashburn     TLS, SRTP, from the edge `ashburn`
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from siprec.errors import SipUriError as SipUriError
from siprec.sip_uri import SipUri, parse_uri

TLS_PORT = 5061
PORT = 5060

_TRANSPORTS = ("udp", "tcp", "tls")
_EDGE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsUri:
    """Where a recorder is, and how it is reached.

    `wire` is what stands in requests: without our own parameters, and with a `transport` unless
    the scheme is `sips`. `secure` asks for SRTP, `edge` names the site to leave from (None: the
    sockets of `[src]`).
    """

    wire: SipUri
    secure: bool = False
    edge: str | None = None

    @property
    def transport(self) -> str:
        """Give `udp`, `tcp` or `tls`."""
        return "tls" if self.wire.scheme == "sips" else self.wire.transport or "tcp"

    @property
    def host(self) -> str:
        """Give the name or address, IPv6 without brackets."""
        return self.wire.host

    @property
    def port(self) -> int | None:
        """Give the port as written; None leaves it to SRV records, or to `default_port`."""
        return self.wire.port

    @property
    def default_port(self) -> int:
        """Give the port where neither the URI nor an SRV record says one (RFC 3261 §19.1.2)."""
        return TLS_PORT if self.transport == "tls" else PORT

    @property
    def uses_srtp(self) -> bool:
        """Tell whether the media toward this recorder is encrypted."""
        return self.secure


def parse_srs_uri(text: str) -> SrsUri:
    """Check and complete the URI of a recorder. Parameters may be parted by `;` or `&`.

    The transport is TCP unless something else is said: `transport`, `sips:` (TLS), or
    `secure=true`, which means TLS where nothing else is written. Whether `secure` may do
    without TLS is for siprec.connectors to say.

    Raises:
        SipUriError: not usable for this; names the part or the URI parameter.
    """
    head, at, tail = text.rpartition("@")
    uri = parse_uri(f"{head}{at}{tail.replace('&', ';')}")
    if uri.headers:
        raise SipUriError("headers", "are not allowed in the URI of a recorder")
    if ":" in uri.user:
        raise SipUriError("user", "must not hold a password: the URI stands in logs and alerts")
    given = _own_parameters(uri)
    secure = given.get("secure") == "true"
    transport = given.get("transport") or ("tls" if secure else "tcp")
    if uri.scheme == "sips":
        if transport == "udp":
            raise SipUriError("transport", "transport=udp does not go with sips:, which is TLS")
        params: tuple[tuple[str, str | None], ...] = ()
    else:
        params = (("transport", transport),)
    return SrsUri(wire=replace(uri, params=params), secure=secure, edge=given.get("edge"))


def _own_parameters(uri: SipUri) -> dict[str, str]:
    given: dict[str, str] = {}
    for key, value in uri.params:
        name = key.lower()
        if name not in _CHECKS:
            why = f"the parameter {name} is unknown (known: {', '.join(_CHECKS)})"
            raise SipUriError(name, why)
        if name in given:
            raise SipUriError(name, f"the parameter {name} stands twice")
        given[name] = _CHECKS[name](value or "")
    return given


def _secure(value: str) -> str:
    if value.lower() not in ("true", "false"):
        raise SipUriError("secure", f"secure={value} must be true or false")
    return value.lower()


def _edge(value: str) -> str:
    if not _EDGE.fullmatch(value):
        why = f"edge={value} must be a name of letters, digits, - and _, of 64 characters at most"
        raise SipUriError("edge", why)
    return value


def _transport(value: str) -> str:
    if value.lower() not in _TRANSPORTS:
        raise SipUriError("transport", f"transport={value} must be udp, tcp or tls")
    return value.lower()


_CHECKS: dict[str, Callable[[str], str]] = {
    "transport": _transport,
    "secure": _secure,
    "edge": _edge,
}
