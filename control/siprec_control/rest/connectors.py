"""Connectors: where recordings go. Secrets are taken, kept sealed, and shown to nobody.

A field of the form is one of a connector, without its underscores: `answer_s` is `AnswerS`. What
is not sent stays as it is, and what is sent empty goes back to its default. Recorders stand in
`Srs1.Uri`, `Srs1.Priority` and so on, headers in `Header1.Name`, `Header1.Value`: all or none.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from siprec.accounts import Scope
from siprec.connector import Connector, Srs
from siprec.connectors import MAX_HEADERS, MAX_SRS
from siprec.errors import ConnectorError
from siprec.record import to_plain
from siprec.tls_profile import expiring
from siprec_control.commands.connector_view import SrsView, views
from siprec_control.connector_fields import (
    CHOICES,
    DEFAULTS,
    FILES,
    FLAGS,
    LISTS,
    NUMBERS,
    SECRETS,
    WORDS,
    checked,
)
from siprec_control.rest import openapi
from siprec_control.rest.desk import VERSION, Desk, now_ms
from siprec_control.rest.errors import bad_value, not_found
from siprec_control.rest.times import rfc2822_or_none

PATH = f"/{VERSION}/Accounts/{{account_sid}}/Connectors"
_NUMBER = re.compile(r"[0-9]{1,9}")
_SRS = re.compile(r"Srs([1-9][0-9]?)\.(Uri|Priority|Weight|MaxSessions|Drained)")
_HEADER = re.compile(r"Header([1-9][0-9]?)\.(Name|Value)")
_AT = re.compile(r"srs\[(\d+)\]\.?(\w*)|headers\[(\d+)\]")


def _form_name(field: str) -> str:
    return "".join(word.capitalize() for word in field.split("_"))


FIELDS = {_form_name(each): each for each in (*CHOICES, *NUMBERS, *LISTS, *FLAGS, *WORDS, *FILES)}

_FORM = {
    **openapi.form((), **dict.fromkeys(FIELDS, openapi.TEXT)),
    "patternProperties": {
        f"^{_SRS.pattern}$": openapi.TEXT,
        f"^{_HEADER.pattern}$": openapi.TEXT,
    },
}

router = APIRouter(tags=["Settings"])


@router.get(
    f"{PATH}.json", **openapi.told("listConnectors", "List the connectors", openapi.CONNECTORS)
)
def listed(request: Request, account_sid: str) -> JSONResponse:
    """List the account's connectors, and how their recorders are."""
    desk = Desk(request, account_sid, Scope.READ)
    found = desk.store.connectors(desk.account_sid)
    show = _shower(desk)
    return JSONResponse({"connectors": [show(each) for each in found]})


@router.get(
    f"{PATH}/{{name}}.json",
    **openapi.told("fetchConnector", "Fetch a connector", openapi.CONNECTOR),
)
def fetch(request: Request, account_sid: str, name: str) -> JSONResponse:
    """Give a connector, and how its recorders are."""
    desk = Desk(request, account_sid, Scope.READ)
    return JSONResponse(_shower(desk)(_own(desk, name)))


@router.post(
    f"{PATH}/{{name}}.json",
    **openapi.told("setConnector", "Make or change a connector", openapi.CONNECTOR, form=_FORM),
)
def put(request: Request, account_sid: str, name: str) -> JSONResponse:
    """Make a connector, or change what is sent of one that there is."""
    desk = Desk(request, account_sid, Scope.ADMIN)
    fields = desk.form(*FIELDS, prefix=("Srs", "Header"))
    before = desk.store.connector(desk.account_sid, name)
    wanted = before or Connector(account_sid=desk.account_sid, name=name, srs=())
    given: dict[str, Any] = {
        field: _value(form_name, field, fields[form_name])
        for form_name, field in FIELDS.items()
        if form_name in fields
    }
    if srs := _srs_of(fields, wanted.srs):
        given["srs"] = srs
    if headers := _headers_of(fields):
        given["headers"] = tuple((name, value) for name, value in headers if name)
    if unknown := next((each for each in fields if not _is_known(each)), None):
        raise bad_value(unknown[:100], "is not known here")
    try:
        made = checked(desk.store, desk.runtime.settings, replace(wanted, **given), now_ms())
    except ConnectorError as error:
        raise bad_value(_form_field(error.field), error.why, error.code) from error
    desk.store.put_connector(made)
    return JSONResponse(_shower(desk)(made))


@router.delete(
    f"{PATH}/{{name}}.json",
    status_code=204,
    **openapi.told("deleteConnector", "Delete a connector", None, status=204),
)
def delete(request: Request, account_sid: str, name: str) -> Response:
    """Delete a connector; running streams go on."""
    desk = Desk(request, account_sid, Scope.ADMIN)
    if not desk.store.delete_connector(desk.account_sid, name):
        raise not_found(desk.path("Connectors", f"{name[:200]}.json"))
    return Response(status_code=204)


