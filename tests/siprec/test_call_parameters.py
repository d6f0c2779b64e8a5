"""What callbacks and requests for TwiML say of a call."""

from dataclasses import replace

import pytest

from siprec.call_parameters import call_parameters, call_status, called_of, caller_of
from siprec.model import Call, Party
from tests.siprec.streams import ACCOUNT_SID, CALL_SID

RINGING = Call(sid=CALL_SID, account_sid=ACCOUNT_SID, sip_call_id="a@b", started_ms=1)
LIVE = replace(RINGING, answered_ms=2)


def test_parameters_are_those_that_people_expect() -> None:
    call = replace(LIVE, number="+15550001", caller=Party(uri="sip:+15550002@gw.example;a=b"))
    assert call_parameters(call) == {
        "AccountSid": ACCOUNT_SID,
        "CallSid": CALL_SID,
        "From": "+15550002",
        "To": "+15550001",
        "CallStatus": "in-progress",
        "ApiVersion": "2010-04-01",
        "Direction": "inbound",
    }


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("sip:15550002@gw.example:5070;transport=tcp", "15550002"),
        ("tel:+15550002;ext=3", "+15550002"),
        ("sip:ann@example.com:5070;transport=tcp", "sip:ann@example.com"),
        ("sip:7@example.com", "sip:7@example.com"),
        ("sip:gw.example", "sip:gw.example"),
        ("", ""),
    ],
)
def test_end_is_a_phone_number_or_an_address(uri: str, said: str) -> None:
    party = Party(uri=uri)
    assert caller_of(replace(LIVE, caller=party)) == said
    assert called_of(replace(LIVE, callee=party)) == said


def test_status_of_a_call_that_lives() -> None:
    assert call_status(RINGING) == "ringing"
    assert call_status(replace(RINGING, early_ms=2)) == "ringing"
    assert call_status(LIVE) == "in-progress"


@pytest.mark.parametrize("reason", ["bye", "unrecorded", "too-long", "486"])
def test_answered_call_ends_as_completed(reason: str) -> None:
    assert call_status(replace(LIVE, ended_ms=3, end_reason=reason)) == "completed"


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("cancelled", "canceled"),
        ("486", "busy"),
        ("600", "busy"),
        ("480", "no-answer"),
        ("408", "no-answer"),
        ("503", "failed"),
        (None, "failed"),
    ],
)
def test_unanswered_call_ends_as_its_reason_says(reason: str | None, status: str) -> None:
    assert call_status(replace(RINGING, ended_ms=3, end_reason=reason)) == status
