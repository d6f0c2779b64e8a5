"""Calls that go on with others: what names them, and which of several is meant."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.kinship import (
    Relative,
    chosen,
    names_followed,
    names_of,
    parse_replaces,
    refer_name,
    relative_of,
)
from siprec.model import Call, Kinship, Party
from tests.siprec.streams import CALL_SID

A, B = "a" * 32, "b" * 32
OLD = Call(
    sid=CALL_SID,
    account_sid="AC1",
    sip_call_id="old@h",
    caller=Party(tag="ta"),
    callee=Party(tag="tb"),
    session_id=f"{A};remote={B}",
)
NEW = Call(sid="CA2b" + "0" * 30, account_sid="AC1", sip_call_id="new@h")
RELATIVE = relative_of(OLD)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("old@h;to-tag=tb;from-tag=ta", ("old@h", ("ta", "tb"))),
        (" old@h ; From-Tag = ta ;TO-TAG=tb;early-only", ("old@h", ("ta", "tb"))),
        ("old@h;to-tag=tb", ("", ())),
        ("old@h;to-tag=x;to-tag=y;from-tag=z", ("", ())),
        (";to-tag=tb;from-tag=ta", ("", ())),
        ("", ("", ())),
    ],
)
def test_replaces_is_read(value: str, expected: tuple[str, tuple[str, ...]]) -> None:
    assert parse_replaces(value) == expected


@given(st.text())
def test_replaces_may_be_anything(value: str) -> None:
    call_id, tags = parse_replaces(value)
    assert (len(tags) == 2) == bool(call_id)


def followed(call: Call) -> list[str]:
    return [name for name, _ in names_followed(call)]


def test_call_that_replaces_a_dialog_follows_its_call() -> None:
    new = replace(NEW, kinship=Kinship(replaces="old@h", tags=("ta", "tb")))
    assert list(names_followed(new)) == [(names_of(OLD)[0], ("ta", "tb"))]


def test_call_with_half_of_a_session_id_follows_its_call() -> None:
    new = replace(NEW, session_id=f"{A};remote={'0' * 32}")
    assert followed(new) == [names_of(OLD)[1]]
    assert len(names_of(OLD)) == 3


def test_call_that_somebody_was_sent_to_follows_the_refer() -> None:
    kinship = Kinship(referred_by="sip:bob@h;x=y", target="sip:carol@h:5070")
    assert followed(replace(NEW, kinship=kinship)) == [refer_name("sip:bob@h", "sip:carol@h")]


@pytest.mark.parametrize("kinship", [None, Kinship(), Kinship(referred_by="junk", target="sip:c")])
def test_call_of_which_nothing_is_said_follows_none(kinship: Kinship | None) -> None:
    assert followed(replace(NEW, kinship=kinship)) == []


def test_call_is_followed_whose_dialog_and_account_fit() -> None:
    assert chosen(NEW, ("ta", "tb"), [RELATIVE]) == RELATIVE
    assert chosen(NEW, (), [RELATIVE]) == RELATIVE
    assert chosen(NEW, ("ta", "other"), [RELATIVE]) is None
    assert chosen(replace(NEW, account_sid="AC2"), (), [RELATIVE]) is None
    assert chosen(OLD, (), [RELATIVE]) is None
    assert chosen(NEW, (), []) is None


def test_of_several_calls_none_is_followed_unless_they_are_one_group() -> None:
    other = replace(RELATIVE, sid="CA2c" + "0" * 30)
    assert chosen(NEW, (), [RELATIVE, other]) == RELATIVE
    assert chosen(NEW, (), [RELATIVE, replace(other, group=other.sid)]) is None


def test_group_goes_on_from_call_to_call() -> None:
    second = replace(NEW, group=RELATIVE.group)
    assert relative_of(second) == Relative(
        sid=NEW.sid, account_sid="AC1", group=CALL_SID, tags=("", "")
    )
