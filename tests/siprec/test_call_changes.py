"""Calls that change: who is quiet, who came, who went."""

from dataclasses import replace

import pytest

from siprec.call_changes import MAX_FORMERS, changed_call, picture_of
from siprec.inbox import CallChanged
from siprec.model import Call, Former, Party, Picture, Side
from tests.siprec.streams import CALL_SID, NOW_MS

ALICE = Party(name="Alice", uri="sip:alice@h", tag="a")
BOB = Party(name="Bob", uri="sip:bob@h", tag="b")
CALL = Call(sid=CALL_SID, account_sid="AC1", sip_call_id="c", caller=ALICE, callee=BOB)
SAME = CallChanged(call_sid=CALL_SID, at_ms=NOW_MS)


def test_change_that_says_nothing_changes_nothing() -> None:
    assert changed_call(CALL, SAME) == CALL
    assert picture_of(CALL) == Picture()


def test_sides_that_fall_silent_and_speak_again_are_noted() -> None:
    held = changed_call(CALL, replace(SAME, quiet=(Side.CALLEE, Side.CALLER)))
    assert held.quiet == (Side.CALLER, Side.CALLEE)
    assert picture_of(held) == Picture(quiet=("1", "2"))
    assert changed_call(held, SAME).quiet == held.quiet
    assert changed_call(held, replace(SAME, quiet=())) == CALL


def test_profile_that_changes_is_noted() -> None:
    secure = changed_call(CALL, replace(SAME, is_srtp=True))
    assert secure.is_srtp
    assert picture_of(secure) == Picture()


def test_video_that_comes_and_goes_is_noted() -> None:
    seen = changed_call(CALL, replace(SAME, has_video=True))
    assert picture_of(seen) == Picture(has_video=True)
    assert changed_call(seen, SAME) == seen
    assert changed_call(seen, replace(SAME, has_video=False)) == CALL


@pytest.mark.parametrize("side", list(Side))
def test_another_address_is_another_participant(side: Side) -> None:
    carol = Party(name="Carol", uri="sip:carol@h")
    field = side.value
    moved = changed_call(CALL, replace(SAME, **{field: carol}))  # type: ignore[arg-type]
    tag = CALL.party(side).tag
    assert moved.party(side) == replace(carol, tag=tag, since_ms=NOW_MS)
    assert moved.former == (Former(side=side, party=CALL.party(side), until_ms=NOW_MS),)
    assert picture_of(moved) == Picture(revision=1, formers=1)


def test_another_name_is_the_same_participant() -> None:
    named = changed_call(CALL, replace(SAME, caller=Party(name="Al", uri="sip:alice@h:5080;x")))
    assert named.caller == replace(ALICE, name="Al", uri="sip:alice@h:5080;x")
    assert picture_of(named) == Picture(revision=1)


@pytest.mark.parametrize("name", ["", "Alice"])
def test_same_party_again_changes_nothing(name: str) -> None:
    assert changed_call(CALL, replace(SAME, caller=Party(name=name, uri="sip:alice@h"))) == CALL


def test_from_of_a_party_that_was_asserted_to_be_another_says_nothing_new() -> None:
    asserted = replace(CALL, caller=replace(ALICE, dialog_uri="sip:line1@h"))
    assert changed_call(asserted, replace(SAME, caller=Party(uri="sip:line1@h"))) == asserted
    moved = changed_call(asserted, replace(SAME, caller=Party(uri="sip:carol@h")))
    assert (moved.caller.uri, moved.caller.dialog_uri) == ("sip:carol@h", "")


def test_another_session_id_is_noted() -> None:
    changed = changed_call(CALL, replace(SAME, session_id="a;remote=b"))
    assert (changed.session_id, changed.revision) == ("a;remote=b", 1)
    assert changed_call(changed, replace(SAME, session_id="a;remote=b")) == changed


def test_former_participants_are_remembered_up_to_a_limit() -> None:
    call = CALL
    for number in range(MAX_FORMERS + 5):
        call = changed_call(call, replace(SAME, callee=Party(uri=f"sip:{number}@h")))
    assert len(call.former) == MAX_FORMERS
    assert call.callee.uri == f"sip:{MAX_FORMERS + 4}@h"
