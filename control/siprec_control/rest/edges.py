"""Edges: what recorders must allow."""

from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from siprec.accounts import Scope
from siprec.record import to_plain
from siprec_control.edges import paths
from siprec_control.rest import openapi
from siprec_control.rest.desk import VERSION, Desk

PATH = f"/{VERSION}/Accounts/{{account_sid}}"

router = APIRouter(tags=["Settings"])


@router.get(f"{PATH}/Edges.json", **openapi.told("listEdges", "List the edges", openapi.EDGES))
def listed(request: Request, account_sid: str) -> JSONResponse:
    """List what a recorder must allow, for each edge."""
    runtime = Desk(request, account_sid, Scope.READ).runtime
    settings = runtime.settings
    if runtime.embeds_rtpengine:
        settings = replace(settings, rtpengine=replace(settings.rtpengine, ng=()))
    return JSONResponse({"edges": [to_plain(path) for path in paths(settings)]})
