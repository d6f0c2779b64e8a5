"""Health and readiness, for those who watch over processes. No login, and nothing to learn."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from siprec.sids import SHARDS
from siprec.store import Store, StoreUnavailable
from siprec_control.rest import openapi

ANSWER_S = 2.0
NO_REDIS = "Redis does not answer"

router = APIRouter(tags=["Health"])


@router.get("/healthz", **openapi.told("health", "The process lives", openapi.HEALTH, is_open=True))
async def health() -> JSONResponse:
    """Say that this process answers."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz", **openapi.told("readiness", "Orders are carried out", openapi.HEALTH, is_open=True)
)
async def readiness(request: Request) -> JSONResponse:
    """Say whether orders would be carried out: Redis is there, and controllers own all shards."""
    why = await request.app.state.readiness.why_not()
    if why:
        return JSONResponse({"status": "not ready", "why": why}, 503)
    return JSONResponse({"status": "ready"})


class Readiness:
    """One look at Redis at a time, whoever asks, in a thread that no other request waits for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="readiness")
        self._look: asyncio.Future[str] | None = None

    async def why_not(self) -> str:
        """Say why orders would not be carried out, "" when they would, within ANSWER_S."""
        if self._look is None or self._look.done():
            loop = asyncio.get_running_loop()
            self._look = loop.run_in_executor(self._thread, self._ask)
        try:
            return await asyncio.wait_for(asyncio.shield(self._look), ANSWER_S)
        except TimeoutError:
            return NO_REDIS

    def _ask(self) -> str:
        try:
            leased = self._store.leased_shards()
        except StoreUnavailable:
            return NO_REDIS
        return "" if leased >= SHARDS else f"controllers own {leased} of {SHARDS} shards"
