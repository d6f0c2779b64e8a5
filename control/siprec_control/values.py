"""Checks of single settings. Each takes what TOML gave and returns what Settings wants.

All raise ValueError with a sentence that follows "[section] key: ".
"""

import ipaddress
import re
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

Check = Callable[[object], object]
Choice = TypeVar("Choice", bound=StrEnum)

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{0,64}")
_ACCOUNT_SID = re.compile(r"AC[0-9a-f]{32}")
_LOGICAL = re.compile(r"[A-Za-z0-9_-]{1,64}")
_INTERFACE = re.compile(r"(?:[A-Za-z0-9_-]+/)?([^!]+)(?:!(.+))?")


class Endpoint(NamedTuple):
    """A place to listen on or send to. `host` has no brackets; `transport` is udp, tcp or tls."""

    transport: str
    host: str
    port: int


def parse_listen(text: str) -> Endpoint:
    """Split `udp:HOST:PORT`, `tcp:` or `tls:`; HOST is an IP address, IPv6 in brackets.

    Raises:
        ValueError: another shape, a host name, or a port outside 1..65535.
    """
    transport, colon, rest = text.partition(":")
    if not colon or transport not in ("udp", "tcp", "tls"):
        raise ValueError(f"{text!r} is not udp:HOST:PORT, tcp:HOST:PORT or tls:HOST:PORT")
    host, port = split_host_port(rest, what=text)
    if port is None:
        raise ValueError(f"{text!r} has no port")
    if not is_ip(host):
        raise ValueError(f"{text!r}: {host} is not an IP address")
    return Endpoint(transport, host, port)


def split_host_port(text: str, *, what: str | None = None) -> tuple[str, int | None]:
    """Split `HOST[:PORT]`, IPv6 in brackets; the host comes back without brackets.

    Raises:
        ValueError: no such shape; the message quotes `what` (default: the text itself).
    """
    shown = repr(what if what is not None else text)
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not is_ip(host) or ":" not in host or (rest and rest[0] != ":"):
            raise ValueError(f"{shown}: wrong IPv6 address")
        port = rest[1:] if rest else None
    else:
        host, colon, after = text.partition(":")
        port = after if colon else None
        if ":" in after:
            raise ValueError(f"{shown}: an IPv6 address stands in brackets")
        if not _HOST_NAME.fullmatch(host):
            raise ValueError(f"{shown}: {host!r} is not a host")
    if port is None:
        return host, None
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError(f"{shown}: {port!r} is not a port (1..65535)")
    return host, int(port)


