"""URLs of others: as they are fetched, signed, grouped, and shown. Pure."""

from urllib.parse import quote_plus, urlencode, urlsplit, urlunsplit


def origin(url: str) -> str:
    """Give scheme, host and port of a URL; the URL itself when it has none."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}:{parts.port or parts.scheme}"
    except ValueError:
        return url


def with_query(url: str, fields: dict[str, str]) -> str:
    """Give a URL with fields added to its query."""
    parts = urlsplit(url)
    added = urlencode(fields, quote_via=quote_plus)
    query = f"{parts.query}&{added}" if parts.query else added
    return urlunsplit(parts._replace(query=query))


def without_login(url: str) -> str:
    """Give a URL as its receiver sees it: user and password do not stand in it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def with_login(url: str, other: str) -> str:
    """Give a URL user and password of another one, if it is of the same server and has none."""
    login, at, _ = urlsplit(other).netloc.rpartition("@")
    parts = urlsplit(url)
    if not at or "@" in parts.netloc or origin(url) != origin(other):
        return url
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))


def shown(url: str) -> str:
    """Give what of a URL may stand in logs and alerts: no login, no query, no fragment."""
    try:
        parts = urlsplit(without_login(url))
        return urlunsplit(parts._replace(query="", fragment=""))
    except ValueError:
        return "a URL that cannot be read"
