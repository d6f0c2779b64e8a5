"""What the console needs besides the interface of programs: its files, sessions, events."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import (
    FileResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.concurrency import run_in_threadpool

from siprec.accounts import Scope
from siprec.model import Stream
from siprec.record import RecordError
from siprec.store import StoreUnavailable
from siprec_control.console.door import PAGE_HEADER, Door, cookie_name
from siprec_control.console.events import Page
from siprec_control.rest import calls, siprecs
from siprec_control.rest.desk import Desk, now_ms, parse_pairs
from siprec_control.rest.errors import NO_LOGIN, NOT_ALLOWED, TOO_MANY, ApiError

STATIC = Path(__file__).parent / "static"
HEARTBEAT_S = 10.0
SHOWN_CALLS = 1_000
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}

router = APIRouter(prefix="/console", include_in_schema=False)


def _door(request: Request) -> Door:
    found: Door = request.app.state.door
    return found


@router.get("")
async def bare() -> Response:
    """Lead to the page."""
    return RedirectResponse("/console/")


def _add_file(path: Path) -> None:
    async def give() -> Response:
        return FileResponse(path, media_type=_KINDS[path.suffix], headers=_HEADERS)

    name = "" if path.name == "index.html" else path.name
    router.add_api_route(f"/{name}", give, methods=["GET"])


for _file in sorted(STATIC.iterdir()):
    if _file.suffix in _KINDS:
        _add_file(_file)


@router.post("/sign-in")
def sign_in(request: Request) -> Response:
    """Open a session: `Sid` and `Token`. Only a page of ours can send the header it needs."""
    if not request.headers.get(PAGE_HEADER.decode()):
        raise ApiError(403, NOT_ALLOWED, "Sign in from the page")
    fields = dict(parse_pairs(request.state.body.decode("latin-1"), "body"))
    opened = _door(request).sessions.open(fields.get("Sid", ""), fields.get("Token", ""), now_ms())
    if opened is None:
        raise ApiError(401, NO_LOGIN, "Authenticate")
    session_id, session = opened
    answer = JSONResponse({"csrf": session.csrf})
    is_secure = _door(request).is_secure
    answer.set_cookie(
        cookie_name(is_secure), session_id, secure=is_secure, httponly=True, samesite="strict"
    )
    return answer


@router.post("/sign-out", status_code=204)
def sign_out(request: Request) -> Response:
    """End the session."""
    door = _door(request)
    door.sessions.end(door.session_id(request.scope))
    answer = Response(status_code=204)
    answer.delete_cookie(cookie_name(door.is_secure), secure=door.is_secure, httponly=True)
    return answer


@router.get("/session")
def session(request: Request) -> Response:
    """Tell the page who signed in, and what they may do."""
    desk = Desk(request, None, Scope.READ)
    told = {"account_sid": desk.account_sid, "by": desk.login.by, "scope": desk.login.scope.value}
    return JSONResponse({**told, "csrf": request.state.csrf})


@router.get("/live")
def live(request: Request) -> Response:
    """Give the live calls with the streams that are not over, newest first."""
    desk = Desk(request, None, Scope.READ)
    own = [call for call in desk.store.calls() if call.account_sid == desk.account_sid]
    streams: defaultdict[str, list[Stream]] = defaultdict(list)
    for stream in desk.store.streams(live_only=True):
        streams[stream.call_sid].append(stream)
    shown: list[dict[str, Any]] = [
        {
            **calls.shown(desk, call),
            "siprec": [siprecs.full(desk, stream) for stream in streams[call.sid]],
        }
        for call in own[:SHOWN_CALLS]
    ]
    return JSONResponse({"calls": shown, "total": len(own), "now_ms": now_ms()})


@router.get("/events")
async def events(request: Request) -> Response:
    """Tell the page what happens, until it goes or its session ends."""
    door = _door(request)
    page = door.events.listen(
        request.state.login.account_sid, request.headers.get("last-event-id", "")
    )
    if page is None:
        raise ApiError(429, TOO_MANY, "Too many pages are open", {"Retry-After": "30"})
    told = _stream(door, page, door.session_id(request.scope))
    return StreamingResponse(told, media_type="text/event-stream", headers=_HEADERS)


async def _stream(door: Door, page: Page, session_id: str) -> AsyncIterator[str]:
    try:
        yield "retry: 1000\n\n"
        checked_s = asyncio.get_running_loop().time()
        while not page.is_slow:
            try:
                event_id, _, data = await asyncio.wait_for(page.queue.get(), HEARTBEAT_S)
                yield f"id: {event_id}\ndata: {data}\n\n"
            except TimeoutError:
                yield ": still here\n\n"
            if asyncio.get_running_loop().time() - checked_s >= HEARTBEAT_S:
                checked_s = asyncio.get_running_loop().time()
                if not await run_in_threadpool(_goes_on, door, session_id):
                    return
    finally:
        door.events.leave(page)


def _goes_on(door: Door, session_id: str) -> bool:
    try:
        return door.sessions.find(session_id, now_ms(), is_used=False) is not None
    except (StoreUnavailable, RecordError):
        return False