def is_ip(host: str) -> bool:
    """Tell whether the text is an IPv4 or IPv6 address (no brackets, no zone)."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def text_value(value: object) -> str:
    """Accept a non-empty string without control characters."""
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} is not a string")
    if not value or not value.isprintable():
        raise ValueError("is empty" if not value else "holds a control character")
    return value


def flag(value: object) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{_shown(value)} is not true or false")
    return value


def whole(low: int, high: int) -> Callable[[object], int]:
    """Accept a whole number from `low` to `high`."""

    def check(value: object) -> int:
        if type(value) is not int:
            raise ValueError(f"{_shown(value)} is not a whole number")
        if not low <= value <= high:
            raise ValueError(f"{value} is not in {low}..{high}")
        return value

    return check


def choice(kind: type[Choice]) -> Callable[[object], Choice]:
    """Accept one of the values of an enum."""

    def check(value: object) -> Choice:
        try:
            return kind(text_value(value))
        except ValueError:
            raise ValueError(f"{_shown(value)} is none of {', '.join(kind)}") from None

    return check


def many(
    check: Callable[[object], str], *, at_least: int = 0, at_most: int = 64
) -> Callable[[object], tuple[str, ...]]:
    """Accept a list of distinct items, each of which passes `check`."""

    def check_all(value: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise ValueError(f"{_shown(value)} is not a list")
        items = tuple(check(item) for item in value)
        if len(items) < at_least:
            raise ValueError("needs at least one item")
        if len(items) > at_most:
            raise ValueError(f"has {len(items)} items, at most {at_most} are possible")
        for index, item in enumerate(items):
            if item in items[:index]:
                raise ValueError(f"{item!r} stands there twice")
        return items

    return check_all


def listen(value: object) -> str:
    """Accept `udp:HOST:PORT`, `tcp:HOST:PORT` or `tls:HOST:PORT`."""
    text = text_value(value)
    parse_listen(text)
    return text


def host_port_optional(value: object) -> str:
    """Accept `HOST` or `HOST:PORT`."""
    text = text_value(value)
    split_host_port(text)
    return text


def ip_port(value: object) -> str:
    """Accept `IP:PORT`, IPv6 in brackets. No names: what asks there must never wait for DNS."""
    text = text_value(value)
    host, port = split_host_port(text)
    if port is None:
        raise ValueError(f"{text!r} has no port")
    if not is_ip(host):
        raise ValueError(f"{text!r}: {host} is not an IP address")
    return text


def network(value: object) -> str:
    """Accept a network such as `192.0.2.0/24`, or one address."""
    text = text_value(value)
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network: {error}") from None
    return text


def interface(value: object) -> str:
    """Accept rtpengine's `[NAME/]IP[!ADVERTISED_IP]`, or several with commas between.

    Calls over IPv4 and over IPv6 need an address of each.
    """
    text = text_value(value)
    for each in text.split(","):
        match = _INTERFACE.fullmatch(each)
        if not match or not all(is_ip(ip) for ip in match.groups() if ip is not None):
            raise ValueError(f"{each!r} is not [NAME/]IP[!ADVERTISED_IP]")
    return text


def media(value: object) -> str:
    """Accept `IP[!ADVERTISED_IP]`, or several with commas between."""
    text = interface(value)
    if "/" in text:
        raise ValueError(f"{text!r} has a name: it is that of the edge")
    return text


def logical_name(value: object) -> str:
    """Accept the name of a logical interface of rtpengine."""
    text = text_value(value)
    if not _LOGICAL.fullmatch(text):
        raise ValueError(f"{text!r} is not a name of letters, digits, '_' and '-'")
    return text


def gateway(value: object) -> str:
    """Accept `sip:HOST[:PORT][;transport=udp|tcp]`, without a user part."""
    text = text_value(value)
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() != "sip":
        raise ValueError(f"{text!r} is not sip:HOST[:PORT]")
    place, *parameters = rest.split(";")
    if "@" in place:
        raise ValueError(f"{text!r}: a gateway has no user part")
    split_host_port(place, what=text)
    for parameter in parameters:
        if parameter.lower() not in ("transport=udp", "transport=tcp"):
            raise ValueError(f"{text!r}: {parameter!r} is not transport=udp or transport=tcp")
    if len(parameters) > 1:
        raise ValueError(f"{text!r}: more than one transport")
    return text


def redis_url(value: object) -> str:
    """Accept `redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]`, `rediss://…` or `unix://PATH`."""
    text = text_value(value)
    # Never quoted back: it may hold a password.
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is not a Redis URL: {error}") from None
    if parts.scheme == "unix" and parts.path.startswith("/"):
        return text
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or port == 0:
        raise ValueError("is not redis://HOST:PORT/DB, rediss://… or unix:///PATH")
    if not re.fullmatch(r"/?[0-9]*", parts.path):
        raise ValueError(f"{parts.path!r} is not a database number")
    return text


def public_url(value: object) -> str:
    """Accept `http://HOST[:PORT]` or `https://…`, without a path; a last `/` is taken off."""
    text = text_value(value).removesuffix("/")
    scheme, separator, place = text.partition("://")
    if not separator or scheme not in ("http", "https"):
        raise ValueError(f"{text!r} is not http://HOST[:PORT] or https://HOST[:PORT]")
    split_host_port(place, what=text)
    return text


def key_prefix(value: object) -> str:
    """Accept a prefix of Redis keys: no braces, they place keys in a cluster."""
    if not isinstance(value, str) or not _PREFIX.fullmatch(value):
        raise ValueError(f"{_shown(value)} is not up to 64 letters, digits, '_', '.', ':' or '-'")
    return value


def account_sid(value: object) -> str:
    """Accept `AC` and 32 lower-case hex digits."""
    text = text_value(value)
    if not _ACCOUNT_SID.fullmatch(text):
        raise ValueError(f"{text!r} is not AC and 32 lower-case hex digits")
    return text


def _shown(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return repr(value)
        case list():
            return "a list"
        case dict():
            return "a table"
    return str(value)
