"""The demo's timeline: from the store's history and the recorder's events."""

from dataclasses import replace
from pathlib import Path

from siprec.model import Leg, Moment, Stream, StreamOrder, StreamState, Track
from siprec_control.demo_story import read_events, tell, to_ms
from tests.control.conftest import ACCOUNT, CALL

BEGAN = CALL.started_ms
TALKED = replace(CALL, ended_ms=BEGAN + 9_000, end_reason="bye")


def stream(*states: tuple[int, StreamState], error: str | None = None) -> Stream:
    return Stream(
        sid="SR05" + "a" * 22 + "00000001",
        call_sid=CALL.sid,
        account_sid=ACCOUNT,
        order=StreamOrder(name="one", track=Track.INBOUND),
        legs=(Leg(call_id="leg-1"),),
        error_text=error,
        history=tuple(Moment(at_ms=BEGAN + at, event="e", state=state) for at, state in states),
    )


def test_story_is_in_order_of_time_and_each_state_stands_once(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(
        "ready 127.0.0.1:5090\n"
        '{"event": "invite", "at": "2023-11-14T22:13:21.050Z", "call_id": "leg-1"}\n'
        '{"event": "first-media", "at": "2023-11-14T22:13:22Z", "call_id": "leg-1",'
        ' "first_packet": "2023-11-14T22:13:21.100Z"}\n'
        '{"event": "ended", "at": "2023-11-14T22:13:29.500Z", "call_id": "leg-1"}\n'
        '{"event": "ended", "at": "2023-11-14T22:13:29.500Z", "call_id": "of-others"}\n'
        '{"event": "half'
    )
    recording = stream(
        (1_010, StreamState.FORKING),
        (1_080, StreamState.RECORDING),
        (5_000, StreamState.RECORDING),
        (9_000, StreamState.STOPPING),
        (9_001, StreamState.STOPPED),
    )
    assert [line.split(maxsplit=2)[0::2] for line in tell(TALKED, [recording], events)] == [
        ["0.000", "call        Ann dials +15550001; the phone rings"],
        ["1.000", "call        Bob answers: the two talk"],
        ["1.010", "stream one  is ordered: rtpengine is asked for a copy of Ann's voice"],
        ["1.080", "stream one  IS RECORDING Ann's voice"],
        ["1.100", "recorder    hears the first packet of one"],
        ["9.000", "call        Ann hangs up"],
        ["9.000", "stream one  ends: the copy is cut off, the recorder is told (SIP BYE)"],
        ["9.001", "stream one  IS OVER"],
        ["9.500", "recorder    has closed the files of one"],
    ]
    assert len(read_events(events)) == 4


def test_failure_is_told_with_its_reason(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text("")
    broken = stream((0, StreamState.FAILED), error="the SRS answered 503 Busy")
    lost = replace(TALKED, end_reason="media-gone")
    story = tell(lost, [broken], events)
    assert story[1].endswith("stream one  FAILED: the SRS answered 503 Busy")
    assert story[-1].endswith("call        ends: media-gone")


def test_secure_recorder_is_told_of_as_such(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text("")
    secure = stream((10, StreamState.INVITING), (20, StreamState.CONNECTING))
    leg = replace(secure.legs[0], srs="sip:127.0.0.1:5061;secure=true")
    _, invited, agreed, *_ = tell(TALKED, [replace(secure, legs=(leg,))], events)
    assert invited.endswith("Kamailio invites the recorder over TLS, with keys")
    assert agreed.endswith("as SRTP")


def test_iso_times_become_milliseconds() -> None:
    assert to_ms("2023-11-14T22:13:20.123Z") == 1_700_000_000_123
