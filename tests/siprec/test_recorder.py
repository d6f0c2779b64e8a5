"""The rules of a controller's streams: which are accepted, and what becomes of them."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec import inbox as i
from siprec import plans
from siprec.alerts import About, AlertLevel
from siprec.changes import Changes
from siprec.leg_dialog import UPDATE_GAP_MS
from siprec.live_orders import NO_SUCH_STREAM
from siprec.model import Party, Picture, Side, StreamOrder, StreamState, Track
from siprec.reported_faults import REPORTS_LOST
from siprec.sids import make_stream_sid
from siprec.verdict import NOT_IN_PROGRESS
from siprec.web_request import WebRequest
from tests.siprec.recorders import (
    LIMITS,
    SHARD,
    answer,
    bye,
    choose_default,
    choose_nothing,
    happen,
    make_call,
    make_recorder,
    pause,
    record,
    start,
    stop,
    stream_of,
)
from tests.siprec.streams import ACCOUNT_SID, FORK_OFFERED, NOW_MS, refused

BOTH, ONE = Track.BOTH, Track.INBOUND
SOON_MS = NOW_MS + UPDATE_GAP_MS


# Starting


def test_call_answered_starts_the_streams_of_its_document() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder(name="main"), StreamOrder(name="more", track=ONE))
    changes = recorder.take_changes()
    assert set(changes.calls) == {call.sid}
    assert set(changes.streams) == {make_stream_sid(call.sid, n) for n in (1, 2)}
    assert [type(order.command) for order in changes.commands] == [e.RequestFork] * 2
    assert [event for _, event, _ in changes.transitions] == [None, None]
    assert not changes.alerts


def test_call_answered_twice_counts_once() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder())
    recorder.take_changes()
    answer(recorder, StreamOrder(), call=call)
    assert recorder.take_changes() == Changes()


def test_call_answered_raises_its_notices_as_alerts() -> None:
    recorder = make_recorder()
    call = make_call()
    notice = i.Notice(code=31952, text="no stream 'x'")
    recorder.apply(SHARD, i.CallAnswered(call=call, notices=(notice,)), choose_default, NOW_MS)
    ((shard, alert),) = recorder.take_changes().alerts
    assert (shard, alert.code, alert.text) == (SHARD, 31952, "no stream 'x'")
    assert (alert.call_sid, alert.account_sid) == (call.sid, ACCOUNT_SID)
    assert alert.sid.startswith("NO2a")
    assert len(alert.sid) == 34


def test_call_answered_while_connectors_cannot_be_read_changes_nothing() -> None:
    recorder = make_recorder()
    entry = i.CallAnswered(call=make_call(), orders=(StreamOrder(),))
    with pytest.raises(LookupError):
        recorder.apply(SHARD, entry, choose_nothing, NOW_MS)
    assert recorder.take_changes() == Changes()
    assert recorder.live_calls() == []


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (StreamOrder(name="main", track=ONE), plans.DUPLICATE_NAME),
        (StreamOrder(connector_name="Missing"), plans.UNKNOWN_CONNECTOR),
        (StreamOrder(parameters=(("Via", "x"),)), 32113),
        (StreamOrder(name="x" * 300), 12200),
    ],
    ids=["duplicate name", "unknown connector", "forbidden parameter", "long name"],
)
def test_order_that_breaks_a_rule_is_refused_alone_and_alerted(
    order: StreamOrder, code: int
) -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder(name="main"), order)
    changes = recorder.take_changes()
    assert len(changes.streams) == 1
    ((_, alert),) = changes.alerts
    assert (alert.code, alert.connector_name) == (code, order.connector_name)
    verdict = start(recorder, call, order)
    assert not verdict.accepted
    assert verdict.code == code


@pytest.mark.parametrize(
    ("first", "fits"),
    [((BOTH, BOTH), False), ((BOTH, ONE), True), ((BOTH,), True)],
    ids=["full", "one left", "two left"],
)
def test_track_too_many_is_refused(first: tuple[Track, ...], fits: bool) -> None:
    recorder = make_recorder()
    call = answer(recorder, *(StreamOrder(track=track) for track in first))
    verdict = start(recorder, call, StreamOrder(track=ONE))
    assert verdict.accepted is fits
    assert verdict.code == (None if fits else plans.TOO_MANY_TRACKS)


def test_both_tracks_do_not_fit_where_one_is_left() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder(track=BOTH), StreamOrder(track=ONE))
    verdict = start(recorder, call, StreamOrder(track=BOTH))
    assert (verdict.code, verdict.text) == (
        plans.TOO_MANY_TRACKS,
        "track: 3 of at most 4 tracks are taken",
    )


def test_stream_that_ends_gives_its_name_and_tracks_back() -> None:
    recorder = make_recorder(replace(LIMITS, tracks_per_call=2))
    call = answer(recorder, StreamOrder(name="main"))
    record(recorder, call)
    assert not start(recorder, call, StreamOrder(name="main")).accepted
    assert stop(recorder, make_stream_sid(call.sid, 1)).accepted
    verdict = start(recorder, call, StreamOrder(name="main"))
    assert verdict.stream_sid == make_stream_sid(call.sid, 2)


def test_nameless_streams_are_never_duplicates() -> None:
    recorder = make_recorder()
    answer(recorder, StreamOrder(), StreamOrder())
    assert len(recorder.take_changes().streams) == 2


def test_start_on_a_call_that_is_not_in_progress_is_refused() -> None:
    recorder = make_recorder()
    assert start(recorder, make_call(), StreamOrder()).code == NOT_IN_PROGRESS
    call = answer(recorder, StreamOrder())
    bye(recorder, call)
    assert start(recorder, call, StreamOrder()).code == NOT_IN_PROGRESS


# Stopping


def test_stop_is_accepted_also_when_repeated() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder())
    record(recorder, call)
    for _ in range(2):
        assert stop(recorder, make_stream_sid(call.sid, 1)).text == "stopping"
    assert stream_of(recorder, call).state is StreamState.STOPPING


def test_pause_happens_to_the_sides_of_the_track_and_its_order_is_answered() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder())
    record(recorder, call)
    sid = stream_of(recorder, call).sid
    verdict = pause(recorder, sid, Track.INBOUND)
    assert (verdict.accepted, verdict.stream_sid) == (True, sid)
    assert stream_of(recorder, call).paused == Track.INBOUND.sides
    assert pause(recorder, sid).accepted
    assert pause(recorder, sid, Track.OUTBOUND, is_resumed=True).accepted
    assert stream_of(recorder, call).paused == Track.INBOUND.sides


def test_paused_stream_holds_its_name_and_its_tracks() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder(name="one"))
    record(recorder, call)
    pause(recorder, stream_of(recorder, call).sid)
    happen(recorder, call, e.ForkAnswered())
    assert stream_of(recorder, call).state is StreamState.PAUSED
    assert start(recorder, call, StreamOrder(name="one")).code == plans.DUPLICATE_NAME
    assert start(recorder, call, StreamOrder(name="two")).accepted
    assert start(recorder, call, StreamOrder(name="three")).code == plans.TOO_MANY_TRACKS


def test_pause_of_what_is_no_stream_here_is_refused() -> None:
    assert pause(make_recorder(), "nonsense").code == NO_SUCH_STREAM


@pytest.mark.parametrize("sid", [make_stream_sid(make_call().sid, 1), make_call().sid, "nonsense"])
def test_stop_of_what_is_no_stream_here_is_refused(sid: str) -> None:
    assert stop(make_recorder(), sid).code == NO_SUCH_STREAM


# Other news


def test_call_changed_replays_the_answers_of_streams_that_record() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder(), StreamOrder())
    record(recorder, call)
    recorder.take_changes()
    recorder.apply(SHARD, i.CallChanged(call_sid=call.sid, at_ms=1), choose_default, NOW_MS)
    recorder.apply(SHARD, i.CallChanged(call_sid="CA0", at_ms=1), choose_default, NOW_MS)
    commands = [(o.stream_sid, o.command) for o in recorder.take_changes().commands]
    assert commands == [(make_stream_sid(call.sid, 1), e.AnswerFork())]


def test_call_changed_is_kept_and_told_to_streams_that_record() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder())
    record(recorder, call)
    recorder.take_changes()
    held = i.CallChanged(call_sid=call.sid, at_ms=1, quiet=(Side.CALLER,))
    recorder.apply(SHARD, held, choose_default, SOON_MS)
    changes = recorder.take_changes()
    assert changes.calls[call.sid].call.quiet == (Side.CALLER,)
    assert [type(o.command) for o in changes.commands] == [e.AnswerFork, e.SendAsked]
    recorder.apply(SHARD, held, choose_default, SOON_MS)
    assert not recorder.take_changes().calls


def test_identity_that_changes_touches_no_media() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder())
    record(recorder, call)
    recorder.take_changes()
    carol = i.CallChanged(call_sid=call.sid, at_ms=1, callee=Party(uri="sip:c@h"), has_sdp=False)
    recorder.apply(SHARD, carol, choose_default, SOON_MS)
    assert [type(o.command) for o in recorder.take_changes().commands] == [e.SendAsked]
    assert stream_of(recorder, call).picture == Picture(revision=1, formers=1)


def test_stream_of_a_call_that_changed_before_begins_with_it() -> None:
    recorder = make_recorder()
    call = answer(recorder, call=replace(make_call(), quiet=(Side.CALLEE,)))
    start(recorder, call, StreamOrder())
    assert stream_of(recorder, call).picture == Picture(quiet=("2",))


def test_reports_dropped_is_an_alert() -> None:
    recorder = make_recorder()
    entry = i.ReportsDropped(node="edge1", count=7, at_ms=1)
    recorder.apply(SHARD, entry, choose_default, NOW_MS)
    ((_, alert),) = recorder.take_changes().alerts
    assert alert.code == REPORTS_LOST
    assert "edge1 dropped 7 reports" in alert.text
    assert alert.call_sid is None


def test_callback_that_was_given_up_is_an_alert() -> None:
    recorder = make_recorder()
    call_sid = make_call().sid
    stream_sid = make_stream_sid(call_sid, 1)
    failed = i.CallbackFailed(
        call_sid=call_sid, account_sid=ACCOUNT_SID, code=15003, text="it answered 500"
    )
    known = replace(failed, stream_sid=stream_sid, connector_name="Default")
    for entry in (failed, known):
        recorder.apply(SHARD, entry, choose_default, NOW_MS)
    (_, first), (_, second) = recorder.take_changes().alerts
    assert (first.code, first.text, first.call_sid) == (15003, "it answered 500", call_sid)
    assert (first.stream_sid, first.connector_name) == (None, None)
    assert (second.stream_sid, second.connector_name) == (stream_sid, "Default")


def test_document_that_failed_is_an_alert_of_its_call() -> None:
    recorder = make_recorder()
    call_sid = make_call().sid
    request = WebRequest(url="http://h/", method="GET", status=500)
    entry = i.DocumentFailed(
        call_sid=call_sid, account_sid=ACCOUNT_SID, code=11200, text="no use", request=request
    )
    recorder.apply(SHARD, entry, choose_default, NOW_MS)
    ((_, alert),) = recorder.take_changes().alerts
    assert (alert.code, alert.text, alert.request) == (11200, "no use", request)
    assert (alert.call_sid, alert.account_sid) == (call_sid, ACCOUNT_SID)


def test_messages_of_the_srs_are_not_for_the_recorder() -> None:
    reply = i.SrsReplied(call_id="c", method="BYE", cseq=1, status=200)
    with pytest.raises(TypeError):
        make_recorder().apply(SHARD, reply, choose_default, NOW_MS)


def test_alert_of_a_stream_names_stream_call_and_connector() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder())
    sid = make_stream_sid(call.sid, 1)
    happen(recorder, call, FORK_OFFERED, refused(486))
    ((_, alert),) = recorder.take_changes().alerts
    assert (alert.stream_sid, alert.call_sid, alert.connector_name) == (sid, call.sid, "Default")


def test_event_of_an_unknown_stream_changes_nothing() -> None:
    recorder = make_recorder()
    call = answer(recorder)
    recorder.take_changes()
    recorder.happen(make_stream_sid(call.sid, 9), e.Stopped(), NOW_MS)
    recorder.happen(make_stream_sid(make_call().sid, 1), e.Stopped(), NOW_MS)
    assert recorder.take_changes() == Changes()


def test_event_that_changes_nothing_is_not_saved() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder())
    recorder.take_changes()
    happen(recorder, call, e.ForkLost())
    assert recorder.take_changes() == Changes()


def test_noted_request_is_saved_for_a_leg_that_is_here() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder())
    stream = stream_of(recorder, call)
    noted = replace(stream.legs[0], remote_cseq=7)
    recorder.take_changes()
    recorder.note_request(stream.sid, noted)
    recorder.note_request(make_stream_sid(make_call().sid, 1), noted)
    assert recorder.take_changes().streams == {stream.sid: replace(stream, legs=(noted,))}


def test_told_alert_is_about_a_connector_and_no_call() -> None:
    recorder = make_recorder()
    level = AlertLevel.WARNING
    about = About(account_sid=ACCOUNT_SID, connector_name="Default", srs="sip:srs")
    recorder.tell(SHARD, about, 7, "it expires", level, NOW_MS)
    ((shard, alert),) = recorder.take_changes().alerts
    assert (shard, alert.account_sid, alert.connector_name) == (SHARD, ACCOUNT_SID, "Default")
    assert (alert.code, alert.text, alert.level) == (7, "it expires", AlertLevel.WARNING)
    assert alert.srs == "sip:srs"
    assert (alert.call_sid, alert.stream_sid) == (None, None)


def test_call_that_could_not_be_ended_is_an_alert() -> None:
    recorder = make_recorder()
    sid = make_call().sid
    entry = i.CallNotEnded(call_sid=sid, account_sid=ACCOUNT_SID, text="no BYE went out")
    recorder.apply(SHARD, entry, choose_default, NOW_MS)
    ((_, alert),) = recorder.take_changes().alerts
    assert (alert.call_sid, alert.account_sid) == (sid, ACCOUNT_SID)
    assert alert.text == "no BYE went out"
