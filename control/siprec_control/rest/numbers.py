"""Numbers: what calls to them do."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from siprec.accounts import Scope
from siprec.errors import NumberError, TwimlError
from siprec.model import CallbackMethod
from siprec.numbers import Number, parse_pattern
from siprec.record import to_json, to_plain
from siprec.twiml import compile_document
from siprec_control.rest import openapi
from siprec_control.rest.desk import VERSION, Desk
from siprec_control.rest.errors import bad_value, not_found
from siprec_control.rest.url_fields import URL_FIELDS, sources_of

PATH = f"/{VERSION}/Accounts/{{account_sid}}"

router = APIRouter(tags=["Settings"])


@router.get(
    f"{PATH}/Numbers.json", **openapi.told("listNumbers", "List the numbers", openapi.NUMBERS)
)
def listed(request: Request, account_sid: str) -> JSONResponse:
    """List the account's numbers."""
    desk = Desk(request, account_sid, Scope.READ)
    found = desk.store.numbers(desk.account_sid)
    return JSONResponse({"numbers": [_number(desk, number) for number in found]})


@router.get(
    f"{PATH}/Numbers/{{number}}.json",
    **openapi.told("fetchNumber", "Fetch a number", openapi.NUMBER),
)
def fetch(request: Request, account_sid: str, number: str) -> JSONResponse:
    """Give a number with its document."""
    desk = Desk(request, account_sid, Scope.READ)
    return JSONResponse(_number(desk, _own(desk, number)))


@router.post(
    f"{PATH}/Numbers/{{number}}.json",
    **openapi.told("setNumber", "Set a number", openapi.NUMBER, form=openapi.SET_NUMBER),
)
def put(request: Request, account_sid: str, number: str) -> JSONResponse:
    """Let a number follow its own document, or one of the web."""
    desk = Desk(request, account_sid, Scope.ADMIN)
    fields = desk.form("Twiml", *URL_FIELDS)
    if not {"Twiml", "Url"} & fields.keys():
        raise bad_value("Twiml", "is missing; or Url")
    text = fields.get("Twiml")
    sources = sources_of(fields)
    if sources and "Url" not in fields:
        raise bad_value("FallbackUrl", "goes with Url only")
    try:
        pattern = parse_pattern(number)
        program = None
        if text is not None:
            program = to_json(compile_document(text.encode("utf-8", "surrogateescape")))
    except NumberError as error:
        raise bad_value("number", error.why) from error
    except TwimlError as error:
        raise bad_value("Twiml", str(error), error.code) from error
    before = desk.store.number(pattern)
    if before is not None and before.account_sid != desk.account_sid:
        raise bad_value("number", "cannot be set by this account")
    made = Number(
        pattern=pattern,
        account_sid=desk.account_sid,
        twiml=text or "",
        program=program or "",
        url=fields.get("Url", ""),
        method=_method(fields, "Method"),
        fallback_url=fields.get("FallbackUrl", ""),
        fallback_method=_method(fields, "FallbackMethod"),
    )
    desk.store.put_number(made)
    return JSONResponse(_number(desk, made))


@router.delete(
    f"{PATH}/Numbers/{{number}}.json",
    status_code=204,
    **openapi.told("deleteNumber", "Delete a number", None, status=204),
)
def delete(request: Request, account_sid: str, number: str) -> Response:
    """Delete a number."""
    desk = Desk(request, account_sid, Scope.ADMIN)
    desk.store.delete_number(_own(desk, number).pattern)
    return Response(status_code=204)


def _own(desk: Desk, pattern: str) -> Number:
    number = desk.store.number(pattern)
    if number is None or number.account_sid != desk.account_sid:
        raise not_found(desk.path("Numbers", f"{pattern[:200]}.json"))
    return number


def _method(fields: dict[str, str], name: str) -> CallbackMethod:
    return CallbackMethod(fields.get(name, CallbackMethod.POST.value))


def _number(desk: Desk, number: Number) -> dict[str, Any]:
    plain = to_plain(number)
    del plain["pattern"], plain["program"]
    uri = desk.path("Numbers", f"{number.pattern}.json")
    return {"number": number.pattern, **plain, "uri": uri}
