"""The Alert resource of the published Monitor: what went wrong, newest first."""

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from siprec.accounts import Scope
from siprec.alerts import Alert
from siprec.sids import SidError
from siprec_control.rest import openapi, paging
from siprec_control.rest.desk import VERSION, Desk
from siprec_control.rest.errors import MORE_INFO, bad_value, not_found
from siprec_control.rest.times import iso8601, parse_time

LEVELS = ("error", "warning", "notice", "debug")
FILTERS = ("LogLevel", "StartDate", "EndDate")

router = APIRouter(tags=["Alert"])


@router.get(
    "/v1/Alerts",
    **openapi.told(
        "listAlerts", "List alerts, newest first", openapi.ALERTS, query=(*FILTERS, *paging.FIELDS)
    ),
)
def listed(request: Request) -> JSONResponse:
    """List the alerts of the account, newest first."""
    desk = Desk(request, None, Scope.READ)
    query = desk.query(*FILTERS, *paging.FIELDS)
    level = query.get("LogLevel", "")
    if level and level not in LEVELS:
        raise bad_value("LogLevel", f"{level[:40]!r} is none of {', '.join(LEVELS)}")
    first_ms = parse_time("StartDate", query["StartDate"])[0] if query.get("StartDate") else 0
    last_ms = parse_time("EndDate", query["EndDate"])[1] if query.get("EndDate") else None
    mine = _mine(desk)
    alerts = (
        alert
        for alert in desk.store.alert_lists.newest()
        if alert.account_sid in mine
        and (not level or alert.level.value == level)
        and alert.created_ms >= first_ms
        and (last_ms is None or alert.created_ms <= last_ms)
    )
    page = paging.page_of(alerts, lambda alert: (alert.created_ms, alert.sid), query)
    links = page.links(f"{desk.base()}/v1/Alerts", query)
    meta = {
        "key": "alerts",
        "page": page.number,
        "page_size": page.size,
        **{f"{name}_url" if name else "url": link for name, link in links.items()},
    }
    return JSONResponse({"alerts": [shown(desk, alert) for alert in page.items], "meta": meta})


@router.get("/v1/Alerts/{sid}", **openapi.told("fetchAlert", "Fetch an alert", openapi.ALERT_FULL))
def fetch(request: Request, sid: str) -> JSONResponse:
    """Give an alert."""
    desk = Desk(request, None, Scope.READ)
    try:
        alert = desk.store.alert(sid)
    except SidError:
        alert = None
    if alert is None or alert.account_sid not in _mine(desk):
        raise not_found(f"/v1/Alerts/{sid[:64]}")
    request_of = alert.request
    return JSONResponse(
        {
            **shown(desk, alert),
            "request_variables": _variables(alert) or None,
            "request_headers": None,
            "response_body": None if request_of is None else request_of.body,
            "response_headers": None if request_of is None else request_of.headers,
        }
    )


def _variables(alert: Alert) -> str:
    """Give what the request concerned had sent; without one what the alert is about."""
    if alert.request is not None:
        return alert.request.variables
    told = {
        "CallSid": alert.call_sid,
        "SiprecSid": alert.stream_sid,
        "ConnectorName": alert.connector_name,
        "Srs": alert.srs,
        "SipStatus": alert.sip_status,
        "SipReason": alert.sip_reason,
    }
    known = {name: value for name, value in told.items() if value is not None}
    return urlencode(known, errors="replace")


def _mine(desk: Desk) -> tuple[str, ...]:
    """Say whose alerts are shown: those of no account are for who runs the stack."""
    return (desk.account_sid, "") if desk.is_operator else (desk.account_sid,)


def shown(desk: Desk, alert: Alert) -> dict[str, Any]:
    """Give an alert as published."""
    at = iso8601(alert.created_ms)
    return {
        "sid": alert.sid,
        "account_sid": alert.account_sid or desk.account_sid,
        "error_code": str(alert.code),
        "log_level": alert.level.value,
        "alert_text": alert.text,
        "more_info": f"{MORE_INFO}{alert.code}",
        "request_method": None if alert.request is None else alert.request.method,
        "request_url": None if alert.request is None else alert.request.url,
        "resource_sid": alert.call_sid,
        "service_sid": None,
        "api_version": VERSION,
        "date_created": at,
        "date_generated": at,
        "date_updated": at,
        "url": f"{desk.base()}/v1/Alerts/{alert.sid}",
        "siprec_sid": alert.stream_sid,
        "connector_name": alert.connector_name,
        "srs": alert.srs,
        "sip_status": alert.sip_status,
        "sip_reason": alert.sip_reason,
        "advice": alert.advice or None,
    }
