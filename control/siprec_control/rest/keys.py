"""API keys: logins with a scope."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from siprec.accounts import ApiKey, Scope
from siprec_control.rest import openapi
from siprec_control.rest.accounts import name_of
from siprec_control.rest.desk import VERSION, Desk
from siprec_control.rest.errors import bad_value, not_found
from siprec_control.rest.made import new_key
from siprec_control.rest.times import rfc2822

PATH = f"/{VERSION}/Accounts/{{account_sid}}"

router = APIRouter(tags=["Settings"])


@router.get(f"{PATH}/Keys.json", **openapi.told("listKeys", "List the API keys", openapi.KEYS))
def listed(request: Request, account_sid: str) -> JSONResponse:
    """List the account's keys, without their secrets."""
    desk = Desk(request, account_sid, Scope.ADMIN)
    return JSONResponse({"keys": [_key(key) for key in desk.store.accounts.keys(desk.account_sid)]})


@router.post(
    f"{PATH}/Keys.json",
    status_code=201,
    **openapi.told(
        "createKey", "Make an API key", openapi.NEW_KEY, status=201, form=openapi.CREATE_KEY
    ),
)
def create(request: Request, account_sid: str) -> JSONResponse:
    """Make a key. Its secret is in this answer and nowhere else."""
    desk = Desk(request, account_sid, Scope.ADMIN)
    fields = desk.form("FriendlyName", "Scope")
    scope = fields.get("Scope", Scope.ADMIN.value)
    if scope not in list(Scope):
        raise bad_value("Scope", f"{scope[:40]!r} is none of {', '.join(Scope)}")
    key, secret = new_key(desk.account_sid, name_of(fields), Scope(scope))
    desk.store.accounts.put_key(key)
    return JSONResponse({**_key(key), "secret": secret}, 201)


@router.delete(
    f"{PATH}/Keys/{{sid}}.json",
    status_code=204,
    **openapi.told("deleteKey", "Delete an API key", None, status=204),
)
def delete(request: Request, account_sid: str, sid: str) -> Response:
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