def _own(desk: Desk, name: str) -> Connector:
    connector = desk.store.connector(desk.account_sid, name)
    if connector is None:
        raise not_found(desk.path("Connectors", f"{name[:200]}.json"))
    return connector


# What was sent


def _is_known(name: str) -> bool:
    return name in FIELDS or bool(_SRS.fullmatch(name) or _HEADER.fullmatch(name))


def _value(form_name: str, field: str, text: str) -> Any:
    """Read the value of a field; "" is its default."""
    if not text:
        return DEFAULTS[field]
    if field in CHOICES:
        kind, _ = CHOICES[field]
        if text not in list(kind):
            raise bad_value(form_name, f"{text[:40]!r} is none of {', '.join(kind)}")
        return kind(text)
    if field in NUMBERS:
        return _number(form_name, text)
    if field in FLAGS:
        return _flag(form_name, text)
    if field in LISTS:
        return tuple(each.strip() for each in text.split(","))
    return text


def _number(form_name: str, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise bad_value(form_name, f"{text[:40]!r} is no number")
    return int(text)


def _flag(form_name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise bad_value(form_name, f"{text[:40]!r} is none of true, false")
    return text == "true"


def _grouped(
    fields: dict[str, str], what: str, shape: re.Pattern[str], at_most: int
) -> list[dict[str, str]]:
    """Give what stands under each number, from 1 on without a gap."""
    groups: dict[int, dict[str, str]] = {}
    for name, text in fields.items():
        if match := shape.fullmatch(name):
            groups.setdefault(int(match[1]), {})[match[2]] = text
    for number in groups:
        if number > at_most:
            raise bad_value(f"{what}{number}", f"is too many: {at_most} may stand there")
        if number > 1 and number - 1 not in groups:
            raise bad_value(f"{what}{number - 1}", f"is missing, as there is {what}{number}")
    return [group for _, group in sorted(groups.items())]


def _srs_of(fields: dict[str, str], before: tuple[Srs, ...]) -> tuple[Srs, ...]:
    """Read the recorders; one that was drained stays so, unless it is said."""
    drained = {srs.uri for srs in before if srs.drained}
    found = []
    for number, group in enumerate(_grouped(fields, "Srs", _SRS, MAX_SRS), 1):
        at = f"Srs{number}"
        uri = group.get("Uri", "")
        if not uri:
            raise bad_value(f"{at}.Uri", "is missing")
        limit, flag = group.get("MaxSessions", ""), group.get("Drained", "")
        found.append(
            Srs(
                uri=uri,
                priority=_number(f"{at}.Priority", group.get("Priority") or "1"),
                weight=_number(f"{at}.Weight", group.get("Weight") or "1"),
                max_sessions=_number(f"{at}.MaxSessions", limit) if limit else None,
                drained=_flag(f"{at}.Drained", flag) if flag else uri in drained,
            )
        )
    return tuple(found)


def _headers_of(fields: dict[str, str]) -> list[tuple[str, str]]:
    """Read the headers; one without a name stands for none."""
    groups = _grouped(fields, "Header", _HEADER, MAX_HEADERS)
    return [(group.get("Name", ""), group.get("Value", "")) for group in groups]


def _form_field(field: str) -> str:
    """Name the field of the form that a field of a connector came from."""
    match = _AT.fullmatch(field)
    if match is None:
        return {"name": "name", "srs": "Srs1.Uri"}.get(field, _form_name(field))
    if match[3] is not None:
        return f"Header{int(match[3]) + 1}.Name"
    return f"Srs{int(match[1]) + 1}.{_form_name(match[2] or 'uri')}"


# What is shown


def _shower(desk: Desk) -> Callable[[Connector], dict[str, Any]]:
    """Give what shows connectors, with the health of recorders as it is now."""
    at_ms = now_ms()
    healths, loads = desk.store.healths(), desk.store.loads(at_ms)

    def show(connector: Connector) -> dict[str, Any]:
        plain = {
            name: value
            for name, value in to_plain(connector).items()
            if name not in (*SECRETS, "srs", "headers")
        }
        return {
            **plain,
            **{f"has_{name}": bool(getattr(connector, name)) for name in SECRETS},
            "headers": [{"name": name, "value": value} for name, value in connector.headers],
            "srs": [_srs(view) for view in views(connector, healths, loads, at_ms)],
            "warnings": list(expiring(connector, at_ms)),
            "uri": desk.path("Connectors", f"{connector.name}.json"),
        }

    return show


def _srs(view: SrsView) -> dict[str, Any]:
    health = view.health
    return {
        **to_plain(view.srs),
        "reachable": health.reachable,
        "date_checked": rfc2822_or_none(health.checked_ms or None),
        "date_changed": rfc2822_or_none(health.since_ms or None),
        "date_answered": rfc2822_or_none(health.answered_ms or None),
        "date_certificate_expires": rfc2822_or_none(health.certificate_until_ms),
        "sessions": view.sessions,
        "circuit": view.circuit or None,
        "last_failure": view.last or None,
    }
