"""The metadata of a session over time, and what contradicts what was said before."""

import pytest

from siprec_srs.history import Turns, broken_identities, homeless_streams
from siprec_srs.known import Known
from siprec_srs.metadata import check
from tests.srs.conftest import StartSrs
from tests.srs.documents import (
    ALICE,
    BOB,
    COMPLETE,
    GROUP,
    SESSION,
    STREAM_1,
    STREAM_2,
    partial,
)
from tests.srs.src_client import SrcClient, ports_of

CAROL = "Atnm1ZRnOC6Pm5MApkrDzQ=="
OTHER_GROUP = "60JAJm9UTvik0Ltlih/Gzw=="
OTHER_SESSION = "bfLZ+NTFEeCNxQTuRyQBmw=="
OTHER_STREAM = "8zc6e0lYTlWIINA6GR+3ag=="
LATER = "2026-11-22T19:05:00Z"
SIP_ID = "ab30317f1a784dc48ff824d0d3715d86;remote=f81d4fae7dec11d0a76500a0c91e6bf6"
LOUD = bytes([0x10]) * 160

HOLD = partial(
    f'<participantstreamassoc participant_id="{ALICE}"><recv>{STREAM_2}</recv>'
    "</participantstreamassoc>",
    f'<participantstreamassoc participant_id="{BOB}"><send>{STREAM_2}</send>'
    "</participantstreamassoc>",
)
RESUME = partial(
    f'<participantstreamassoc participant_id="{ALICE}"><send>{STREAM_1}</send>'
    f"<recv>{STREAM_2}</recv></participantstreamassoc>"
)
TRANSFER = partial(
    f'<participant participant_id="{CAROL}"><nameID aor="sip:carol@example.com"/></participant>',
    f'<participantsessionassoc participant_id="{ALICE}" session_id="{SESSION}">'
    f"<disassociate-time>{LATER}</disassociate-time></participantsessionassoc>",
    f'<participantsessionassoc participant_id="{CAROL}" session_id="{SESSION}">'
    f"<associate-time>{LATER}</associate-time></participantsessionassoc>",
    f'<participantstreamassoc participant_id="{CAROL}"><send>{STREAM_1}</send>'
    f"<recv>{STREAM_2}</recv></participantstreamassoc>",
)
STOP = partial(
    f'<session session_id="{SESSION}"><sipSessionID>{SIP_ID}</sipSessionID>'
    f"<stop-time>{LATER}</stop-time></session>"
)


def _after(*documents: str) -> Known:
    known = Known()
    for document in documents:
        verdict = check(document.encode(), known, None)
        assert verdict.errors == []
        known = verdict.known
    return known


def _aors(known: Known, label: str) -> list[str]:
    return [who.aor for who in known.live_speakers(label)]


def test_hold_and_resume_change_only_who_sends() -> None:
    assert _aors(_after(COMPLETE, HOLD), "1") == []
    assert _aors(_after(COMPLETE, HOLD), "2") == ["tel:+15551000"]
    assert _after(COMPLETE, HOLD).participants == _after(COMPLETE).participants
    assert _after(COMPLETE, HOLD).contributions[BOB].recv == ()
    assert _after(COMPLETE, HOLD, RESUME).contributions[ALICE].send == (STREAM_1,)


def test_transfer_puts_another_on_the_same_stream() -> None:
    known = _after(COMPLETE, TRANSFER)
    assert _aors(known, "1") == ["sip:carol@example.com"]
    state = known.describe()
    assert state["participants"][ALICE]["sessions"][SESSION]["disassociated"] == LATER
    assert state["participants"][CAROL]["sessions"][SESSION]["associated"] == LATER
    assert state["streams"][STREAM_1]["receivers"] == ["tel:+15551000"]
    assert "sip:carol@example.com" in state["streams"][STREAM_1]["senders"]


def test_what_a_partial_document_leaves_out_stays() -> None:
    session = _after(COMPLETE, STOP).describe()["sessions"][SESSION]
    assert session == {
        "group": GROUP,
        "start": "2026-11-22T19:00:00.123Z",
        "stop": LATER,
        "sip_session_ids": [SIP_ID],
    }


def test_nobody_speaks_live_in_a_session_that_is_over() -> None:
    known = _after(COMPLETE, STOP)
    assert _aors(known, "1") == []
    assert [who.aor for who in known.speakers("1")] == ["sip:alice@example.com"]


def test_complete_document_replaces_everything() -> None:
    assert _after(COMPLETE, TRANSFER, COMPLETE) == _after(COMPLETE)


