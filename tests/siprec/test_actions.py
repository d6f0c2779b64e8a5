"""Actions for the proxy role: every kind goes through Redis fields and back."""

from dataclasses import replace

import pytest

from siprec import actions
from siprec.model import Call, Party
from siprec.record import RecordError
from tests.siprec.streams import CALL_SID

ACTIONS: dict[str, actions.Action] = {
    "end-call": actions.EndCall(
        call_sid=CALL_SID,
        sip_call_id="a@b",
        from_tag="f",
        to_tag="t",
        reason="nobody records it",
        account_sid="AC1",
    ),
}


@pytest.mark.parametrize("kind", ACTIONS)
def test_action_comes_back_from_its_fields_as_it_was(kind: str) -> None:
    fields = actions.to_fields(ACTIONS[kind])
    assert fields["t"] == kind
    assert actions.from_fields(fields) == ACTIONS[kind]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "is no kind of action"),
        ({"t": "end-world", "d": "{}"}, "'end-world' is no kind of action"),
        ({"t": "end-call"}, "not JSON"),
        ({"t": "end-call", "d": "{}"}, "call_sid: is missing"),
    ],
)
def test_action_that_fits_no_kind_is_refused(fields: dict[str, str], why: str) -> None:
    with pytest.raises(RecordError, match=why):
        actions.from_fields(fields)


def test_call_that_was_not_answered_has_no_callee_yet() -> None:
    call = Call(
        sid="CA2a" + "0" * 30,
        account_sid="AC" + "0" * 32,
        sip_call_id="a@b",
        caller=Party(tag="from"),
        callee=Party(tag="to"),
    )
    wanted = actions.EndCall(
        call_sid=call.sid,
        account_sid=call.account_sid,
        sip_call_id="a@b",
        from_tag="from",
        to_tag="",
        reason="why",
        is_ordered=True,
    )
    assert actions.end_of(call, "why", is_ordered=True) == wanted
    answered = replace(call, answered_ms=1)
    assert actions.end_of(answered, "why", is_ordered=False) == replace(
        wanted, to_tag="to", is_ordered=False
    )
