"""Transfers: calls that go on with one another are one group, and who stays is one participant."""

from uuid import uuid4

import pytest

from siprec.sip_uri import aor
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.srs import Session
from tests.scenarios.stage import RECORD, Stage, dial

pytestmark = pytest.mark.daemon


def begin(stage: Stage, caller: Phone, callee: Phone, *headers: tuple[str, str]) -> Session:
    """Let two phones be in a recorded call; give its session so far."""
    caller.invite(stage.number(RECORD, dial(callee)), headers=headers)
    answer(caller, callee)
    stream = stage.wait_recording(caller)
    return poll(lambda: stage.srs.session_of(stream.sid))


def group_of(session: Session) -> str:
    (group,) = session.summary["metadata_history"][0]["groups"]
    return str(group)


def ids(session: Session) -> dict[str, str]:
    """Give participant_ids by address."""
    told = session.summary["metadata_history"][0]["participants"]
    return {each["aor"]: participant_id for participant_id, each in told.items()}


def refer(who: Phone, other: Phone, target: str) -> None:
    """Send the other one of a call to a target."""
    who.request("REFER", headers=[("Refer-To", f"<{target}>"), ("Referred-By", f"<{who.contact}>")])
    other.reply(other.expect("REFER"), 202, "Accepted")
    who.expect(202)


def replaces(phone: Phone) -> tuple[str, str]:
    """Write a Replaces of the dialog of the phone that called."""
    value = f"{phone.call_id};to-tag={phone.remote_tag};from-tag={phone.tag}"
    return "Replaces", value


def test_attended_transfer_goes_on_in_the_group_also_twice(stage: Stage) -> None:
    alice, bob = stage.pair()
    first = begin(stage, alice, bob)
    # Bob sends Alice to Carol: her new call, from the same address, replaces the old one.
    again, carol = stage.phone("alice"), stage.phone("carol")
    second = begin(stage, again, carol, replaces(alice))
    hang_up(bob, alice)
    assert group_of(second) == group_of(first)
    address = aor(stage.wait_call(again).caller.uri)
    assert ids(second)[address] == ids(first)[address]
    third, dave = stage.phone("alice"), stage.phone("dave")
    last = begin(stage, third, dave, replaces(again))
    assert group_of(last) == group_of(first)
    hang_up(again, carol)
    hang_up(third, dave)
    ended = poll(
        lambda: [s for s in stage.srs.sessions() if s.folder == first.folder and s.is_over]
    )
    told = ended[0].summary["metadata_history"][-1]
    assert all(each["stop"] for each in told["sessions"].values())
    assert ended[0].problems == []


def test_blind_transfer_with_referred_by_goes_on_in_the_group(stage: Stage) -> None:
    alice, bob = stage.pair()
    first = begin(stage, alice, bob)
    again, carol = stage.phone("alice"), stage.phone("carol")
    number = stage.number(RECORD, dial(carol))
    target = f"sip:{number}@127.0.0.1"
    refer(bob, alice, target)
    call = stage.wait_call(alice)
    poll(lambda: f"{call.sid}" in stage.stack.log)
    hang_up(bob, alice)
    stage.wait_call_over(alice)
    again.invite(number, headers=[("Referred-By", f"<{bob.contact}>")])
    answer(again, carol)
    stream = stage.wait_recording(again)
    assert stage.wait_call(again).group == call.sid
    hang_up(again, carol)
    assert group_of(stage.wait_session(stream)) == group_of(first)


def test_call_with_the_session_id_of_another_goes_on_in_its_group(stage: Stage) -> None:
    alice, bob = stage.pair()
    header = ("Session-ID", f"{uuid4().hex};remote={'0' * 32}")
    first = begin(stage, alice, bob, header)
    hang_up(bob, alice)
    stage.wait_call_over(alice)
    again, carol = stage.phone("alice"), stage.phone("carol")
    second = begin(stage, again, carol, header)
    hang_up(again, carol)
    assert group_of(second) == group_of(first)


@pytest.mark.parametrize("forged", ["tags", "call", "nothing"])
def test_call_that_follows_none_is_a_group_of_its_own(stage: Stage, forged: str) -> None:
    alice, bob = stage.pair()
    first = begin(stage, alice, bob)
    again, carol = stage.phone("alice"), stage.phone("carol")
    headers = {
        "tags": [("Replaces", f"{alice.call_id};to-tag=x;from-tag=y")],
        "call": [("Replaces", f"other@h;to-tag={alice.remote_tag};from-tag={alice.tag}")],
        "nothing": [("Referred-By", f"<{bob.contact}>")],
    }[forged]
    second = begin(stage, again, carol, *headers)
    hang_up(bob, alice)
    hang_up(again, carol)
    assert group_of(second) != group_of(first)
