"""The application: routes, errors as JSON, the entrance before all, its OpenAPI document."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from siprec.order_store import NoVerdict
from siprec.record import RecordError
from siprec.store import Store, StoreUnavailable
from siprec_control.console.door import make_door
from siprec_control.console.routes import router as console
from siprec_control.rest import (
    accounts,
    alerts,
    calls,
    connectors,
    edges,
    health,
    keys,
    numbers,
    siprecs,
)
from siprec_control.rest.desk import Office
from siprec_control.rest.entrance import Entrance
from siprec_control.rest.errors import BAD_VALUE, NO_METHOD, ApiError, not_found, unavailable
from siprec_control.rest.limits import Buckets

ROOMS = (siprecs, calls, alerts, connectors, numbers, edges, keys, accounts, health)


def make_app(office: Office, quick: Store, say: Callable[[str], None]) -> ASGIApp:
    """Build the application; `say` gets the lines of its log.

    `quick` is a store that gives Redis up soon, for what is asked before anything is done.
    """
    app = make_api()
    app.state.office = office
    app.state.readiness = health.Readiness(quick)
    app.include_router(console)
    app.state.door = door = make_door(office.store, office.runtime)
    control = office.runtime.settings.control
    buckets = Buckets(control.requests_per_s, control.requests_burst)
    return Entrance(app, accounts=quick.accounts, buckets=buckets, say=say, door=door)


def make_api() -> FastAPI:
    """Build the routes alone, with their OpenAPI document."""
    app = FastAPI(
        title="kamailio-siprec",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for room in ROOMS:
        app.include_router(room.router)
    app.add_exception_handler(ApiError, _refused)
    app.add_exception_handler(HTTPException, _not_routed)
    for kind in (StoreUnavailable, NoVerdict, RecordError):
        app.add_exception_handler(kind, _unavailable)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _answer(error: ApiError) -> JSONResponse:
    return JSONResponse(error.body(), error.status, error.headers)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return _answer(error)


async def _not_routed(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _answer(not_found(request.url.path[:300]))
    headers = dict(error.headers or {})
    if error.status_code == 405:
        return _answer(ApiError(405, NO_METHOD, "Method not allowed", headers))
    return _answer(ApiError(error.status_code, BAD_VALUE, str(error.detail), headers))


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    if isinstance(error, RecordError):
        return _answer(unavailable("Something that is kept cannot be read: ask who runs this"))
    why = "Redis does not answer" if isinstance(error, StoreUnavailable) else str(error)
    return _answer(unavailable(why))


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["basic"] = {"type": "http", "scheme": "basic"}
        document["security"] = [{"basic": []}]
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
        document["components"].pop("schemas", None)
        app.openapi_schema = document
    return app.openapi_schema
