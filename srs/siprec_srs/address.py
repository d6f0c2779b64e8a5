"""The structured headers of SIP that a user agent must look into: name-addr, Via, SIP URI."""

import re
from dataclasses import dataclass, field

from siprec_srs.errors import ParseError
from siprec_srs.message import split_outside

Params = dict[str, str | None]

_URI = re.compile(
    r"(?P<scheme>sips?):(?:(?P<user>[^@]*)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)"
    r"(?::(?P<port>\d{1,5}))?(?P<params>(?:;[^?]*)?)(?:\?.*)?",
    re.ASCII | re.IGNORECASE,
)
_VIA = re.compile(
    r"SIP\s*/\s*2\.0\s*/\s*(?P<transport>[A-Za-z-]+)\s+"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?:\s*:\s*(?P<port>\d{1,5}))?\s*(?P<rest>;.*)?",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)


def parse_params(text: str) -> Params:
    """Read `;a=b;c` into a dict with lower-case names; a name alone has the value None."""
    params: Params = {}
    for part in split_outside(text, ";"):
        if part:
            name, equals, value = part.partition("=")
            params[name.strip().lower()] = unquote(value.strip()) if equals else None
    return params


def unquote(text: str) -> str:
    """Take a quoted-string apart (RFC 3261 §25.1); anything else is returned as it is."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class NameAddr:
    """From, To, Contact, Route: display name, URI, header parameters."""

    name: str
    uri: str
    params: Params = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """Return the tag, empty when there is none."""
        return self.params.get("tag") or ""


def parse_name_addr(value: str) -> NameAddr:
    """Read `"Bob" <sip:bob@x>;tag=1` or `sip:bob@x;tag=1`.

    Raises: ParseError.
    """
    parts = split_outside(value, ";")
    head = parts[0]
    if head.endswith(">"):
        name, bracket, uri = head[:-1].rpartition("<")
        if not bracket:
            raise ParseError("unbalanced angle bracket")
    else:
        name, uri = "", head
    if not uri or any(char in ' "<' for char in uri):
        raise ParseError("an address without a URI")
    params = parse_params(";".join(parts[1:]))
    return NameAddr(name=unquote(name.strip()), uri=uri, params=params)


@dataclass(frozen=True, slots=True, kw_only=True)
class SipUri:
    """The parts of a SIP URI that routing needs. Host is without brackets, port 0 when absent."""

    scheme: str
    user: str
    host: str
    port: int
    params: Params = field(default_factory=dict)

    @property
    def transport(self) -> str:
        """Return `udp` or `tcp` (or what else it says), in lower case; default `udp`."""
        return (self.params.get("transport") or "udp").lower()


def parse_uri(text: str) -> SipUri:
    """Read a SIP or SIPS URI. Raises: ParseError."""
    match = _URI.fullmatch(text.strip())
    if not match:
        raise ParseError(f"not a SIP URI: {text[:80]!r}")
    return SipUri(
        scheme=match["scheme"].lower(),
        user=match["user"] or "",
        host=match["host"].strip("[]"),
        port=int(match["port"] or 0),
        params=parse_params(match["params"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Via:
    """The topmost Via of a message. Host is without brackets, port 0 when absent."""

    transport: str
    host: str
    port: int
    params: Params = field(default_factory=dict)

    @property
    def branch(self) -> str:
        """Return the branch, empty when there is none."""
        return self.params.get("branch") or ""


def parse_via(text: str) -> Via:
    """Read one Via value. Raises: ParseError."""
    match = _VIA.fullmatch(text.strip())
    if not match:
        raise ParseError("not a Via")
    return Via(
        transport=match["transport"].upper(),
        host=match["host"].strip("[]"),
        port=int(match["port"] or 0),
        params=parse_params(match["rest"] or ""),
    )


def host_port(host: str, port: int) -> str:
    """Write an address as it stands in a URI, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
