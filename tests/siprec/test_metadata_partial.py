"""Partial documents: what changed since the SRS was told, and nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from siprec.call_changes import changed_call, picture_of
from siprec.inbox import CallChanged
from siprec.metadata import RECORDING_NS, asks_snapshot, complete, final, partial
from siprec.model import Party, Picture, Side
from tests.siprec.test_metadata import ANSWERED_MS, BOTH, CALL, GOLDEN, NOW_MS, STREAM

SCHEMA = etree.XMLSchema(file=Path(__file__).parents[2] / "srs" / "siprec_srs" / "rs-metadata.xsd")
CHANGED_MS = NOW_MS + 2_000
CAROL = Party(name="Carol", uri="sip:carol@h.example")
CHANGE = CallChanged(call_sid=CALL.sid, at_ms=CHANGED_MS, callee=CAROL)
MOVED = changed_call(CALL, CHANGE)


def written(call: object = CALL, told: Picture = Picture(), muted: Sequence[str] = ()) -> bytes:  # noqa: B008
    return partial(call, STREAM, BOTH, told, CHANGED_MS, muted)  # type: ignore[arg-type]


def tags(document: bytes) -> list[str]:
    root = etree.fromstring(document)
    SCHEMA.assertValid(root)
    return [etree.QName(child).localname for child in root]


def ids(document: bytes, tag: str) -> list[str]:
    found = etree.fromstring(document).iter(f"{{{RECORDING_NS}}}{tag}")
    return [element.get("participant_id", "") for element in found]


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("held", written(muted=("1",))),
        ("moved", written(MOVED)),
    ],
)
def test_partial_is_the_golden_document(name: str, document: bytes) -> None:
    assert document == (GOLDEN / f"metadata-partial-{name}.xml").read_bytes()


def test_hold_tells_only_who_sends_and_receives() -> None:
    assert tags(written(muted=("1", "2"))) == ["datamode", *["participantstreamassoc"] * 2]
    assert written(muted=("1", "2")).count(b"<send>") == 0
    assert written(muted=("1",)).count(b"<send>") == written(muted=("1",)).count(b"<recv>") == 1


def test_participant_that_another_takes_the_place_of_leaves_and_the_other_joins() -> None:
    document = written(MOVED)
    assert tags(document) == [
        "datamode",
        "session",
        *["participant"] * 2,
        *["participantsessionassoc"] * 2,
        *["participantstreamassoc"] * 3,
    ]
    _, bob = ids(complete(CALL, STREAM, BOTH, (), NOW_MS), "participant")
    alice, carol = ids(document, "participant")
    assert ids(document, "participantsessionassoc") == [bob, carol]
    assert ids(document, "participantstreamassoc") == [bob, alice, carol]
    assert document.count(b"disassociate-time") == 4


def test_what_was_told_before_is_not_told_again() -> None:
    document = written(MOVED, told=picture_of(MOVED), muted=("1",))
    assert tags(document) == ["datamode", *["participantstreamassoc"] * 2]


def test_each_of_several_that_went_is_told_of() -> None:
    back = changed_call(MOVED, replace(CHANGE, at_ms=CHANGED_MS + 1, callee=CALL.callee))
    document = written(back)
    bob, carol = ids(document, "participantsessionassoc")[:2]
    assert ids(document, "participant")[1] == bob
    assert ids(document, "participantstreamassoc")[:2] == [bob, carol]


def test_complete_names_who_is_there_now_since_when() -> None:
    document = complete(MOVED, STREAM, BOTH, (), CHANGED_MS + 5)
    assert b"Carol" in document
    root = etree.fromstring(document)
    SCHEMA.assertValid(root)
    assocs = root.iter(f"{{{RECORDING_NS}}}participantsessionassoc")
    times = [assoc.findtext(f"{{{RECORDING_NS}}}associate-time") for assoc in assocs]
    assert times == ["2023-11-14T22:13:20.123Z", "2023-11-14T22:13:23.004Z"]
    assert ANSWERED_MS % 1000 == 123


def test_change_of_a_call_without_session_id_names_no_session() -> None:
    assert "session" not in tags(written(replace(MOVED, session_id=None)))


# Who is who


def first_ids(call: object) -> list[str]:
    return ids(complete(call, STREAM, BOTH, (), NOW_MS), "participant")  # type: ignore[arg-type]


def test_one_address_is_one_participant_in_all_calls_of_a_group() -> None:
    other = replace(CALL, sid="CA0b" + "1" * 30, group=CALL.sid, caller=CALL.callee, callee=CAROL)
    assert first_ids(other)[0] == first_ids(CALL)[1]
    assert complete(other, STREAM, BOTH, (), NOW_MS).count(b"group_id") == 1
    group = etree.fromstring(complete(other, STREAM, BOTH, (), NOW_MS))[1].get("group_id")
    assert group == etree.fromstring(complete(CALL, STREAM, BOTH, (), NOW_MS))[1].get("group_id")


def test_address_in_another_group_is_another_participant() -> None:
    assert first_ids(replace(CALL, sid="CA0b" + "1" * 30))[0] != first_ids(CALL)[0]


@pytest.mark.parametrize(
    "uri",
    ["sip:anonymous@anonymous.invalid", "sip:anonymous@h", "sip:anonymous.invalid", "garbage"],
)
def test_who_hides_is_known_by_place_alone(uri: str) -> None:
    hidden = replace(CALL, caller=Party(uri=uri))
    again = replace(hidden, sid="CA0b" + "1" * 30, group=CALL.sid)
    assert first_ids(hidden)[0] != first_ids(again)[0]


def test_two_parties_of_one_address_are_two_participants() -> None:
    alike = replace(CALL, callee=replace(CALL.caller, tag="b"))
    caller, callee = first_ids(alike)
    assert caller != callee
    assert alike.party(Side.CALLEE).uri == alike.party(Side.CALLER).uri


# Questions of the SRS

ASKING = f'<requestsnapshot xmlns="{RECORDING_NS}"/>'.encode()


@pytest.mark.parametrize("kind", ["application/rs-metadata+xml", "application/rs-metadata;x=y"])
def test_snapshot_request_is_known(kind: str) -> None:
    assert asks_snapshot(kind, ASKING)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/sdp", ASKING),
        ("application/rs-metadata", b""),
        ("application/rs-metadata", b"<requestsnapshot/>"),
        ("application/rs-metadata", b"<requestsnapshot"),
        ("application/rs-metadata", f'<recording xmlns="{RECORDING_NS}"/>'.encode()),
    ],
)
def test_anything_else_is_no_snapshot_request(kind: str, body: bytes) -> None:
    assert not asks_snapshot(kind, body)


# The last document


def test_who_came_and_went_untold_is_told_in_the_end() -> None:
    document = final(MOVED, STREAM, BOTH, CHANGED_MS + 9, told=Picture())
    names = tags(document)
    assert names.count("participant") == 2
    assert (names.count("participantsessionassoc"), names.count("participantstreamassoc")) == (3, 3)
    assert ids(document, "participantsessionassoc")[0] == first_ids(CALL)[1]
    told = final(MOVED, STREAM, BOTH, CHANGED_MS + 9, told=picture_of(MOVED))
    assert told == final(MOVED, STREAM, BOTH, CHANGED_MS + 9)
    assert "participant" not in tags(told)
