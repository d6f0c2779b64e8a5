"""Metadata documents: golden, of the right order, and never broken by what people are called."""

import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from siprec.bye_reason import Reason
from siprec.metadata import PARAMETERS_NS, RECORDING_NS, complete, final, rfc3339
from siprec.model import Call, Party, Side, Stream, StreamOrder

GOLDEN = Path(__file__).parent / "golden"
ANSWERED_MS = 1_700_000_000_123
NOW_MS = 1_700_000_001_004

CALL = Call(
    sid="CA0a000000000000000000000000000000",
    account_sid="AC00000000000000000000000000000000",
    sip_call_id="c1@h",
    caller=Party(name="Alice & <Bob>\"'!é", uri="sip:alice@h.example:5060;x=1", tag="a"),
    callee=Party(uri="tel:+15550001", tag="b"),
    session_id="ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2",
    answered_ms=ANSWERED_MS,
)
STREAM = Stream(
    sid="SR0a000000000000000000000000000000",
    call_sid=CALL.sid,
    account_sid=CALL.account_sid,
    order=StreamOrder(),
)
BOTH = {"1": Side.CALLER, "2": Side.CALLEE}
PARAMETERS = (("Custom1", "Bob & Zoë"), ("Custom2", ""))


def _parse(document: bytes) -> etree._Element:
    return etree.fromstring(document, etree.XMLParser(remove_blank_text=True))


def _texts(root: etree._Element, tag: str) -> list[str | None]:
    return [element.text for element in root.iter(f"{{{RECORDING_NS}}}{tag}")]


def _order(root: etree._Element) -> list[str]:
    return [etree.QName(child).localname for child in root]


def test_complete_is_the_golden_document() -> None:
    document = complete(CALL, STREAM, BOTH, PARAMETERS, NOW_MS)
    assert document == (GOLDEN / "metadata-complete.xml").read_bytes()


def test_final_is_the_golden_document() -> None:
    ended = replace(CALL, ended_ms=NOW_MS + 5000)
    reason = Reason(16, "the call ended")
    document = final(ended, STREAM, BOTH, NOW_MS + 6000, reason=reason)
    assert document == (GOLDEN / "metadata-final.xml").read_bytes()


@pytest.mark.parametrize("name", ["paused", "caller-paused"])
def test_complete_while_paused_is_the_golden_document(name: str) -> None:
    muted = ("1", "2") if name == "paused" else ("1",)
    document = complete(CALL, STREAM, BOTH, (), NOW_MS, muted)
    assert document == (GOLDEN / f"metadata-{name}.xml").read_bytes()


@pytest.mark.parametrize(
    ("muted", "sends", "receives"),
    [((), 2, 2), (("1",), 1, 1), (("2",), 1, 1), (("1", "2"), 0, 0)],
)
def test_who_is_muted_sends_nothing_and_nobody_receives_it(
    muted: tuple[str, ...], sends: int, receives: int
) -> None:
    for document in (
        complete(CALL, STREAM, BOTH, (), NOW_MS, muted),
        final(CALL, STREAM, BOTH, NOW_MS, muted),
    ):
        root = _parse(document)
        assert (len(_texts(root, "send")), len(_texts(root, "recv"))) == (sends, receives)
        assert len(list(root.iter(f"{{{RECORDING_NS}}}participantstreamassoc"))) == 2
    # What is muted is a stream of the session all the same.
    assert len(_texts(_parse(complete(CALL, STREAM, BOTH, (), NOW_MS, muted)), "label")) == 2


def test_complete_has_the_order_of_the_schema() -> None:
    root = _parse(complete(CALL, STREAM, BOTH, PARAMETERS, NOW_MS))
    assert _order(root) == [
        "datamode",
        "group",
        "session",
        *["participant"] * 2,
        *["stream"] * 2,
        "sessionrecordingassoc",
        *["participantsessionassoc"] * 2,
        *["participantstreamassoc"] * 2,
        "parameters",
    ]
    (session,) = root.iter(f"{{{RECORDING_NS}}}session")
    assert _order(session) == ["sipSessionID", "group-ref", "start-time"]


