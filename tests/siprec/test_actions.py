"""Actions for the proxy role: every kind goes through Redis fields and back."""

import pytest

from siprec import actions
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
