"""One HTTP request of ours, and what came back, as alerts tell of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

MAX_TEXT_CHARS = 1_000
_HIDDEN_HEADERS = ("set-cookie", "authorization", "proxy-authorization")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRequest:
    """A request and its answer. `url` has no login and no query.

    `variables` (what was sent) and `headers` (of the answer) are URL-encoded fields, `body` is
    text; each is cut at MAX_TEXT_CHARS. `status` is None when no answer came.
    """

    url: str
    method: str
    variables: str = ""
    status: int | None = None
    headers: str = ""
    body: str = ""


def web_request(
    url: str,
    method: str,
    variables: Mapping[str, str],
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> WebRequest:
    """Note a request, and its answer if one came. `url` must be fit to be seen by people."""
    seen = {k: v for k, v in (headers or {}).items() if k.lower() not in _HIDDEN_HEADERS}
    return WebRequest(
        url=url,
        method=method,
        variables=_fields(variables),
        status=status,
        headers=_fields(seen),
        body=body[: 4 * MAX_TEXT_CHARS].decode("utf-8", "replace")[:MAX_TEXT_CHARS],
    )


def _fields(fields: Mapping[str, str]) -> str:
    """Encode as many fields as fit, each whole."""
    found = ""
    for name, value in fields.items():
        longer = f"{found}&" if found else ""
        longer += urlencode({name: value}, errors="replace")
        if len(longer) <= MAX_TEXT_CHARS:
            found = longer
    return found
