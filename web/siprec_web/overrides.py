"""URLs that others give us, and what their fragment says of timeouts and retries."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from siprec_web.errors import UrlError

MAX_URL_CHARS = 4096
# What is retried, by its name in `rp`.
RETRIABLE = frozenset(("4xx", "5xx", "ct", "rt"))

_LIMITS = {
    "ct": (100, 10_000, "connect_ms"),
    "rt": (100, 15_000, "read_ms"),
    "tt": (100, 15_000, "total_ms"),
    "rc": (0, 5, "retries"),
}
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """How long is waited for a connection, for an answer, and altogether; when it is tried again.

    `retries` is how often, `retry_on` after what: `4xx`, `5xx`, `ct` (connect timeout), `rt`
    (read timeout).
    """

    connect_ms: int = 5_000
    read_ms: int = 15_000
    total_ms: int = 15_000
    retries: int = 1
    retry_on: frozenset[str] = frozenset(("ct",))


def parse_url(url: str) -> tuple[str, Overrides]:
    """Give the URL without its fragment, and what the fragment says (`#ct=2000&rc=2&rp=all`).

    Raises:
        UrlError: not http(s) with a host, or a fragment with other words or values.
    """
    if len(url) > MAX_URL_CHARS:
        raise UrlError("URL", f"is over {MAX_URL_CHARS} characters")
    if _CONTROL.search(url) or "\\" in url:
        raise UrlError("URL", "holds a space, a control character or a backslash")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UrlError("URL", f"cannot be read: {error}") from error
    if parts.scheme not in ("http", "https"):
        raise UrlError("URL", "must begin with http:// or https://")
    if not parts.hostname:
        raise UrlError("URL", "has no host")
    if port == 0:
        raise UrlError("URL", "has port 0")
    return urlunsplit(parts._replace(fragment="")), _overrides(parts.fragment)


def url_fault(url: str) -> str | None:
    """Say what is wrong with a URL or its fragment; None when `parse_url` takes it."""
    try:
        parse_url(url)
    except UrlError as error:
        return str(error)
    return None


def _overrides(fragment: str) -> Overrides:
    numbers: dict[str, int] = {}
    retry_on = Overrides().retry_on
    for pair in fragment.split("&") if fragment else ():
        name, _, value = pair.partition("=")
        if name == "rp":
            retry_on = _retried(value)
            continue
        if name not in _LIMITS:
            raise UrlError(f"URL fragment: {name!r}", "is none of ct, rt, tt, rc, rp")
        least, most, field = _LIMITS[name]
        is_number = value.isascii() and value.isdecimal() and len(value) <= 6
        if not is_number or not least <= int(value) <= most:
            raise UrlError(f"URL fragment: {name}", f"must be a number from {least} to {most}")
        numbers[field] = int(value)
    defaults = Overrides()
    return Overrides(
        connect_ms=numbers.get("connect_ms", defaults.connect_ms),
        read_ms=numbers.get("read_ms", defaults.read_ms),
        total_ms=numbers.get("total_ms", defaults.total_ms),
        retries=numbers.get("retries", defaults.retries),
        retry_on=retry_on,
    )


def _retried(value: str) -> frozenset[str]:
    words = frozenset(value.split(","))
    if words == {"all"}:
        return RETRIABLE
    if not words <= RETRIABLE:
        raise UrlError("URL fragment: rp", "must be all, or of 4xx, 5xx, ct, rt, with commas")
    return words
