"""Metadata: golden documents, and one fault at a time."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec_srs.known import Known
from siprec_srs.metadata import Verdict, check
from tests.srs.documents import ALICE, COMPLETE, GROUP, PARTIAL, SESSION, STREAM_1, STREAM_2

LABELS = ["1", "2"]


def _check(text: str, known: Known | None = None, labels: list[str] | None = None) -> Verdict:
    return check(text.encode(), known or Known(), LABELS if labels is None else labels)


def _after_complete() -> Known:
    return _check(COMPLETE).known


def test_complete_document_is_valid() -> None:
    verdict = _check(COMPLETE)
    assert verdict.errors == []
    assert verdict.notes == []
    assert verdict.datamode == "complete"
    assert verdict.parameters == [["Custom1", "Bob"], ["Empty", ""]]
    assert [p.aor for p in verdict.known.speakers("2")] == ["tel:+15551000"]


def test_document_without_datamode_is_complete() -> None:
    verdict = _check(COMPLETE.replace("<datamode>complete</datamode>", ""))
    assert (verdict.errors, verdict.datamode) == ([], "complete")


def test_partial_document_after_complete_is_valid_and_keeps_what_was_known() -> None:
    verdict = _check(PARTIAL, _after_complete())
    assert verdict.errors == []
    assert [p.aor for p in verdict.known.speakers("1")] == ["sip:alice@example.com"]


def test_partial_document_before_complete_is_refused() -> None:
    assert any("before a complete one" in text for text in _check(PARTIAL).errors)


def test_hold_takes_the_sender_away() -> None:
    hold = f"""<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>partial</datamode>
    <participantstreamassoc participant_id="{ALICE}"><recv>{STREAM_2}</recv>
    </participantstreamassoc></recording>"""
    verdict = _check(hold, _after_complete())
    assert verdict.errors == []
    assert verdict.known.speakers("1") == []


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        (f'stream_id="{STREAM_1}"', 'stream_id="c2hvcnQ="', 13, "stream_id"),
        (f'stream_id="{STREAM_1}"', f'stream_id="{STREAM_1[:-3]}x=="', 13, "stream_id"),
        (f'stream_id="{STREAM_1}" ', "", 13, "stream_id"),
        (f"<send>{STREAM_1}</send>", "<send>AAAA</send>", 21, "send"),
        (f"<group-ref>{GROUP}", f"<group-ref>{ALICE}", 6, "element <group-ref>"),
        (f"<recv>{STREAM_2}", f"<recv>{ALICE}", 21, "element <recv>"),
        (f'{STREAM_2}" session_id="{SESSION}', f'{STREAM_2}" session_id="{ALICE}', 14, "<stream>"),
        ("2026-11-22T19:00:00Z", "2026-11-22 19:00:00Z", 4, "associate-time"),
        ("2026-11-22T19:00:00Z", "2026-11-22T19:00:00", 4, "associate-time"),
        ("2026-11-22T19:00:00Z", "2026-13-22T19:00:00Z", 4, "associate-time"),
        ("2026-11-22T19:00:00Z", "2026-11-22t19:00:00z", 4, "associate-time"),
        ("<label>2</label>", "<label>1</label>", 14, "used twice"),
        ("<label>2</label>", "<label>3</label>", 14, "on no m-line"),
        ("<label>2</label>", "<label>a b</label>", 14, "label"),
        ("<datamode>complete", "<datamode>whole", 3, "datamode"),
        ('aor="tel:+15551000"', "", 12, "aor"),
        ('aor="tel:+15551000"', 'aor="Bob &lt;tel:1>"', 12, "aor"),
        ('<parameter name="Custom1"', "<parameter", 27, "parameter without a name"),
        ('<nameID aor="tel:+15551000"/>', "", 12, "participant"),
        (STREAM_2 + '" session', STREAM_1 + '" session', 14, "defined twice"),
        ("<datamode>complete</datamode>", "<surprise/>", 3, "surprise"),
    ],
)
def test_fault_is_named_with_line_and_element(old: str, new: str, line: int, says: str) -> None:
    old, new = (re.sub("<parameter", "<siprec:parameter", text) for text in (old, new))
    assert old in COMPLETE
    errors = _check(COMPLETE.replace(old, new, 1)).errors
    assert errors
    assert any(text.startswith(f"line {line}") and says in text for text in errors), errors


def test_elements_out_of_order_are_refused() -> None:
    streams = re.findall(r"  <stream .*?</stream>\n", COMPLETE)
    moved = COMPLETE.replace(streams[0], "").replace(
        "  <participant ", streams[0] + "  <participant ", 1
    )
    assert any("participant" in text for text in _check(moved).errors)


@pytest.mark.parametrize("name", ["participantsessionassoc", "participantstreamassoc"])
def test_participant_without_association_is_refused(name: str) -> None:
    without = re.sub(rf"  <{name}[^>]*/>\n|  <{name}.*?</{name}>\n", "", COMPLETE, flags=re.DOTALL)
    assert sum(f"no <{name}>" in text for text in _check(without).errors) == 2


def test_mline_without_stream_is_refused() -> None:
    errors = _check(COMPLETE, labels=["1", "2", "3"]).errors
    assert errors == ["the m-line with label 3 has no <stream>"]


def test_extensions_of_other_namespaces_are_welcome_at_the_end_only() -> None:
    extension = '<x:e xmlns:x="urn:x"><x:f/></x:e>'
    good = COMPLETE.replace("</session>", f"{extension}</session>")
    assert _check(good).errors == []
    bad = COMPLETE.replace("<group-ref>", f"{extension}<group-ref>", 1)
    assert _check(bad).errors


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE recording [<!ENTITY a "b">]>',
        '<?xml version="1.0"?><!-- c --><!DOCTYPE recording SYSTEM "http://127.0.0.1:1/x.dtd">',
        ' \n<!DOCTYPE recording [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_doctype_is_refused(prolog: str) -> None:
    body = COMPLETE.partition("?>\n")[2].replace("Alice", "&a;")
    errors = _check(prolog + body).errors
    assert len(errors) == 1
    assert "root:" not in errors[0]


def test_other_encodings_huge_and_foreign_documents_are_refused() -> None:
    known = Known()
    assert check(COMPLETE.encode("utf-16"), known, LABELS).errors
    assert check(b"<a>" + b" " * 300_000 + b"</a>", known, LABELS).errors
    assert check(b"<recording/>", known, LABELS).errors
    snapshot = b'<requestsnapshot xmlns="urn:ietf:params:xml:ns:recording:1"/>'
    assert check(snapshot, known, LABELS).errors == [
        "line 1, element <requestsnapshot>: not <recording>"
    ]


@given(data=st.binary(max_size=300))
def test_check_of_anything_gives_a_verdict(data: bytes) -> None:
    assert check(data, Known(), None).errors
