"""What every request passes: size, login, rate limit, access log; errors become JSON here."""

import asyncio
import binascii
import json
import math
import secrets
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from siprec.account_store import AccountStore
from siprec.accounts import Login, judge_login
from siprec.record import RecordError
from siprec.store import StoreUnavailable
from siprec_control.console.door import Door, from_page, is_open
from siprec_control.rest.errors import (
    INTERNAL,
    NO_LOGIN,
    TOO_LARGE,
    TOO_MANY,
    ApiError,
    unavailable,
)
from siprec_control.rest.limits import Buckets

MAX_BODY_BYTES = 256 * 1024
BODY_S = 10.0
REALM = "siprec"
REQUEST_ID = "Twilio-Request-Id"

# These say nothing that a stranger could use.
WATCHED = frozenset({"/healthz", "/readyz"})
OPEN_PATHS = WATCHED | {"/openapi.json"}

# Threads answer requests, 40 of them. An order may hold one for seconds while nobody carries orders
# out: what only looks finds one free all the same.
ORDERS_AT_ONCE = 16
REQUESTS_AT_ONCE = 500


class Entrance:
    """Wraps the application. What it found stands in `scope["state"]`: `login` and `body`."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        accounts: AccountStore,
        buckets: Buckets,
        say: Callable[[str], None],
        door: Door,
    ) -> None:
        self._door = door
        self._app = app
        self._accounts = accounts
        self._buckets = buckets
        self._say = say
        self._requests = _Room(REQUESTS_AT_ONCE, "Too many requests at once")
        self._orders = _Room(ORDERS_AT_ONCE, "Too many orders wait to be carried out")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(scope, send, f"RQ{secrets.token_hex(16)}")
        try:
            await self._admit(scope, receive, request)
        except ApiError as error:
            await request.refuse(error)
        except Exception as error:
            # Its text may hold what a client sent: only its kind and place are told.
            self._say(f"{request.id} failed: {_place(error)}")
            if not request.status:
                await request.refuse(ApiError(500, INTERNAL, f"Internal error {request.id}"))
        finally:
            self._say(request.line())

    async def _admit(self, scope: Scope, receive: Receive, request: "_Request") -> None:
        state = scope.setdefault("state", {})
        state["body"] = await _body(scope, receive)
        state["login"] = None
        if scope["path"] in OPEN_PATHS or is_open(scope):
            # Who watches over processes is not to be misled by others at its address.
            if scope["path"] not in WATCHED:
                self._count(request.address)
            await self._app(scope, _done(state["body"], receive), request.send)
            return
        with self._requests.entered():
            login = await self._login(scope)
            self._count(request.address if login is None else login.by)
            if login is None:
                basic = {"WWW-Authenticate": f'Basic realm="{REALM}"'}
                headers = {} if from_page(scope) else basic
                raise ApiError(401, NO_LOGIN, "Authenticate", headers)
            state["login"], request.who = login, login.by
            with self._orders.entered() if scope["method"] == "POST" else nullcontext():
                await self._app(scope, _done(state["body"], receive), request.send)

    async def _login(self, scope: Scope) -> Login | None:
        authorization = _header(scope, b"authorization")
        name, password = _credentials(authorization)
        try:
            if not authorization and _header(scope, b"cookie"):
                return await run_in_threadpool(self._door.login, scope)
            found = await run_in_threadpool(self._accounts.who, name)
        except (StoreUnavailable, RecordError) as error:
            raise unavailable("Logins cannot be checked at the moment") from error
        return judge_login(found, password)

    def _count(self, name: str) -> None:
        if wait_s := self._buckets.take(name, time.monotonic()):
            headers = {"Retry-After": str(math.ceil(wait_s))}
            raise ApiError(429, TOO_MANY, "Too many requests", headers)


class _Room:
    """So many may be inside at once; who finds it full is sent away."""

    def __init__(self, places: int, why_full: str) -> None:
        self._free = places
        self._why_full = why_full

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Stay inside for the block.

        Raises:
            ApiError: it is full.
        """
        if not self._free:
            raise unavailable(self._why_full)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


class _Request:
    """One request: its id, and what became of it."""

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self.id = request_id
        self.address = scope["client"][0] if scope.get("client") else "unknown"
        self.who = "-"
        self.status = 0
        self._what = f"{scope['method']} {ascii(scope['path'])[1:-1][:200]}"
        self._began_s = time.monotonic()
        self._send = send

    async def send(self, message: Message) -> None:
        """Send a message of the answer with our headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), (REQUEST_ID.lower().encode(), self.id.encode())]
            headers += [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, error: ApiError) -> None:
        """Answer with an error."""
        body = json.dumps(error.body()).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        raw = [(n.lower().encode(), v.encode()) for n, v in {**headers, **error.headers}.items()]
        if error.status in (408, 413):
            # What was not read would be taken for the next request.
            raw.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": error.status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})

    def line(self) -> str:
        """Give the line of the access log: no query, no header, no field."""
        took_ms = (time.monotonic() - self._began_s) * 1000
        return f"{self.address} {self.who} {self._what} {self.status} {took_ms:.0f} ms {self.id}"


def _place(error: BaseException) -> str:
    place, trace = "", error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        place, trace = f"{code.co_filename}:{trace.tb_lineno}", trace.tb_next
    return f"{type(error).__name__} at {place}"


async def _body(scope: Scope, receive: Receive) -> bytes:
    length = _header(scope, b"content-length")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise _too_large()
    found = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                found += message.get("body", b"")
                if len(found) > MAX_BODY_BYTES:
                    raise _too_large()
                if not message.get("more_body"):
                    break
    except TimeoutError:
        phrase = HTTPStatus.REQUEST_TIMEOUT.phrase
        raise ApiError(408, 20408, f"{phrase}: the body took over {BODY_S:g} s") from None
    return bytes(found)


def _too_large() -> ApiError:
    return ApiError(413, TOO_LARGE, f"The body is over {MAX_BODY_BYTES} bytes")


def _done(body: bytes, then: Receive) -> Receive:
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": body}]

    async def receive() -> Message:
        return messages.pop() if messages else await then()

    return receive


def _header(scope: Scope, name: bytes) -> str:
    return next((v.decode("latin-1") for n, v in scope["headers"] if n == name), "")


def _credentials(header: str) -> tuple[str, str]:
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        text = b64decode(rest.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return "", ""
    name, _, password = text.partition(":")
    return name, password
