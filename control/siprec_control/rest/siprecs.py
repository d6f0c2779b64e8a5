"""The Siprec resource: start and stop as published; ours besides: list, fetch, pause."""

import re
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from siprec.accounts import Scope
from siprec.model import Call, CallbackMethod, Stream, StreamOrder, StreamState, Track
from siprec.orders import OrderError, check_order
from siprec.verdict import Verdict
from siprec_control.rest import openapi
from siprec_control.rest.desk import VERSION, Desk, now_ms
from siprec_control.rest.errors import BAD_VALUE, NOT_IN_PROGRESS, ApiError, bad_value, not_found
from siprec_control.rest.times import rfc2822
from siprec_web.overrides import url_fault

BAD_TRACK = 31941
NO_SUCH_STREAM = 31952
PATH = f"/{VERSION}/Accounts/{{account_sid}}/Calls/{{call_sid}}/Siprec"

_FIELDS = {
    "name": "Name",
    "connector_name": "ConnectorName",
    "status_callback": "StatusCallback",
    "parameters": "Parameter",
}
_PARAMETER = re.compile(r"Parameter([1-9][0-9]?)\.(Name|Value)")
_SID = re.compile(r"SR[0-9a-f]{32}")
_STARTABLE = ("Name", "ConnectorName", "Track", "StatusCallback", "StatusCallbackMethod")
STATUSES = ("in-progress", "paused", "stopped")

router = APIRouter(tags=["Siprec"])


@router.post(
    f"{PATH}.json",
    status_code=201,
    **openapi.told(
        "startSiprec",
        "Start a stream on a call in progress",
        openapi.SIPREC,
        400,
        404,
        status=201,
        form=openapi.START,
    ),
)
def start(request: Request, account_sid: str, call_sid: str) -> JSONResponse:
    """Start a stream; 201 when it is accepted, which does not wait for the recorder."""
    desk = Desk(request, account_sid, Scope.CONTROL)
    call = desk.call(call_sid)
    order = order_of(desk.form(*_STARTABLE, prefix="Parameter"))
    stream = start_on(desk, call, order)
    return JSONResponse(shown(desk, stream, "in-progress"), 201)


@router.post(
    f"{PATH}/{{siprec}}.json",
    **openapi.told(
        "updateSiprec",
        "Stop, pause or resume a stream, by sid or name",
        openapi.SIPREC,
        400,
        404,
        form=openapi.UPDATE_SIPREC,
    ),
)
def update(request: Request, account_sid: str, call_sid: str, siprec: str) -> JSONResponse:
    """Stop a stream (`Status=stopped`), pause it (`paused`), or let it go on (`in-progress`)."""
    desk = Desk(request, account_sid, Scope.CONTROL)
    call = desk.call(call_sid)
    fields = desk.form("Status", "Track")
    status = fields.get("Status", "")
    if status not in STATUSES:
        raise bad_value("Status", f"{status[:40]!r} is none of {', '.join(STATUSES)}")
    stream = find(desk, call, siprec)
    if status == "stopped":
        if "Track" in fields:
            raise bad_value("Track", "goes with Status=paused and Status=in-progress only")
        if not stream.state.is_final:
            _accepted(desk.store.orders.stop(stream.sid))
    else:
        track = track_of(fields.get("Track", Track.BOTH.value))
        if stream.state.is_final:
            raise ApiError(400, NOT_IN_PROGRESS, f"Stream {stream.sid} is {stream.state.value}")
        is_resumed = status == "in-progress"
        _accepted(desk.store.orders.pause(stream.sid, track, is_resumed=is_resumed))
    return JSONResponse(shown(desk, stream, status))


@router.get(
    f"{PATH}.json",
    **openapi.told("listSiprec", "List the streams of a call, newest first", openapi.SIPRECS, 404),
)
def listed(request: Request, account_sid: str, call_sid: str) -> JSONResponse:
    """List the streams of a call, newest first."""
    desk = Desk(request, account_sid, Scope.READ)
    call = desk.call(call_sid)
    streams = [full(desk, stream) for stream in desk.store.streams(call.sid)]
    uri = desk.path("Calls", call.sid, "Siprec.json")
    return JSONResponse({"siprec": streams, "uri": uri})


@router.get(
    f"{PATH}/{{siprec}}.json",
    **openapi.told("fetchSiprec", "Fetch a stream, by sid or name", openapi.SIPREC_FULL, 404),
)
def fetch(request: Request, account_sid: str, call_sid: str, siprec: str) -> JSONResponse:
    """Give a stream with what is known of it."""
    desk = Desk(request, account_sid, Scope.READ)
    return JSONResponse(full(desk, find(desk, desk.call(call_sid), siprec)))


