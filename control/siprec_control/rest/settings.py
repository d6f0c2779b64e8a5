"""What an account sets and owns: numbers, keys, accounts; and the edges that recorders allow."""

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from siprec.accounts import Account, ApiKey, Scope, name_fault
from siprec.errors import NumberError, TwimlError
from siprec.numbers import Number, parse_pattern
from siprec.record import to_json, to_plain
from siprec.twiml import compile_document
from siprec_control.edges import paths
from siprec_control.rest import openapi
from siprec_control.rest.desk import VERSION, Desk
from siprec_control.rest.errors import NOT_ALLOWED, ApiError, bad_value, not_found
from siprec_control.rest.made import new_account, new_key
from siprec_control.rest.times import rfc2822

PATH = f"/{VERSION}/Accounts/{{account_sid}}"
_NUMBER = openapi.form(("Twiml",), Twiml=openapi.TEXT)

router = APIRouter(tags=["Settings"])


@router.get(f"{PATH}/Edges.json", **openapi.told("listEdges", "List the edges", openapi.ANYTHING))
def list_edges(request: Request, account_sid: str) -> JSONResponse:
    """List what a recorder must allow, for each edge."""
    runtime = Desk(request, account_sid, Scope.READ).runtime
    settings = runtime.settings
    if runtime.embeds_rtpengine:
        settings = replace(settings, rtpengine=replace(settings.rtpengine, ng=()))
    return JSONResponse({"edges": [to_plain(path) for path in paths(settings)]})


@router.get(
    f"{PATH}/Numbers.json", **openapi.told("listNumbers", "List the numbers", openapi.ANYTHING)
)
def list_numbers(request: Request, account_sid: str) -> JSONResponse:
    """List the account's numbers."""
    desk = Desk(request, account_sid, Scope.READ)
    found = desk.store.numbers(desk.account_sid)
    return JSONResponse({"numbers": [_number(number) for number in found]})


@router.get(
    f"{PATH}/Numbers/{{number}}.json",
    **openapi.told("fetchNumber", "Fetch a number", openapi.ANYTHING),
)
def fetch_number(request: Request, account_sid: str, number: str) -> JSONResponse:
    """Give a number with its document."""
    return JSONResponse(_number(_own_number(Desk(request, account_sid, Scope.READ), number)))


@router.post(
    f"{PATH}/Numbers/{{number}}.json",
    **openapi.told("setNumber", "Set a number", openapi.ANYTHING, form=_NUMBER),
)
def set_number(request: Request, account_sid: str, number: str) -> JSONResponse:
    """Let a number follow a document."""
    desk = Desk(request, account_sid, Scope.ADMIN)
    text = desk.form("Twiml").get("Twiml", "")
    try:
        pattern = parse_pattern(number)
        program = compile_document(text.encode("utf-8", "surrogateescape"))
    except NumberError as error:
        raise bad_value("number", error.why) from error
    except TwimlError as error:
        raise bad_value("Twiml", str(error), error.code) from error
    before = desk.store.number(pattern)
    if before is not None and before.account_sid != desk.account_sid:
        raise bad_value("number", "cannot be set by this account")
    made = Number(
        pattern=pattern, account_sid=desk.account_sid, twiml=text, program=to_json(program)
    )
    desk.store.put_number(made)
    return JSONResponse(_number(made))


@router.delete(
    f"{PATH}/Numbers/{{number}}.json",
    status_code=204,
    **openapi.told("deleteNumber", "Delete a number", None, status=204),
)
def delete_number(request: Request, account_sid: str, number: str) -> Response:
    """Delete a number."""
    desk = Desk(request, account_sid, Scope.ADMIN)
    desk.store.delete_number(_own_number(desk, number).pattern)
    return Response(status_code=204)


def _own_number(desk: Desk, pattern: str) -> Number:
    number = desk.store.number(pattern)
    if number is None or number.account_sid != desk.account_sid:
        raise not_found(desk.path("Numbers", f"{pattern[:200]}.json"))
    return number


