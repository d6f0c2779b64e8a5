"""The Call resource, as far as it makes sense for calls that a proxy carries."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from siprec.accounts import Scope
from siprec.call_parameters import API_VERSION, DIRECTION, call_status, called_of, caller_of
from siprec.model import Call
from siprec_control.rest import openapi, paging, updates
from siprec_control.rest.desk import VERSION, Desk
from siprec_control.rest.errors import (
    BAD_VALUE,
    NO_ORIGINATION,
    NOT_IN_PROGRESS,
    ApiError,
    bad_value,
)
from siprec_control.rest.times import parse_time, rfc2822, rfc2822_or_none

PATH = f"/{VERSION}/Accounts/{{account_sid}}/Calls"
STATUSES = (
    "queued",
    "ringing",
    "in-progress",
    "canceled",
    "completed",
    "failed",
    "busy",
    "no-answer",
)
_LIVE = ("ringing", "in-progress")
_TIMES = tuple(f"{name}{sign}" for name in ("StartTime", "EndTime") for sign in ("", "<", ">"))
FILTERS = ("Status", "To", "From", "ParentCallSid", *_TIMES)

router = APIRouter(tags=["Call"])


@router.get(
    f"{PATH}.json",
    **openapi.told(
        "listCalls", "List calls, newest first", openapi.CALLS, query=(*FILTERS, *paging.FIELDS)
    ),
)
def listed(request: Request, account_sid: str) -> JSONResponse:
    """List the calls of the account, newest first."""
    desk = Desk(request, account_sid, Scope.READ)
    query = desk.query(*FILTERS, *paging.FIELDS)
    status = query.get("Status", "")
    if status and status not in STATUSES:
        raise bad_value("Status", f"{status[:40]!r} is none of {', '.join(STATUSES)}")
    spans = _spans(query)
    calls = desk.store.calls() if status in _LIVE else desk.store.lists.newest()
    own = (
        call for call in calls if call.account_sid == desk.account_sid and _fits(call, query, spans)
    )
    page = paging.page_of(own, lambda call: (call.started_ms, call.sid), query)
    links = page.links(desk.path("Calls.json"), query)
    start = page.number * page.size
    return JSONResponse(
        {
            "calls": [shown(desk, call) for call in page.items],
            "page": page.number,
            "page_size": page.size,
            "start": start,
            "end": start + max(len(page.items) - 1, 0),
            **{f"{name}_uri" if name else "uri": link for name, link in links.items()},
        }
    )


@router.post(
    f"{PATH}.json",
    status_code=400,
    **openapi.told(
        "createCall",
        "Refused: calls are not originated here",
        None,
        status=400,
        form=openapi.ANY_FORM,
    ),
)
def create(request: Request, account_sid: str) -> JSONResponse:
    """Refuse: we carry and record calls, and place none."""
    Desk(request, account_sid, Scope.CONTROL)
    raise ApiError(400, NO_ORIGINATION, "Calls are not originated here, only carried and recorded")


@router.get(f"{PATH}/{{call_sid}}.json", **openapi.told("fetchCall", "Fetch a call", openapi.CALL))
def fetch(request: Request, account_sid: str, call_sid: str) -> JSONResponse:
    """Give a call."""
    desk = Desk(request, account_sid, Scope.READ)
    return JSONResponse(shown(desk, desk.call(call_sid)))


@router.post(
    f"{PATH}/{{call_sid}}.json",
    **openapi.told(
        "updateCall",
        "Change a live call by a document, hang it up, or cancel it while it rings",
        openapi.CALL,
        form=openapi.UPDATE_CALL,
    ),
)
def update(request: Request, account_sid: str, call_sid: str) -> JSONResponse:
    """Let a live call follow `Twiml` or `Url`, or end it with `Status=completed`."""
    desk = Desk(request, account_sid, Scope.CONTROL)
    call = desk.call(call_sid)
    fields = desk.form("Status", *updates.FIELDS)
    if len({"Status", "Twiml", "Url"} & fields.keys()) != 1:
        raise ApiError(400, BAD_VALUE, "One of Status, Twiml and Url is needed, and one only")
    status = fields.get("Status")
    document = updates.read_update(call, fields) if status is None else None
    if status is not None and len(fields) > 1:
        raise bad_value(next(name for name in fields if name != "Status"), "goes with Url only")
    if status not in (None, "completed", "canceled"):
        raise bad_value("Status", f"{status[:40]!r} is none of completed, canceled")
    if status == "completed" and call.ended_ms is not None:
        return JSONResponse(shown(desk, call))
    if not call.is_live:
        raise ApiError(400, NOT_IN_PROGRESS, f"Call {call.sid} is not in progress")
    if status == "canceled" and call.answered_ms is not None:
        why = f"Call {call.sid} was answered; Status=completed ends it"
        raise ApiError(400, NOT_IN_PROGRESS, why)
    if document is None:
        desk.store.documents.remove(call.account_sid, call.sid)
        updates.end(desk, call)
    elif call.has_media:
        updates.follow(desk, call, document)
    else:
        raise ApiError(400, NOT_IN_PROGRESS, f"Call {call.sid} rings, and follows none yet")
    return JSONResponse(shown(desk, desk.call(call_sid)))


def shown(desk: Desk, call: Call) -> dict[str, Any]:
    """Give a call as published."""
    began_ms, ended_ms = call.answered_ms or call.started_ms, call.ended_ms
    is_over = call.answered_ms is not None and ended_ms is not None
    duration = str(max(0, (ended_ms or 0) - began_ms) // 1000) if is_over else None
    nobody = dict.fromkeys(
        (
            "parent_call_sid",
            "phone_number_sid",
            "price",
            "answered_by",
            "annotation",
            "forwarded_from",
            "group_sid",
            "trunk_sid",
        )
    )
    to, from_ = called_of(call), caller_of(call)
    return {
        **nobody,
        "sid": call.sid,
        "account_sid": call.account_sid,
        "to": to,
        "to_formatted": to,
        "from": from_,
        "from_formatted": from_,
        "caller_name": call.caller.name or None,
        "status": call_status(call),
        "direction": DIRECTION,
        "api_version": API_VERSION,
        "start_time": rfc2822(began_ms),
        "end_time": rfc2822_or_none(ended_ms),
        "duration": duration,
        "date_created": rfc2822(call.started_ms),
        "date_updated": rfc2822(ended_ms or began_ms),
        "price_unit": "USD",
        "queue_time": "0",
        "uri": desk.path("Calls", f"{call.sid}.json"),
        "subresource_uris": {"siprec": desk.path("Calls", call.sid, "Siprec.json")},
    }


def _spans(query: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    return {name: parse_time(name, query[name]) for name in _TIMES if query.get(name)}


def _fits(call: Call, query: Mapping[str, str], spans: Mapping[str, tuple[int, int]]) -> bool:
    if query.get("ParentCallSid"):
        return False
    if (status := query.get("Status")) and call_status(call) != status:
        return False
    if (to := query.get("To")) and called_of(call) != to:
        return False
    if (from_ := query.get("From")) and caller_of(call) != from_:
        return False
    for name, (first_ms, last_ms) in spans.items():
        at_ms = call.ended_ms if name.startswith("End") else call.answered_ms or call.started_ms
        if at_ms is None:
            return False
        if not name.endswith("<") and at_ms < first_ms:
            return False
        if not name.endswith(">") and at_ms > last_ms:
            return False
    return True
