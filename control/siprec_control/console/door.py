"""Lets the page of the console in, by the cookie of its session."""

import hmac
import time
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from starlette.types import Scope

from siprec.accounts import Login
from siprec.redis_client import connect
from siprec.settings import Runtime
from siprec.store import Store
from siprec_control.console.events import BLOCK_MS, Events
from siprec_control.console.sessions import Sessions
from siprec_control.rest.errors import NOT_ALLOWED, ApiError

# The page sends this with all it asks; pages of others cannot.
PAGE_HEADER = b"x-siprec-console"
CSRF_HEADER = b"x-csrf-token"
_HARMLESS = ("GET", "HEAD")
_PROTECTED = ("/console/session", "/console/live", "/console/events", "/console/sign-out")


@dataclass(frozen=True, slots=True)
class Door:
    """Sessions and events of one process; `is_secure`: people come over TLS."""

    sessions: Sessions
    events: Events
    is_secure: bool

    def session_id(self, scope: Scope) -> str:
        """Give what the cookie says, "" without one."""
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(_header(scope, b"cookie"))
        except CookieError:
            return ""
        found = cookies.get(cookie_name(self.is_secure))
        return "" if found is None else found.value

    def login(self, scope: Scope) -> Login | None:
        """Say who asks, None without a session. `scope["state"]["csrf"]` is set for the page.

        Raises:
            ApiError: the session's CSRF token did not come with a request that changes something.
            StoreUnavailable, RecordError.
        """
        is_used = scope["path"] != "/console/events" and _header(scope, PAGE_HEADER) != "automatic"
        now_ms = time.time_ns() // 1_000_000
        found = self.sessions.find(self.session_id(scope), now_ms, is_used=is_used)
        if found is None:
            return None
        session, login = found
        token = _header(scope, CSRF_HEADER).encode("latin-1")
        if scope["method"] not in _HARMLESS and not hmac.compare_digest(
            token, session.csrf.encode()
        ):
            raise ApiError(403, NOT_ALLOWED, "The X-CSRF-Token of the session is missing")
        scope["state"]["csrf"] = session.csrf
        return login


def make_door(store: Store, runtime: Runtime) -> Door:
    """Open the door to the console, with a connection to Redis of its own."""
    settings = runtime.settings
    prefix, url = settings.redis.prefix, settings.redis.url or ""
    client = connect(url, timeout_s=BLOCK_MS / 1000 + 5)
    is_secure = bool(settings.control.tls_cert) or (settings.control.public_url or "").startswith(
        "https:"
    )
    return Door(Sessions(client, prefix, store.accounts), Events(client, prefix), is_secure)


def is_open(scope: Scope) -> bool:
    """Tell whether that path of the console needs no login: its files, and signing in."""
    path: str = scope["path"]
    return (path == "/console" or path.startswith("/console/")) and path not in _PROTECTED


def from_page(scope: Scope) -> bool:
    """Tell whether the page asks, whose browser must not ask for a password itself."""
    return bool(_header(scope, PAGE_HEADER)) or scope["path"].startswith("/console/")


def cookie_name(is_secure: bool) -> str:
    """Give the name of the cookie."""
    return "__Host-siprec" if is_secure else "siprec"


def _header(scope: Scope, name: bytes) -> str:
    return next((v.decode("latin-1") for n, v in scope["headers"] if n == name), "")
