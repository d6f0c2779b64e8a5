"""Errors: what each tells about itself."""

import pytest

from rtpengine_ng.errors import NgError, NgProtocolError, NgRefused, NgTimeout


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (NgError("x"), False),
        (NgTimeout("x"), True),
        (NgProtocolError("x"), False),
        (NgRefused("Failed to parse SDP"), False),
        (NgRefused("Load limit exceeded", result="load limit"), True),
        (NgRefused("Parallel session limit reached"), True),
        (NgRefused("Ran out of ports"), True),
    ],
)
def test_error_knows_whether_to_try_again(error: NgError, retryable: bool) -> None:
    assert error.retryable is retryable


@pytest.mark.parametrize(
    ("reason", "unknown"),
    [("Unknown call-id", True), ("Unknown call-ID", True), ("No call-id in message", False)],
)
def test_refusal_tells_unknown_call_in_either_spelling(reason: str, unknown: bool) -> None:
    assert NgRefused(reason).unknown_call is unknown


def test_refusal_keeps_reason_and_result() -> None:
    error = NgRefused("busy", result="load limit")
    assert (str(error), error.reason, error.result) == ("busy", "busy", "load limit")
    assert error.load_limit
    assert NgRefused("no").result == "error"
