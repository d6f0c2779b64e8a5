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
from siprec.sip_uri import UNKNOWN_AOR
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
UNTIL_MS = 2_000
RELATIVE = relative_of(OLD, UNTIL_MS)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("old@h;to-tag=tb;from-tag=ta", ("old@h", ("ta", "tb"))),
        (" old@h ; From-Tag = ta ;TO-TAG=tb;early-only", ("old@h", ("ta", "tb"))),
        ("old@h;to-tag=tb", ("", ())),
        ("old@h;to-tag=x;to-tag=y;from-tag=z", ("", ())),
        ('"o<l>d"@[::1];to-tag=tb;from-tag=ta', ('"o<l>d"@[::1]', ("ta", "tb"))),
        (";to-tag=tb;from-tag=ta", ("", ())),
        ("old@h;to-tag=;from-tag=ta", ("", ())),
        ("", ("", ())),
    ],
)
def test_replaces_is_read(value: str, expected: tuple[str, tuple[str, ...]]) -> None:
    assert parse_replaces(value) == expected


@given(st.text() | st.text(alphabet='aTo@"-;= tagfrm\r\n'))
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


@pytest.mark.parametrize(
    ("session_id", "count"),
    [
        (A, 1),
        (f" {A.upper()} ; Remote = {B.upper()};other=1", 2),
        (f"{A};remote={A}", 1),
        (f"{A};logme", 1),
        (f"{A}{B}", 0),
        (f"x{A};remote={B}", 0),
        (";".join([A, *(f"{n:032x}" for n in range(1, 99))]), 1),
        (f"{'0' * 32};remote={'0' * 32}", 0),
        ("", 0),
    ],
)
def test_session_id_has_two_halves_whatever_a_peer_writes(session_id: str, count: int) -> None:
    assert len(names_of(replace(OLD, session_id=session_id))) == 1 + count
    assert len(followed(replace(NEW, session_id=session_id))) == count


@given(st.text())
def test_session_id_may_be_anything(value: str) -> None:
    assert len(followed(replace(NEW, session_id=value))) <= 2


def test_call_that_somebody_was_sent_to_follows_the_refer() -> None:
    kinship = Kinship(referred_by="sip:bob@h;x=y", target="sip:carol@h:5070")
    assert followed(replace(NEW, kinship=kinship)) == [refer_name("sip:bob@h", "sip:carol@h")]


def test_refer_to_with_headers_names_who_is_called() -> None:
    target = "sip:carol@h?Replaces=old%40h%3Bto-tag%3Dtb%3Bfrom-tag%3Dta"
    assert refer_name("sip:bob@h", target) == refer_name("sip:bob@h", "sip:carol@h")


def test_replaces_is_surer_than_refer_and_that_than_session_id() -> None:
    kinship = Kinship(
        replaces="old@h", tags=("ta", "tb"), referred_by="sip:bob@h", target="sip:carol@h"
    )
    names = followed(replace(NEW, kinship=kinship, session_id=A))
    assert [name.partition(":")[0] for name in names] == ["dialog", "refer", "session"]


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


def test_of_those_put_through_to_one_person_each_follows_their_own_call() -> None:
    desk = Party(uri="sip:desk@h")
    alice, dave = Party(uri="sip:alice@h:5070"), Party(uri="sip:dave@h")
    found = [
        relative_of(replace(OLD, sid=f"CA2{n}" + "0" * 30, caller=caller, callee=desk), UNTIL_MS)
        for n, caller in enumerate((alice, dave))
    ]
    put_through = replace(NEW, caller=Party(uri="sip:alice@h"))
    assert chosen(put_through, (), found) == found[0]
    assert chosen(replace(NEW, caller=Party(uri="sip:eve@h")), (), found) is None
    assert chosen(replace(NEW, caller=desk), (), found) is None


def test_ends_that_nobody_can_name_are_no_party() -> None:
    relative = relative_of(replace(OLD, caller=Party(uri="junk")), UNTIL_MS)
    assert UNKNOWN_AOR not in relative.parties


def test_group_goes_on_from_call_to_call() -> None:
    second = replace(NEW, group=RELATIVE.group)
    assert relative_of(second, UNTIL_MS) == Relative(
        sid=NEW.sid, account_sid="AC1", group=CALL_SID, until_ms=UNTIL_MS, tags=("", "")
    )