def order_of(fields: dict[str, str]) -> StreamOrder:
    """Build the order that a form asks for.

    Raises:
        ApiError: names the field.
    """
    parameters: dict[int, dict[str, str]] = {}
    for field, value in fields.items():
        if field in _STARTABLE:
            continue
        match = _PARAMETER.fullmatch(field)
        if match is None:
            raise bad_value(field[:100], "is not known here: Parameter1.Name to Parameter99.Value")
        parameters.setdefault(int(match[1]), {})[match[2]] = value
    pairs = []
    for number, pair in sorted(parameters.items()):
        if "Name" not in pair:
            raise bad_value(f"Parameter{number}.Name", "is missing")
        pairs.append((pair["Name"], pair.get("Value", "")))
    method = fields.get("StatusCallbackMethod", CallbackMethod.POST.value)
    if method not in list(CallbackMethod):
        raise bad_value("StatusCallbackMethod", f"{method[:40]!r} is none of GET, POST")
    order = StreamOrder(
        name=fields.get("Name", ""),
        connector_name=fields.get("ConnectorName", "Default"),
        track=track_of(fields.get("Track", Track.BOTH.value)),
        status_callback=fields.get("StatusCallback") or None,
        status_callback_method=CallbackMethod(method),
        parameters=tuple(pairs),
    )
    try:
        check_order(order)
    except OrderError as error:
        code = error.code if error.field == "parameters" else BAD_VALUE
        raise bad_value(_FIELDS[error.field], error.why, code) from error
    if order.status_callback and (why := url_fault(order.status_callback)):
        raise bad_value("StatusCallback", why)
    return order


def track_of(text: str) -> Track:
    """Read a track.

    Raises:
        ApiError: it is none.
    """
    try:
        return Track(text)
    except ValueError:
        why = f"{text[:40]!r} is none of {', '.join(Track)}"
        raise bad_value("Track", why, BAD_TRACK) from None


def start_on(desk: Desk, call: Call, order: StreamOrder) -> Stream:
    """Order a stream on a call and give it as it was accepted.

    Raises:
        ApiError: it was refused.
    """
    if call.ended_ms is not None:
        raise ApiError(400, NOT_IN_PROGRESS, f"Call {call.sid} is not in progress")
    verdict = _accepted(desk.store.orders.start(call.sid, order))
    sid = verdict.stream_sid or ""
    fresh = Stream(sid=sid, call_sid=call.sid, account_sid=call.account_sid, order=order)
    return desk.store.stream(sid) or fresh


def _accepted(verdict: Verdict) -> Verdict:
    if verdict.accepted:
        return verdict
    if verdict.code == NO_SUCH_STREAM:
        # It ended while the order was on its way.
        raise ApiError(404, 20404, verdict.text)
    raise ApiError(400, verdict.code or BAD_VALUE, verdict.text)


def find(desk: Desk, call: Call, named: str) -> Stream:
    """Find a stream of a call by sid, else by name: the running one, else the newest.

    Raises:
        ApiError: there is none.
    """
    streams = desk.store.streams(call.sid)
    if _SID.fullmatch(named):
        found = [stream for stream in streams if stream.sid == named]
    else:
        found = [stream for stream in streams if stream.order.name == named]
    found.sort(key=lambda stream: stream.state.is_final)
    if not found:
        raise not_found(desk.path("Calls", call.sid, "Siprec", f"{named[:300]}.json"))
    return found[0]


def status_of(stream: Stream) -> str:
    """Give the status of a stream as callers know it."""
    if stream.state.is_final or stream.is_stopped or stream.state is StreamState.STOPPING:
        return "stopped"
    return "paused" if stream.state is StreamState.PAUSED else "in-progress"


def shown(desk: Desk, stream: Stream, status: str) -> dict[str, Any]:
    """Give a stream exactly as published."""
    return {
        "sid": stream.sid,
        "account_sid": stream.account_sid,
        "call_sid": stream.call_sid,
        "name": stream.order.name or None,
        "status": status,
        "date_updated": rfc2822(now_ms()),
        "uri": desk.path("Calls", stream.call_sid, "Siprec", f"{stream.sid}.json"),
    }


def full(desk: Desk, stream: Stream) -> dict[str, Any]:
    """Give a stream with what we know of it besides. No value of a parameter, no SDP."""
    last_ms = max([stream.created_ms, *(moment.at_ms for moment in stream.history)])
    return {
        **shown(desk, stream, status_of(stream)),
        "date_updated": rfc2822(last_ms),
        "date_created": rfc2822(stream.created_ms),
        "connector_name": stream.order.connector_name,
        "track": stream.order.track.value,
        "state": stream.state.value,
        "paused_sides": [side.value for side in stream.paused],
        "error_code": stream.error_code,
        "error_message": stream.error_text,
    }