def test_contribution_may_be_told_in_parts() -> None:
    parts = partial(
        f'<participantstreamassoc participant_id="{ALICE}"><send>{STREAM_1}</send>'
        f"<disassociate-time>{LATER}</disassociate-time></participantstreamassoc>",
        f'<participantstreamassoc participant_id="{ALICE}"><send>{STREAM_2}</send>'
        "</participantstreamassoc>",
    )
    its = _after(COMPLETE, parts).contributions[ALICE]
    assert (its.send, its.recv, its.period.disassociated) == ((STREAM_2,), (), "")


def _again(old: str, new: str) -> str:
    return COMPLETE.replace(old, new)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (_again(ALICE, CAROL), f"participant sip:alice@example.com was {ALICE} and is now {CAROL}"),
        (
            _again(STREAM_1, OTHER_STREAM),
            f"the stream with label 1 was {STREAM_1} and is now {OTHER_STREAM}",
        ),
        (
            _again(GROUP, OTHER_GROUP),
            f"session {SESSION} moved from group {GROUP} to {OTHER_GROUP}",
        ),
    ],
)
def test_other_identifier_for_the_same_is_a_problem(document: str, problem: str) -> None:
    assert check(document.encode(), _after(COMPLETE), None).notes == [problem]


def test_other_session_id_for_the_same_call_is_a_problem() -> None:
    call = COMPLETE.replace("<group-ref>", f"<sipSessionID>{SIP_ID}</sipSessionID><group-ref>")
    after = _after(call.replace(SESSION, OTHER_SESSION))
    wanted = [f"session {SIP_ID} was {SESSION} and is now {OTHER_SESSION}"]
    assert broken_identities(_after(call), after) == wanted
    assert broken_identities(_after(call, STOP), after) == []


def test_two_devices_of_one_user_and_anonymous_callers_are_no_problem() -> None:
    twin = TRANSFER.replace("sip:carol@example.com", "tel:+15551000")
    assert broken_identities(_after(COMPLETE), _after(COMPLETE, twin)) == []
    nameless = COMPLETE.replace("tel:+15551000", "sip:anonymous@anonymous.invalid")
    assert broken_identities(_after(nameless), _after(nameless.replace(BOB, CAROL))) == []


def test_participant_who_leaves_and_comes_back_keeps_its_identifier() -> None:
    left = TRANSFER.replace("sip:carol@example.com", "sip:alice@example.com")
    wanted = [f"participant sip:alice@example.com was {ALICE} and is now {CAROL}"]
    assert broken_identities(_after(COMPLETE), _after(COMPLETE, left)) == wanted


def test_stream_that_is_sent_on_no_m_line_is_told() -> None:
    assert homeless_streams(_after(COMPLETE), ["2"]) == [
        "somebody sends the stream with label 1, on no m-line"
    ]
    assert homeless_streams(_after(COMPLETE, HOLD), ["2"]) == []


def test_turns_begin_when_somebody_else_sends() -> None:
    turns = Turns()
    for at, known in enumerate([_after(COMPLETE), _after(COMPLETE), _after(COMPLETE, HOLD)]):
        turns.take(known, ["1", "2"], float(at))
    assert [(at, [who.aor for who in people]) for at, people in turns.of("1")] == [
        (0.0, ["sip:alice@example.com"]),
        (2.0, []),
    ]
    assert len(turns.of("2")) == 1
    assert turns.of("3") == []


def test_summary_tells_the_history_and_who_spoke(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        ports = ports_of(src.establish())
        src.play(0, ports[0], [LOUD] * 25)
        assert src.changed("UPDATE", metadata=TRANSFER).status == 200
        src.play(1, ports[1], [LOUD] * 25)
        src.bye()
    summary = srs.ended()
    assert [(s["n"], s["source"], s["datamode"]) for s in summary["metadata_history"]] == [
        (1, "INVITE", "complete"),
        (2, "UPDATE", "partial"),
    ]
    assert list(summary["metadata_history"][1]["participants"]) == [ALICE, BOB, CAROL]
    one, two = summary["labels"]["1"], summary["labels"]["2"]
    speakers = [[who["aor"] for who in turn["participants"]] for turn in one["speakers"]]
    assert speakers == [["sip:alice@example.com"], ["sip:carol@example.com"]]
    assert one["speakers"][0]["to"] == one["speakers"][1]["from"] == summary["metadata"][1]["at"]
    assert sum(turn["speech_s"] for turn in one["speakers"]) == one["speech_s"] == 0.5
    assert (one["agrees"], two["agrees"]) == (True, True)
    assert summary["problems"] == []