def _number(number: Number) -> dict[str, Any]:
    return {
        "number": number.pattern,
        "account_sid": number.account_sid,
        "twiml": number.twiml,
    }


@router.get(f"{PATH}/Keys.json", **openapi.told("listKeys", "List the API keys", openapi.ANYTHING))
def list_keys(request: Request, account_sid: str) -> JSONResponse:
    """List the account's keys, without their secrets."""
    desk = Desk(request, account_sid, Scope.ADMIN)
    return JSONResponse({"keys": [_key(key) for key in desk.store.accounts.keys(desk.account_sid)]})


@router.post(
    f"{PATH}/Keys.json",
    status_code=201,
    **openapi.told(
        "createKey", "Make an API key", openapi.ANYTHING, status=201, form=openapi.NEW_KEY
    ),
)
def create_key(request: Request, account_sid: str) -> JSONResponse:
    """Make a key. Its secret is in this answer and nowhere else."""
    desk = Desk(request, account_sid, Scope.ADMIN)
    fields = desk.form("FriendlyName", "Scope")
    scope = fields.get("Scope", Scope.ADMIN.value)
    if scope not in list(Scope):
        raise bad_value("Scope", f"{scope[:40]!r} is none of {', '.join(Scope)}")
    key, secret = new_key(desk.account_sid, _name(fields), Scope(scope))
    desk.store.accounts.put_key(key)
    return JSONResponse({**_key(key), "secret": secret}, 201)


@router.delete(
    f"{PATH}/Keys/{{sid}}.json",
    status_code=204,
    **openapi.told("deleteKey", "Delete an API key", None, status=204),
)
def delete_key(request: Request, account_sid: str, sid: str) -> Response:
    """Delete a key; whoever uses it is refused from now on."""
    desk = Desk(request, account_sid, Scope.ADMIN)
    if not desk.store.accounts.delete_key(desk.account_sid, sid):
        raise not_found(desk.path("Keys", f"{sid[:64]}.json"))
    return Response(status_code=204)


def _key(key: ApiKey) -> dict[str, Any]:
    made = rfc2822(key.created_ms)
    return {
        "sid": key.sid,
        "friendly_name": key.name,
        "scope": key.scope.value,
        "date_created": made,
        "date_updated": made,
    }


@router.get(
    f"/{VERSION}/Accounts.json",
    **openapi.told("listAccounts", "List the accounts", openapi.ANYTHING),
)
def list_accounts(request: Request) -> JSONResponse:
    """List the accounts: the default one sees all, another itself."""
    desk = Desk(request, None, Scope.ADMIN)
    found = desk.store.accounts.accounts()
    own = [one for one in found if desk.is_operator or one.sid == desk.account_sid]
    return JSONResponse({"accounts": [_account(account) for account in own]})


@router.post(
    f"/{VERSION}/Accounts.json",
    status_code=201,
    **openapi.told(
        "createAccount", "Make an account", openapi.ANYTHING, status=201, form=openapi.NAMED
    ),
)
def create_account(request: Request) -> JSONResponse:
    """Make an account; for the default account only. Its token is in this answer."""
    desk = Desk(request, None, Scope.ADMIN)
    if not desk.is_operator:
        raise ApiError(403, NOT_ALLOWED, "Only the default account makes accounts")
    account = new_account(_name(desk.form("FriendlyName")))
    desk.store.accounts.put(account)
    return JSONResponse({**_account(account), "auth_token": account.token}, 201)


def _name(fields: dict[str, str]) -> str:
    name = fields.get("FriendlyName", "")
    if why := name_fault(name):
        raise bad_value("FriendlyName", why)
    return name


def _account(account: Account) -> dict[str, Any]:
    return {
        "sid": account.sid,
        "friendly_name": account.name,
        "status": "active",
        "date_created": rfc2822(account.created_ms),
    }
