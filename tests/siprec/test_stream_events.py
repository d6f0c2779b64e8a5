"""Which change of a stream is which SiprecEvent, and what a callback says."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec import inbox as i
from siprec.changes import Changes
from siprec.model import Call, CallbackMethod, Party, Plan, Stream, StreamOrder, StreamState, Track
from siprec.recorder import Choice, Recorder
from siprec.stream_events import (
    SiprecEvent,
    StreamEvent,
    callback_of,
    stream_events,
    timestamp,
)
from siprec.verdict import Verdict
from tests.siprec.callbacks import callback
from tests.siprec.pauses import GATE_SET, PAUSE, PAUSE_CALLER, RESUME, agree, asked, leg_of, paused
from tests.siprec.recorders import SHARD, answer, choose_default, make_call, make_recorder, start
from tests.siprec.streams import (
    ACCOUNT_SID,
    CALL_SID,
    LATER_MS,
    NOW_MS,
    STREAM_SID,
    follow,
    on_leg,
    refused,
    stream_in,
)

S = StreamState
CALL = Call(
    sid=CALL_SID,
    account_sid=ACCOUNT_SID,
    sip_call_id="a@b",
    number="+15550001",
    caller=Party(uri="sip:ann@example.com"),
    answered_ms=NOW_MS,
)


def kinds(before: Stream | None, after: Stream) -> list[str]:
    """Name the events of a change."""
    return [event.kind.value for event in stream_events(CALL, before, after, NOW_MS)]


def kinds_of(changes: Changes) -> list[str]:
    """Name the events that changes hold."""
    return [event.kind.value for _, event, _ in changes.happened]


def test_started_is_said_at_the_first_recording_only() -> None:
    first = stream_in(S.RECORDING)
    assert kinds(stream_in(S.CONNECTING), first) == ["siprec-started"]
    assert kinds(first, replace(first, gap_ms=7)) == []


@pytest.mark.parametrize("state", [S.FORKING, S.INVITING, S.CONNECTING, S.CANCELLING])
def test_what_comes_before_and_between_is_not_said(state: StreamState) -> None:
    assert kinds(None, stream_in(state)) == []


def test_stopped_is_said_once_at_the_end_and_also_without_a_recording() -> None:
    stopped = stream_in(S.STOPPED)
    assert kinds(stream_in(S.STOPPING), stopped) == ["siprec-stopped"]
    assert kinds(stopped, stopped) == []
    unrecorded = replace(stopped, recording_ms=None)
    assert kinds(replace(stream_in(S.CANCELLING)), unrecorded) == ["siprec-stopped"]


def test_error_is_said_once_when_no_leg_is_left_and_stopped_does_not_follow() -> None:
    begun = stream_in(S.INVITING)
    failing = follow(begun, on_leg(1, refused(486)), NOW_MS).stream
    assert failing.error_code is not None
    assert kinds(begun, failing) == ["siprec-error"]
    failed = follow(failing, on_leg(1, e.ForkReleased()), NOW_MS).stream
    assert failed.state is S.FAILED
    assert kinds(failing, failed) == []


def test_stream_that_fails_as_it_begins_is_an_error() -> None:
    recorder = make_recorder()
    call = make_call()
    order = StreamOrder(name="one", status_callback="https://a.example/")
    answered = i.CallAnswered(call=call, orders=(order,))
    recorder.apply(SHARD, answered, choose_none_of_the_srs, NOW_MS)
    ((shard, event, ordered),) = recorder.take_changes().happened
    assert (shard, event.kind, ordered) == (SHARD, SiprecEvent.ERROR, order)
    assert (event.error_code, event.name) == (32011, "one")


def choose_none_of_the_srs(account_sid: str, name: str) -> Choice | None:
    """Let the connector be there, and none of its recorders."""
    found = choose_default(account_sid, name)
    return None if found is None else found._replace(srs=())


def test_paused_and_resumed_are_said_when_nothing_is_sent_and_when_it_is_again() -> None:
    recording = stream_in(S.RECORDING)
    asking = follow(recording, [PAUSE], LATER_MS).stream
    assert kinds(recording, asking) == []
    silent = asked().stream
    assert silent.state is S.PAUSED
    assert kinds(asking, silent) == ["siprec-paused"]
    resuming = follow(paused(), [RESUME], LATER_MS).stream
    assert kinds(silent, resuming) == []
    opening = follow(resuming, [agree(resuming)], LATER_MS).stream
    assert (opening.state, leg_of(opening).is_gating) == (S.RECORDING, True)
    assert kinds(resuming, opening) == []
    resumed = follow(opening, [GATE_SET], LATER_MS).stream
    assert kinds(opening, resumed) == ["siprec-resumed"]


def test_gate_that_rtpengine_is_told_of_again_is_no_event() -> None:
    silent = asked().stream
    again = follow(silent, [agree(silent)], LATER_MS).stream
    assert (again.state, leg_of(again).is_gating) == (S.PAUSED, False)
    assert kinds(silent, again) == []
    assert kinds(again, follow(again, [GATE_SET], LATER_MS).stream) == []


def test_pause_of_one_voice_is_none_of_the_stream() -> None:
    one = asked([PAUSE_CALLER, GATE_SET]).stream
    assert one.state is S.RECORDING
    assert kinds(stream_in(S.RECORDING), one) == []


def test_srs_that_takes_over_while_paused_is_no_second_pause() -> None:
    plan = Plan(srs=("sip:a.example", "sip:b.example"))
    silent = asked(plan=plan).stream
    moved = follow(silent, on_leg(1, e.SrsHungUp(is_error=True)), LATER_MS).stream
    assert (moved.state, moved.is_silent) == (S.FORKING, True)
    assert kinds(silent, moved) == []
    assert kinds(moved, replace(moved, state=S.PAUSED)) == []


def test_callback_sends_the_documented_fields() -> None:
    (event,) = stream_events(CALL, stream_in(S.CONNECTING), stream_in(S.RECORDING), NOW_MS + 1)
    assert event.fields == {
        "AccountSid": ACCOUNT_SID,
        "CallSid": CALL_SID,
        "From": "sip:ann@example.com",
        "To": "+15550001",
        "CallStatus": "in-progress",
        "ApiVersion": "2010-04-01",
        "Direction": "inbound",
        "SiprecSid": STREAM_SID,
        "SiprecName": "",
        "SiprecEvent": "siprec-started",
        "Timestamp": "2023-11-14T22:13:20.001000Z",
    }


def test_callback_of_an_error_says_which() -> None:
    error = StreamEvent(
        token="t",
        kind=SiprecEvent.ERROR,
        at_ms=0,
        account_sid="AC",
        call_sid="CA",
        error_code=31960,
        error_text="too many",
    )
    assert list(error.fields.items())[-2:] == [
        ("SiprecError", "too many"),
        ("SiprecErrorCode", "31960"),
    ]


def test_timestamp_is_iso_8601_with_microseconds() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00.000000Z"


def test_tokens_differ_by_stream_event_and_time() -> None:
    before, after = stream_in(S.CONNECTING), stream_in(S.RECORDING)
    (first,) = stream_events(CALL, before, after, NOW_MS)
    (again,) = stream_events(CALL, before, after, NOW_MS)
    (later,) = stream_events(CALL, before, after, NOW_MS + 1)
    (stopped,) = stream_events(CALL, stream_in(S.STOPPING), stream_in(S.STOPPED), NOW_MS)
    assert first.token == again.token
    assert len({first.token, later.token, stopped.token}) == 3


def test_refused_streams_of_a_document_are_errors_with_tokens_of_their_own() -> None:
    recorder = make_recorder()
    order = StreamOrder(connector_name="Nobody", status_callback="https://a.example/")
    many = [StreamOrder(name=name, track=Track.BOTH) for name in ("a", "b", "c")]
    call = answer(recorder, order, *many, order)
    events = [event for _, event, _ in recorder.take_changes().happened]
    assert [event.error_code for event in events] == [31940, 31960, 31940]
    assert {event.stream_sid for event in events} == {""}
    assert [event.name for event in events] == ["", "c", ""]
    assert {event.call_sid for event in events} == {call.sid}
    assert len({event.token for event in events}) == 3


def test_refused_order_of_a_person_is_a_verdict_and_no_event() -> None:
    recorder = make_recorder()
    call = answer(recorder)
    verdict = order_unknown(recorder, call)
    assert (verdict.accepted, verdict.code) == (False, 31940)
    assert kinds_of(recorder.take_changes()) == []


def order_unknown(recorder: Recorder, call: Call) -> Verdict:
    """Order a stream with a connector that is not there."""
    entry = i.StartOrdered(
        request_id="r", call_sid=call.sid, order=StreamOrder(connector_name="Nobody")
    )
    recorder.apply(SHARD, entry, choose_default, NOW_MS)
    changes = recorder.take_changes()
    assert kinds_of(changes) == []
    return changes.verdicts[-1][2]


def test_events_of_a_shard_that_is_lost_are_dropped() -> None:
    recorder = make_recorder()
    answer(recorder, StreamOrder(connector_name="Nobody"))
    changes = recorder.take_changes()
    changes.drop(SHARD + 1)
    assert kinds_of(changes) == ["siprec-error"]
    changes.drop(SHARD)
    assert kinds_of(changes) == []


def test_callback_is_as_the_order_wants_it() -> None:
    (event,) = stream_events(CALL, stream_in(S.CONNECTING), stream_in(S.RECORDING), NOW_MS)
    assert callback_of(event, StreamOrder()) is None
    order = StreamOrder(
        status_callback="https://a.example/#rc=2", status_callback_method=CallbackMethod.GET
    )
    callback = callback_of(event, order)
    assert callback is not None
    assert (callback.event, callback.url) == (event, "https://a.example/#rc=2")
    assert (callback.method, callback.connector_name) == (CallbackMethod.GET, "Default")
    assert callback.order_key == STREAM_SID
    assert replace(callback, event=replace(event, stream_sid="")).order_key == CALL_SID


def test_started_order_of_a_person_leads_to_events_too() -> None:
    recorder = make_recorder()
    call = answer(recorder)
    verdict = start(recorder, call, StreamOrder(name="x"))
    recorder.happen(verdict.stream_sid or "", e.Stopped(), NOW_MS)
    recorder.happen_to_leg(verdict.stream_sid or "", 1, e.ForkReleased(), NOW_MS)
    assert kinds_of(recorder.take_changes()) == ["siprec-stopped"]


def test_callback_tells_its_sender_whose_it_is_and_what_to_send() -> None:
    made = callback()
    event = made.event
    assert (made.account_sid, made.token) == (event.account_sid, event.token)
    assert (made.what, made.kind) == ("siprec-started", "callback")
    assert made.fields == event.fields