def test_complete_of_one_side_sends_to_the_other() -> None:
    root = _parse(complete(CALL, STREAM, {"x": Side.CALLEE}, (), NOW_MS))
    caller, callee = root.iter(f"{{{RECORDING_NS}}}participantstreamassoc")
    assert _order(caller) == ["recv", "associate-time"]
    assert _order(callee) == ["send", "associate-time"]
    assert _texts(root, "label") == ["x"]
    assert _texts(root, "send") == _texts(root, "recv")
    assert "parameters" not in _order(root)


def test_complete_without_names_times_or_session_id_leaves_them_out() -> None:
    bare = replace(CALL, caller=Party(), session_id=None, answered_ms=None)
    root = _parse(complete(bare, STREAM, BOTH, (), NOW_MS))
    assert _texts(root, "name") == _texts(root, "sipSessionID") == []
    assert _texts(root, "start-time") == ["2023-11-14T22:13:21.004Z"]


def test_final_before_the_call_ended_stops_now() -> None:
    root = _parse(final(CALL, STREAM, BOTH, NOW_MS))
    assert _texts(root, "datamode") == ["partial"]
    assert _texts(root, "stop-time") == ["2023-11-14T22:13:21.004Z"]
    assert set(_texts(root, "disassociate-time")) == {"2023-11-14T22:13:21.004Z"}


def test_ids_are_uuids_that_stay_for_the_life_of_the_call() -> None:
    first = complete(CALL, STREAM, BOTH, (), NOW_MS)
    later = complete(replace(CALL, session_id=None), STREAM, BOTH, PARAMETERS, NOW_MS + 60_000)
    other = complete(CALL, replace(STREAM, sid="SR" + "1" * 32), BOTH, (), NOW_MS)
    ids, later_ids, other_ids = (_ids(_parse(d)) for d in (first, later, other))
    assert ids == later_ids
    # Same group and participants, another session with streams of its own.
    assert len(ids & other_ids) == 3
    assert _ids(_parse(final(CALL, STREAM, BOTH, NOW_MS))) < ids
    for text in ids:
        assert len(text) == 24
        assert UUID(bytes=b64decode(text, validate=True)).version == 5


def _ids(root: etree._Element) -> set[str]:
    references = [text for tag in ("send", "recv", "group-ref") for text in _texts(root, tag)]
    attributes = [
        str(v) for e in root.iter() for k, v in e.attrib.items() if str(k).endswith("_id")
    ]
    return {text for text in [*references, *attributes] if text}


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000_009, "2023-11-14T22:13:20.009Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_rfc3339_writes_utc_with_milliseconds(at_ms: int, text: str) -> None:
    assert rfc3339(at_ms) == text


_any_text = st.text(st.characters(exclude_categories=[]), max_size=20)
_labels = st.dictionaries(st.sampled_from(["1", "2", "3", "4"]), st.sampled_from(Side))


@given(
    _any_text,
    _any_text | _any_text.map("sip:{}@h".format),
    st.none() | _any_text,
    st.lists(st.tuples(_any_text, _any_text), max_size=3).map(tuple),
    _labels,
)
def test_complete_of_anyone_is_well_formed_and_says_what_it_was_told(
    name: str,
    uri: str,
    session_id: str | None,
    parameters: tuple[tuple[str, str], ...],
    labels: Mapping[str, Side],
) -> None:
    call = replace(CALL, caller=Party(name=name, uri=uri), session_id=session_id)
    root = _parse(complete(call, STREAM, labels, parameters, NOW_MS))
    assert _parse(final(call, STREAM, labels, NOW_MS)).tag == root.tag
    found = [
        (element.get("name"), element.text or "")
        for element in root.iter(f"{{{PARAMETERS_NS}}}parameter")
    ]
    assert found == [(_legal(n), _legal(v)) for n, v in parameters]
    assert _texts(root, "name") == ([_legal(name)] if name else [])
    assert len(_texts(root, "label")) == len(labels)


def _legal(text: str) -> str:
    return re.sub("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
