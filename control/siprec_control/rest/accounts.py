"""Accounts: who owns numbers, connectors, keys and calls."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from siprec.accounts import Account, Scope, name_fault
from siprec.model import CallbackMethod
from siprec_control.rest import openapi
from siprec_control.rest.desk import VERSION, Desk
from siprec_control.rest.errors import NOT_ALLOWED, ApiError, bad_value, not_found
from siprec_control.rest.made import delete_fault, new_account
from siprec_control.rest.times import rfc2822
from siprec_web.errors import UrlError
from siprec_web.overrides import parse_url

PATH = f"/{VERSION}/Accounts"
_STATUSES = ("active", "closed")

router = APIRouter(tags=["Settings"])


@router.get(f"{PATH}.json", **openapi.told("listAccounts", "List the accounts", openapi.ACCOUNTS))
def listed(request: Request) -> JSONResponse:
    """List the accounts: the default one sees all, another itself."""
    desk = Desk(request, None, Scope.ADMIN)
    found = desk.store.accounts.accounts()
    own = [one for one in found if desk.is_operator or one.sid == desk.account_sid]
    return JSONResponse({"accounts": [_shown(account) for account in own]})


@router.post(
    f"{PATH}.json",
    status_code=201,
    **openapi.told(
        "createAccount",
        "Make an account",
        openapi.NEW_ACCOUNT,
        status=201,
        form=openapi.CREATE_ACCOUNT,
    ),
)
def create(request: Request) -> JSONResponse:
    """Make an account; for the default account only. Its token is in this answer."""
    desk = Desk(request, None, Scope.ADMIN)
    _need_operator(desk, "makes accounts")
    account = new_account(name_of(desk.form("FriendlyName")))
    desk.store.accounts.put(account)
    return JSONResponse({**_shown(account), "auth_token": account.token}, 201)


@router.get(
    f"{PATH}/{{account_sid}}.json",
    **openapi.told("fetchAccount", "Fetch an account", openapi.ACCOUNT),
)
def fetch(request: Request, account_sid: str) -> JSONResponse:
    """Give an account: the default one sees all, another itself."""
    return JSONResponse(_shown(_seen(Desk(request, None, Scope.ADMIN), account_sid)))


@router.post(
    f"{PATH}/{{account_sid}}.json",
    **openapi.told(
        "updateAccount", "Change or close an account", openapi.ACCOUNT, form=openapi.UPDATE_ACCOUNT
    ),
)
def update(request: Request, account_sid: str) -> JSONResponse:
    """Change what is sent; `Status=closed` is as `DELETE`."""
    desk = Desk(request, None, Scope.ADMIN)
    account = _seen(desk, account_sid)
    fields = desk.form("FriendlyName", "Status", "DebuggerUrl", "DebuggerMethod")
    status = fields.get("Status", _STATUSES[0])
    if status not in _STATUSES:
        raise bad_value("Status", f"{status[:40]!r} is none of {', '.join(_STATUSES)}")
    method = fields.get("DebuggerMethod", account.debugger_method.value)
    if method not in list(CallbackMethod):
        raise bad_value("DebuggerMethod", f"{method[:40]!r} is none of GET, POST")
    url = fields.get("DebuggerUrl", account.debugger_url)
    try:
        parse_url(url or "http://none/")
    except UrlError as error:
        raise bad_value("DebuggerUrl", str(error)) from error
    changed = replace(account, debugger_url=url, debugger_method=CallbackMethod(method))
    if "FriendlyName" in fields:
        changed = replace(changed, name=name_of(fields))
    if status == "closed":
        _close(desk, account)
    else:
        desk.store.accounts.put(changed)
    return JSONResponse(_shown(changed, status))


@router.delete(
    f"{PATH}/{{account_sid}}.json",
    status_code=204,
    **openapi.told("deleteAccount", "Delete an account", None, status=204),
)
def delete(request: Request, account_sid: str) -> Response:
    """Delete an account that owns no number any more, and its keys. Its calls go on."""
    desk = Desk(request, None, Scope.ADMIN)
    _close(desk, _seen(desk, account_sid))
    return Response(status_code=204)


def _close(desk: Desk, account: Account) -> None:
    _need_operator(desk, "closes accounts")
    if why := delete_fault(desk.store, account, desk.account_sid):
        raise ApiError(400, NOT_ALLOWED, why)
    desk.store.accounts.delete(account.sid)


def _need_operator(desk: Desk, does: str) -> None:
    if not desk.is_operator:
        raise ApiError(403, NOT_ALLOWED, f"Only the default account {does}")


def _seen(desk: Desk, sid: str) -> Account:
    seen = desk.is_operator or sid == desk.account_sid
    account = desk.store.accounts.account(sid) if seen else None
    if account is None:
        raise not_found(f"{PATH}/{sid[:200]}.json")
    return account


def name_of(fields: Mapping[str, str]) -> str:
    """Read FriendlyName.

    Raises:
        ApiError: it cannot be one.
    """
    name = fields.get("FriendlyName", "")
    if why := name_fault(name):
        raise bad_value("FriendlyName", why)
    return name


def _shown(account: Account, status: str = "active") -> dict[str, Any]:
    made = rfc2822(account.created_ms)
    return {
        "sid": account.sid,
        "friendly_name": account.name,
        "status": status,
        "date_created": made,
        "date_updated": made,
        "debugger_url": account.debugger_url or None,
        "debugger_method": account.debugger_method.value,
        "uri": f"{PATH}/{account.sid}.json",
    }
