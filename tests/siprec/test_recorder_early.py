"""Calls whose early media is recorded: from the ringing to the answer, or to the failure."""

from dataclasses import replace

from siprec import events as e
from siprec import inbox as i
from siprec.changes import Changes
from siprec.model import Call, Party, Side, StreamOrder, StreamState
from siprec.recorder import Recorder
from siprec.sids import make_stream_sid
from tests.siprec.recorders import (
    CONNECTOR,
    LIMITS,
    SHARD,
    answer,
    choose_default,
    make_call,
    make_recorder,
    offering,
    stream_of,
)
from tests.siprec.streams import NOW_MS

MAIN = StreamOrder(name="main")
EARLY = offering(replace(CONNECTOR, early_media=True))
EARLY_MS = NOW_MS - 3_000


def ring(recorder: Recorder, *orders: StreamOrder) -> Call:
    """Let a call bring early media; give it as it was then."""
    call = replace(make_call(), answered_ms=None, early_ms=EARLY_MS)
    recorder.apply(SHARD, i.CallRinging(call=call, orders=orders), EARLY, EARLY_MS)
    return call


def answered(call: Call, callee: Party | None = None, session_id: str = "") -> Call:
    """Give that call as the proxy reports it when it is answered."""
    callee = callee or call.callee
    return replace(call, early_ms=None, answered_ms=NOW_MS, callee=callee, session_id=session_id)


def test_early_media_is_recorded_where_the_connector_says_so() -> None:
    recorder = make_recorder()
    call = ring(recorder, MAIN)
    changes = recorder.take_changes()
    assert set(changes.calls) == {call.sid}
    assert set(changes.streams) == {make_stream_sid(call.sid, 1)}
    assert [type(order.command) for order in changes.commands] == [e.RequestFork]
    assert call.media_tag(Side.CALLER) == "a"
    assert call.media_tag(Side.CALLEE) == f"callee-{call.sid}"


def test_early_media_of_other_connectors_only_rings() -> None:
    call = replace(make_call(), answered_ms=None, early_ms=EARLY_MS)
    unknown = StreamOrder(connector_name="Nobody")
    for choose, order in [(choose_default, MAIN), (EARLY, unknown)]:
        recorder = make_recorder()
        recorder.apply(SHARD, i.CallRinging(call=call, orders=(order,)), choose, EARLY_MS)
        (file,) = recorder.live_calls()
        assert (file.call.ringing_ms, file.call.early_ms) == (EARLY_MS, None)
        assert file.streams == {}


def test_early_media_of_a_call_that_rang_before_is_recorded() -> None:
    recorder = make_recorder()
    rang_ms = EARLY_MS - 1_000
    call = replace(make_call(), answered_ms=None, ringing_ms=rang_ms)
    recorder.apply(SHARD, i.CallRinging(call=call), EARLY, rang_ms)
    early = replace(call, ringing_ms=EARLY_MS, early_ms=EARLY_MS, callee=Party(tag="c"))
    recorder.apply(SHARD, i.CallRinging(call=early, orders=(MAIN,)), EARLY, EARLY_MS)
    (file,) = recorder.live_calls()
    assert file.call == replace(early, ringing_ms=rang_ms)
    assert stream_of(recorder, call).state is StreamState.FORKING


def test_early_media_that_is_reported_twice_counts_once() -> None:
    recorder = make_recorder()
    call = ring(recorder, MAIN)
    recorder.take_changes()
    recorder.apply(SHARD, i.CallRinging(call=call, orders=(MAIN,)), EARLY, NOW_MS)
    assert recorder.take_changes() == Changes()


def test_answer_goes_on_with_the_stream_of_early_media_and_starts_the_others() -> None:
    recorder = make_recorder()
    call = ring(recorder, MAIN)
    carol = Party(uri="sip:carol@h", tag="c")
    answer(recorder, MAIN, StreamOrder(name="more"), call=answered(call, carol), choose=EARLY)
    file = recorder.call_file(call.sid)
    assert file is not None
    assert (file.call.early_ms, file.call.answered_ms) == (EARLY_MS, NOW_MS)
    assert file.call.callee == carol
    assert [stream.order.name for stream in file.streams.values()] == ["main", "more"]
    assert stream_of(recorder, call).state is StreamState.FORKING


def test_session_id_of_the_answer_is_news_to_who_records_early_media() -> None:
    recorder = make_recorder()
    call = ring(recorder, MAIN)
    answer(recorder, MAIN, call=answered(call, session_id="a" * 32), choose=EARLY)
    assert stream_of(recorder, call).picture.revision == 1


def test_stream_of_early_media_that_the_answer_does_not_want_ends() -> None:
    recorder = make_recorder()
    call = ring(recorder, MAIN)
    answer(recorder, StreamOrder(name="other"), call=answered(call), choose=EARLY)
    assert stream_of(recorder, call, 1).is_stopped
    assert stream_of(recorder, call, 2).order.name == "other"


def test_call_that_fails_after_early_media_ends_its_streams() -> None:
    recorder = make_recorder()
    call = ring(recorder, MAIN)
    recorder.take_changes()
    failed = replace(call, ended_ms=NOW_MS, end_reason="failed-486")
    notice = i.Notice(code=31952, text="no stream 'x'")
    entry = i.CallFailed(call=failed, notices=(notice,), media_released=True)
    recorder.apply(SHARD, entry, EARLY, NOW_MS)
    file = recorder.call_file(call.sid)
    assert file is not None
    assert file.call.end_reason == "failed-486"
    assert stream_of(recorder, call).is_stopped
    changes = recorder.take_changes()
    assert [alert.code for _, alert in changes.alerts] == [31952]
    assert changes.orphans == []


def test_longest_duration_counts_from_the_early_media_and_from_the_answer_anew() -> None:
    over_ms = EARLY_MS + LIMITS.call_s * 1000
    ringing, talking = make_recorder(), make_recorder()
    for recorder in (ringing, talking):
        call = ring(recorder, MAIN)
        if recorder is talking:
            answer(recorder, MAIN, call=answered(call), choose=EARLY)
        recorder.pass_time(over_ms)
        file = recorder.call_file(call.sid)
        assert file is not None
        assert file.call.end_reason == ("too-long" if recorder is ringing else None)
