"""SIP URIs (RFC 3261 §19.1), name-addr header values, and addresses of record."""

import re
from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from urllib.parse import quote

from siprec.errors import SipUriError as SipUriError

UNKNOWN_AOR = "sip:unknown@unknown.invalid"
"""The address of record of a party that gave none: `.invalid` never resolves (RFC 2606)."""

MAX_URI_CHARS = 2048

_ESCAPED = "%[0-9A-Fa-f]{2}"
_UNRESERVED = r"A-Za-z0-9\-_.!~*'()"
# RFC 3261 says no to "#"; diallers send it unescaped all the same.
_USER = re.compile(rf"(?:[{_UNRESERVED}&=+$,;?/:#]|{_ESCAPED})+")
_PARAM = re.compile(rf"(?:[{_UNRESERVED}\[\]/:&+$]|{_ESCAPED})+")
_HEADERS = re.compile(rf"(?:[{_UNRESERVED}\[\]/?:+$&=]|{_ESCAPED})+")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9.])?")
_FOLD = re.compile(r"\r?\n[ \t]+")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SipUri:
    """A `sip:` or `sips:` URI in its parts, escapes as written. `str()` puts it together.

    `user` may hold a password after `:` and is empty when there is none; `host` is an IPv6
    address without brackets, or a name, or an IPv4 address; `headers` is what follows `?`.
    """

    scheme: str
    host: str
    user: str = ""
    port: int | None = None
    params: tuple[tuple[str, str | None], ...] = ()
    headers: str = ""

    def param(self, name: str) -> str | None:
        """Give the value of a parameter ("" when it has none), or None when it is absent."""
        for key, value in self.params:
            if key.lower() == name:
                return value or ""
        return None

    @property
    def transport(self) -> str | None:
        """Give the `transport` parameter in lower case, if there is one."""
        value = self.param("transport")
        return value.lower() if value else None

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port is not None else ""
        params = "".join(f";{k}" if v is None else f";{k}={v}" for k, v in self.params)
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{host}{port}{params}{headers}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameAddr:
    """A From, To, Contact or P-Asserted-Identity value.

    `display` is unquoted, `uri` as written between the brackets, `params` are the header's
    (names in lower case; "" when a parameter has no value).
    """

    display: str
    uri: str
    params: dict[str, str]


def parse_uri(text: str) -> SipUri:
    """Take a SIP or SIPS URI apart.

    Raises:
        SipUriError: not a SIP URI; names the part (`scheme`, `user`, `host`, `port`, …).
    """
    if len(text) > MAX_URI_CHARS:
        raise SipUriError("length", f"is over {MAX_URI_CHARS} characters")
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() not in ("sip", "sips"):
        raise SipUriError("scheme", "must be sip: or sips:")
    user, at, rest = rest.rpartition("@")
    if at and not _USER.fullmatch(user):
        raise SipUriError("user", f"{user!r} is empty or holds a forbidden character")
    rest, question, headers = rest.partition("?")
    if question and not _HEADERS.fullmatch(headers):
        raise SipUriError("headers", f"{headers!r} is empty or holds a forbidden character")
    hostport, *params = rest.split(";")
    host, port = _host_port(hostport)
    return SipUri(
        scheme=scheme.lower(),
        user=user,
        host=host,
        port=port,
        params=tuple(_param(p) for p in params),
        headers=headers,
    )


def parse_name_addr(value: str) -> NameAddr:
    """Take the first name-addr or addr-spec of a header value apart, leniently.

    Raises:
        SipUriError: there is no URI in it.
    """
    display, rest = _display(_FOLD.sub(" ", value).strip())
    if rest.startswith("<"):
        uri, closed, rest = rest[1:].partition(">")
        if not closed:
            raise SipUriError("name-addr", "has no closing >")
    else:
        # Without brackets every ";" starts a header parameter (RFC 3261 §20).
        cut = re.search(r"[;,\s]", rest)
        end = cut.start() if cut else len(rest)
        uri, rest = rest[:end], rest[end:]
    uri = uri.strip()
    if ":" not in uri:
        raise SipUriError("name-addr", "holds no URI")
    return NameAddr(display=display, uri=uri, params=_header_params(rest))


def aor(uri_text: str) -> str:
    """Give the address of record as xs:anyURI: scheme, user and host, no port, no parameters.

    A `tel:` URI is kept whole. What anyURI does not allow is percent-encoded. What is no
    URI of a party at all becomes `UNKNOWN_AOR`.
    """
    scheme, _, rest = uri_text.strip().partition(":")
    scheme = scheme.lower()
    if scheme == "tel" and rest:
        return f"tel:{_any_uri(rest, ';=')}"
    user, _, hostport = rest.rpartition("@")
    try:
        bare = parse_uri(f"{scheme}:{re.split('[;?]', hostport, maxsplit=1)[0]}")
    except SipUriError:
        return UNKNOWN_AOR
    name = _any_uri(user.partition(":")[0], ";=?/")
    return str(replace(bare, user=name, port=None))


def _host_port(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or not _is_ipv6(host) or rest[:1] not in ("", ":"):
            raise SipUriError("host", f"{text!r} is not an IPv6 address in brackets")
    else:
        host, _, _ = text.partition(":")
        rest = text[len(host) :]
        if not _HOST.fullmatch(host):
            raise SipUriError("host", f"{host!r} is not a host name or address")
    return host, _port(rest)


def _port(text: str) -> int | None:
    if not text:
        return None
    port = int(text[1:]) if _PORT.fullmatch(text[1:]) else 0
    if not 1 <= port <= 65535:
        raise SipUriError("port", f"{text[1:]!r} is not a number from 1 to 65535")
    return port


def _is_ipv6(text: str) -> bool:
    if "%" in text:
        return False
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _param(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not _PARAM.fullmatch(name) or (equals and not _PARAM.fullmatch(value)):
        raise SipUriError("params", f"{text!r} is not a URI parameter")
    return name, value if equals else None


def _display(text: str) -> tuple[str, str]:
    if text.startswith('"'):
        quoted = re.match(r'"((?:[^"\\]|\\.)*)"\s*', text, re.DOTALL)
        if not quoted:
            raise SipUriError("name-addr", "has no closing quote")
        return re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL), text[quoted.end() :]
    name, bracket, rest = text.partition("<")
    # A "<" after a URI belongs to a parameter or to a second value, not to this one.
    if bracket and ":" not in name:
        return name.strip(), f"<{rest}"
    return "", text


def _header_params(text: str) -> dict[str, str]:
    params: dict[str, str] = {}
    for name, quoted, plain in re.findall(
        r';\s*([^;,=\s"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,\s"]*)))?', _first_value(text)
    ):
        params.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted else plain)
    return params


def _first_value(text: str) -> str:
    value = re.match(r'(?:[^",]|"(?:[^"\\]|\\.)*")*', text, re.DOTALL)
    return value[0] if value else ""


def _any_uri(text: str, also: str) -> str:
    # Escapes that are there already stay as they are; a lone "%" is escaped itself.
    pieces = re.split(f"({_ESCAPED})", text)
    return "".join(
        piece if i % 2 else quote(piece, safe=f"!~*'()&+$,{also}", errors="replace")
        for i, piece in enumerate(pieces)
    )
