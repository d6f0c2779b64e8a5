"""Transfers: calls that go on with one another are one group, and who stays is one participant."""

from dataclasses import replace
from urllib.parse import quote
from uuid import uuid4

import pytest

from siprec.kinship import refer_name
from siprec.shard_store import ShardStore
from siprec.sip_uri import aor
from siprec.store import connect
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.sip_text import Header
from tests.scenarios.srs import Session
from tests.scenarios.stage import RECORD, Stage, dial

pytestmark = pytest.mark.daemon

OTHER_ACCOUNT = "AC" + "9" * 32
NIL = "0" * 32


def begin(
    stage: Stage, caller: Phone, callee: Phone, *headers: Header, number: str | None = None
) -> Session:
    """Let two phones be in a recorded call; give its session so far."""
    caller.invite(number or stage.number(RECORD, dial(callee)), headers=headers)
    answer(caller, callee)
    stream = stage.wait_recording(caller)
    session = poll(lambda: stage.srs.session_of(stream.sid))
    assert session is not None
    return session


def group_of(session: Session) -> str:
    """Give the group that the SRS was told of in the first document."""
    (group,) = session.summary["metadata_history"][0]["groups"]
    return str(group)


def ids(session: Session) -> dict[str, str]:
    """Give participant_ids by address."""
    told = session.summary["metadata_history"][0]["participants"]
    return {each["aor"]: participant_id for participant_id, each in told.items()}


def group_in_store(stage: Stage, phone: Phone) -> str:
    """Give the group of the phone's call as it is stored."""
    return stage.wait_call(phone).group


def refer(
    stage: Stage, who: Phone, other: Phone, target: str, *, names: tuple[str, str] | None = None
) -> None:
    """Send the other one of a call to a target, and wait until controllers can know."""
    to, by = names or ("Refer-To", "Referred-By")
    who.request("REFER", headers=[(to, f"<{target}>"), (by, f"<{who.contact}>")])
    other.reply(other.expect("REFER"), 202, "Accepted")
    who.expect(202)
    settings = stage.stack.runtime.settings.redis
    relatives = ShardStore(connect(settings.url or ""), settings.prefix, "test")
    name = refer_name(who.contact, target)
    poll(lambda: relatives.relatives(name, 0), why="nobody knows of the REFER")


def replaces(phone: Phone) -> Header:
    """Write a Replaces of the dialog of the phone that called."""
    value = f"{phone.call_id};to-tag={phone.remote_tag};from-tag={phone.tag}"
    return "Replaces", value


def test_attended_transfer_goes_on_in_the_group_of_the_consultation(stage: Stage) -> None:
    alice, bob = stage.pair()
    first = begin(stage, alice, bob)
    # Bob asks Carol on another line, then sends Alice to her; RFC 5589 §7.1.
    line, carol = stage.phone("bob"), stage.phone("carol")
    asked = begin(stage, line, carol)
    again, other = stage.phone("alice"), stage.phone("carol")
    number = stage.number(RECORD, dial(other))
    header, value = replaces(line)
    refer(stage, bob, alice, f"sip:{number}@127.0.0.1?{header}={quote(value, safe='')}")
    by = ("Referred-By", f"<{bob.contact}>")
    new = begin(stage, again, other, (header, value), by, number=number)
    assert group_in_store(stage, again) == stage.wait_call(line).sid
    assert group_of(new) == group_of(asked) != group_of(first)
    for who, to in ((alice, bob), (line, carol), (again, other)):
        hang_up(who, to)


def test_call_that_replaces_another_goes_on_in_its_group_also_twice(stage: Stage) -> None:
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
    assert group_in_store(stage, third) == stage.wait_call(alice).sid
    hang_up(again, carol)
    hang_up(third, dave)
    ended = poll(
        lambda: [s for s in stage.srs.sessions() if s.folder == first.folder and s.is_over]
    )
    told = ended[0].summary["metadata_history"][-1]
    assert all(each["stop"] for each in told["sessions"].values())
    assert ended[0].problems == []


@pytest.mark.parametrize("names", [("Refer-To", "Referred-By"), ("r", "b")])
def test_blind_transfer_with_referred_by_goes_on_in_the_group(
    stage: Stage, names: tuple[str, str]
) -> None:
    alice, bob = stage.pair()
    first = begin(stage, alice, bob)
    again, carol = stage.phone("alice"), stage.phone("carol")
    number = stage.number(RECORD, dial(carol))
    refer(stage, bob, alice, f"sip:{number}@127.0.0.1", names=names)
    hang_up(bob, alice)
    old = stage.wait_call_over(alice)
    second = begin(stage, again, carol, (names[1], f"<{bob.contact}>"), number=number)
    assert group_in_store(stage, again) == old.sid
    assert group_of(second) == group_of(first)
    hang_up(again, carol)


def test_calls_with_one_session_id_are_one_group_also_when_the_first_is_over(stage: Stage) -> None:
    header = ("Session-ID", f"{uuid4().hex};remote={NIL}")
    alice, bob = stage.pair()
    first = begin(stage, alice, bob, header)
    hang_up(bob, alice)
    old = stage.wait_call_over(alice)
    for name in ("carol", "dave"):
        again, callee = stage.phone("alice"), stage.phone(name)
        session = begin(stage, again, callee, header)
        assert group_in_store(stage, again) == old.sid
        assert group_of(session) == group_of(first)
        hang_up(again, callee)
        stage.wait_call_over(again)


def test_callee_that_goes_over_brings_the_group_along_by_its_session_id(stage: Stage) -> None:
    alice, bob = stage.pair()
    uuid = uuid4().hex
    alice.invite(stage.number(RECORD, dial(bob)), headers=[("Session-ID", f"{uuid4().hex}")])
    invite = bob.expect("INVITE")
    bob.reply(invite, 200, "OK", sdp=bob.sdp(), headers=[("Session-ID", f"{uuid};remote={NIL}")])
    alice.ack(alice.expect(200))
    bob.expect("ACK")
    stage.wait_recording(alice)
    again, carol = stage.phone("bob"), stage.phone("carol")
    begin(stage, again, carol, ("Session-ID", f"{uuid};remote={NIL}"))
    assert group_in_store(stage, again) == stage.wait_call(alice).sid
    hang_up(alice, bob)
    hang_up(again, carol)


def test_call_of_another_account_never_joins(stage: Stage) -> None:
    store = stage.stack.store
    alice, bob = stage.pair()
    header = ("Session-ID", f"{uuid4().hex};remote={NIL}")
    first = begin(stage, alice, bob, header)
    again, carol = stage.phone("alice"), stage.phone("carol")
    number = stage.number(RECORD, dial(carol))
    document = store.number(number)
    connector = store.connector(stage.wait_call(alice).account_sid, "Default")
    assert document is not None
    assert connector is not None
    store.put_connector(replace(connector, account_sid=OTHER_ACCOUNT))
    store.put_number(replace(document, account_sid=OTHER_ACCOUNT))
    second = begin(stage, again, carol, header, replaces(alice), number=number)
    call = stage.wait_call(again)
    assert (call.account_sid, call.group) == (OTHER_ACCOUNT, "")
    assert group_of(second) != group_of(first)
    hang_up(alice, bob)
    hang_up(again, carol)


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
    assert group_in_store(stage, again) == ""
    assert group_of(second) != group_of(first)
