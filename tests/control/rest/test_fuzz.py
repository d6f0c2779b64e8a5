"""What the OpenAPI document says is true: no request finds a 500, or an answer it does not tell."""

from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from siprec_control.rest import openapi
from siprec_control.rest.app import make_api
from tests.control.rest.conftest import Api

pytestmark = pytest.mark.daemon

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
OPERATIONS = sorted(
    operation["operationId"]
    for operations in make_api().openapi()["paths"].values()
    for operation in operations.values()
)
EXAMPLES = 8


def fuzz(schema: Any, operation: str, ask: Callable[[Any, bool], None]) -> None:
    """Ask with requests that are made by an OpenAPI document, and by chance."""
    found = schema.find_operation_by_id(operation)

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=found.as_strategy(), is_ours=st.booleans())
    def run(case: Any, is_ours: bool) -> None:
        ask(case, is_ours)

    run()


def judge(case: Any, response: Any) -> None:
    """Hold an answer to what the document says of it."""
    assert response.status_code != 500
    case.validate_response(response, checks=CHECKS)


@pytest.fixture(scope="module")
def sid(api: Api) -> str:
    """Give the sid of a call, so that some requests are about something that is there."""
    call = api.studio.call(None)
    found = call.call().sid
    call.hang_up()
    return found


@pytest.mark.timeout(120)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_fuzzed_requests_get_only_answers_that_are_told(api: Api, sid: str, operation: str) -> None:
    schema = schemathesis.openapi.from_dict(make_api().openapi())
    schema.config.update(base_url=api.base)

    def ask(case: Any, is_ours: bool) -> None:
        if "account_sid" in case.path_parameters:
            case.path_parameters["account_sid"] = api.sid
        if is_ours and "call_sid" in case.path_parameters:
            case.path_parameters["call_sid"] = sid
        judge(case, case.call(auth=(api.sid, api.token), timeout=30))

    fuzz(schema, operation, ask)


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, {"status": "ok"}), (418, {"status": "ok"}), (200, {"status": 1}), (200, {})],
    ids=["fault", "status that is not told", "another type", "field that is missing"],
)
def test_fuzzing_finds_an_answer_that_is_not_told(status: int, body: dict[str, Any]) -> None:
    app = FastAPI()

    @app.get("/planted", **openapi.told("planted", "Planted", openapi.HEALTH, is_open=True))
    def planted() -> JSONResponse:
        return JSONResponse(body, status)

    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    with pytest.raises((AssertionError, FailureGroup, Failure)):
        fuzz(schema, "planted", lambda case, _: judge(case, case.call()))


def test_document_is_served_and_is_the_one_that_was_fuzzed(api: Api) -> None:
    assert api.ask("GET", f"{api.base}/openapi.json", auth=None).json() == make_api().openapi()
