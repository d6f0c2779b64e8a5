"""Health and readiness, for those who watch over processes. No login, and nothing to learn."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from siprec.sids import SHARDS
from siprec.store import StoreUnavailable
from siprec_control.rest import openapi

router = APIRouter(tags=["Health"])


@router.get("/healthz", **openapi.told("health", "The process lives", openapi.HEALTH, is_open=True))
async def health() -> JSONResponse:
    """Say that this process answers."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz", **openapi.told("readiness", "Orders are carried out", openapi.HEALTH, is_open=True)
)
def readiness(request: Request) -> JSONResponse:
    """Say whether orders would be carried out: Redis is there, and controllers own all shards."""
    try:
        leased = request.app.state.office.store.leased_shards()
    except StoreUnavailable:
        return JSONResponse({"status": "not ready", "why": "Redis does not answer"}, 503)
    if leased < SHARDS:
        why = f"controllers own {leased} of {SHARDS} shards"
        return JSONResponse({"status": "not ready", "why": why}, 503)
    return JSONResponse({"status": "ready"})
