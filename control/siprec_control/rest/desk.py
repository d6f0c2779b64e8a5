"""What the handlers of one request share: who asks, what was sent, and the store."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import Request

from siprec.accounts import Login, Scope
from siprec.model import Call
from siprec.settings import Runtime
from siprec.sids import SidError
from siprec.store import Store
from siprec_control.rest.errors import NOT_ALLOWED, ApiError, bad_value, not_found

VERSION = "2010-04-01"
ORDER_S = 5.0
MAX_FIELDS = 400
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Office:
    """What the application works with; `state["office"]` of it."""

    store: Store
    runtime: Runtime


class Desk:
    """One request that may go on. `account_sid` is the account it concerns."""

    def __init__(self, request: Request, account_sid: str | None, needed: Scope) -> None:
        """Let a request in.

        Raises:
            ApiError: 404 for another's account, as for one that does not exist; 403 when the
                scope of the key does not do.
        """
        office: Office = request.app.state.office
        login: Login = request.state.login
        self.store = office.store
        self.runtime = office.runtime
        self.login = login
        self.account_sid = login.account_sid
        self._request = request
        if account_sid is not None and account_sid != login.account_sid:
            raise not_found(f"/{VERSION}/Accounts/{account_sid}")
        if not login.scope.covers(needed):
            why = f"The key's scope is {login.scope}; this needs {needed}"
            raise ApiError(403, NOT_ALLOWED, why)

    @property
    def is_operator(self) -> bool:
        """Tell whether the default account asks, which owns the stack."""
        return self.account_sid == self.runtime.settings.account.sid

    def path(self, *parts: str) -> str:
        """Give the URI of a resource of this account."""
        rest = "/".join(quote(part, safe="") for part in parts)
        return f"/{VERSION}/Accounts/{self.account_sid}{'/' if rest else ''}{rest}"

    def call(self, sid: str) -> Call:
        """Give a call of the account.

        Raises:
            ApiError: there is none of that sid.
        """
        try:
            call = self.store.call(sid)
        except SidError:
            call = None
        if call is None or call.account_sid != self.account_sid:
            raise not_found(self.path("Calls", f"{sid}.json"))
        return call

    def form(self, *known: str, prefix: str | tuple[str, ...] = ()) -> dict[str, str]:
        """Give the fields of the form. Names that are not known are refused, as values twice.

        Raises:
            ApiError: names the field.
        """
        pairs = self.pairs()
        found: dict[str, str] = {}
        for name, value in pairs:
            if name not in known and not name.startswith(prefix):
                raise bad_value(name[:100], f"is not known here; known are {', '.join(known)}")
            if name in found:
                raise bad_value(name, "stands twice")
            found[name] = value
        return found

    def pairs(self) -> list[tuple[str, str]]:
        """Give the fields of the form in their order."""
        body: bytes = self._request.state.body
        kind = self._request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if body and kind != _FORM:
            raise ApiError(415, 20415, f"The body must be {_FORM}")
        return parse_pairs(body.decode("latin-1"), "body")

    def query(self, *known: str) -> dict[str, str]:
        """Give the parameters of the query; others than the known are passed over."""
        pairs = parse_pairs(self._request.url.query, "query")
        return {name: value for name, value in pairs if name in known}

    def base(self) -> str:
        """Give what our absolute URLs begin with."""
        public = self.runtime.settings.control.public_url
        return public or f"{self._request.url.scheme}://{self._request.url.netloc}"


def parse_pairs(text: str, what: str) -> list[tuple[str, str]]:
    """Split a form or a query.

    Raises:
        ApiError: it is not UTF-8, or has too many fields.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise bad_value(what, "is not UTF-8") from None
    except ValueError:
        raise bad_value(what, f"has over {MAX_FIELDS} fields") from None
    return pairs


def with_query(path: str, fields: Mapping[str, Any]) -> str:
    """Give a path with a query."""
    return f"{path}?{urlencode(fields)}" if fields else path


def now_ms() -> int:
    """Give the time in ms since the epoch."""
    return time.time_ns() // 1_000_000
