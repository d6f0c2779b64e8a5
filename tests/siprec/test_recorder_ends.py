"""How calls end: by BYE, by time, by another owner."""

from dataclasses import replace

import pytest

from siprec import early_ends
from siprec import events as e
from siprec import inbox as i
from siprec.changes import Changes
from siprec.model import StreamOrder, StreamState
from siprec.sids import make_stream_sid
from tests.siprec.recorders import (
    LIMITS,
    SHARD,
    answer,
    bye,
    choose_default,
    happen,
    make_call,
    make_recorder,
    record,
    start,
    stream_of,
)
from tests.siprec.streams import ACCOUNT_SID, NOW_MS

# The end of a call


def test_bye_with_the_calls_tags_ends_call_and_streams() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder())
    record(recorder, call)
    recorder.take_changes()
    bye(recorder, call, "ba")
    changes = recorder.take_changes()
    assert changes.calls[call.sid].call.end_reason == "bye"
    assert not changes.orphans
    assert stream_of(recorder, call).state is StreamState.STOPPING


def test_bye_that_was_refused_ends_the_call_and_leaves_its_media_to_us() -> None:
    recorder = make_recorder()
    call = answer(recorder)
    bye(recorder, call, status=481)
    assert [orphan.sid for orphan in recorder.take_changes().orphans] == [call.sid]


@pytest.mark.parametrize("released", [True, False])
def test_call_that_failed_leaves_us_the_media_that_the_proxy_could_not_release(
    released: bool,
) -> None:
    recorder = make_recorder()
    entry = i.CallFailed(call=make_call(), media_released=released)
    recorder.apply(SHARD, entry, choose_default, NOW_MS)
    changes = recorder.take_changes()
    assert len(changes.retired) == 1
    assert len(changes.orphans) == (0 if released else 1)


@pytest.mark.parametrize("tags", ["ax", "xb", "aa"])
def test_bye_with_other_tags_ends_nothing(tags: str) -> None:
    recorder = make_recorder()
    call = answer(recorder)
    recorder.take_changes()
    bye(recorder, call, tags)
    assert recorder.take_changes() == Changes()
    assert [file.call.is_live for file in recorder.live_calls()] == [True]


def test_bye_that_overtook_the_answer_ends_the_call_at_once() -> None:
    recorder = make_recorder()
    call = make_call()
    bye(recorder, call)
    assert answer(recorder, StreamOrder(), call=call)
    assert stream_of(recorder, call).state is StreamState.STOPPING


def test_early_ends_are_kept_up_to_a_bound() -> None:
    recorder = make_recorder()
    first = make_call()
    bye(recorder, first)
    for _ in range(early_ends.KEPT):
        bye(recorder, make_call())
    answer(recorder, call=first)
    assert len(recorder.live_calls()) == 1


def test_call_without_streams_is_retired_when_it_ends() -> None:
    recorder = make_recorder()
    call = answer(recorder)
    bye(recorder, call)
    changes = recorder.take_changes()
    assert set(changes.retired) == {call.sid}
    assert not changes.calls
    assert recorder.live_calls() == []


def test_call_is_retired_when_its_last_stream_is_final() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder())
    bye(recorder, call)
    assert not recorder.take_changes().retired
    happen(recorder, call, e.ForkReleased())
    changes = recorder.take_changes()
    assert changes.retired[call.sid].streams[make_stream_sid(call.sid, 1)].state.is_final
    assert recorder.stream(make_stream_sid(call.sid, 1)) is None


def test_call_that_failed_is_written_once_and_forgotten() -> None:
    recorder = make_recorder()
    call = replace(make_call(), answered_ms=None, ended_ms=NOW_MS, end_reason="486")
    notice = i.Notice(code=12200, text="no gateway")
    recorder.apply(SHARD, i.CallFailed(call=call, notices=(notice,)), choose_default, NOW_MS)
    changes = recorder.take_changes()
    assert changes.retired[call.sid].call == call
    assert changes.alerts[0][1].account_sid == ACCOUNT_SID
    assert recorder.live_calls() == []


def test_end_of_an_unknown_or_ended_call_changes_nothing() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder())
    recorder.end_call(call.sid, "media-gone", NOW_MS)
    recorder.take_changes()
    recorder.end_call(call.sid, "bye", NOW_MS)
    recorder.end_call(make_call().sid, "bye", NOW_MS)
    assert recorder.take_changes() == Changes()


# Time


def test_deadline_of_a_stream_is_applied_when_it_has_come_and_not_before() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder())
    due_ms = recorder.next_deadline_ms() or 0
    recorder.pass_time(due_ms - 1)
    assert stream_of(recorder, call).legs[0].forks == 1
    recorder.pass_time(due_ms)
    assert stream_of(recorder, call).legs[0].forks == 2


def test_deadline_that_was_replaced_is_not_applied() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder())
    due_ms = recorder.next_deadline_ms() or 0
    record(recorder, call)
    recorder.pass_time(due_ms + 60_000)
    assert stream_of(recorder, call).state is StreamState.RECORDING


def test_call_longer_than_allowed_is_ended() -> None:
    recorder = make_recorder()
    answer(recorder)
    recorder.take_changes()
    recorder.pass_time(NOW_MS + LIMITS.call_s * 1000 - 1)
    assert not recorder.take_changes().retired
    recorder.pass_time(NOW_MS + LIMITS.call_s * 1000)
    (file,) = recorder.take_changes().retired.values()
    assert file.call.end_reason == "too-long"
    assert recorder.next_deadline_ms() is None


# Shards


def test_adopt_goes_on_with_the_streams_of_a_live_call() -> None:
    before, after = make_recorder(), make_recorder()
    call = answer(before, StreamOrder(), StreamOrder())
    record(before, call)
    streams = [stream_of(before, call, n) for n in (1, 2)]
    after.adopt(SHARD, [(call, streams)], NOW_MS)
    commands = [type(order.command) for order in after.take_changes().commands]
    assert commands == [e.AnswerFork, e.ReleaseFork, e.RequestFork]
    after.pass_time(NOW_MS + LIMITS.call_s * 1000)
    assert stream_of(after, call).state is StreamState.STOPPING


def test_adopt_of_a_call_that_ended_brings_its_streams_to_an_end() -> None:
    before, after = make_recorder(), make_recorder()
    call = answer(before, StreamOrder())
    record(before, call)
    ended = replace(call, ended_ms=NOW_MS, end_reason="bye")
    after.adopt(SHARD, [(ended, [stream_of(before, call)])], NOW_MS)
    assert stream_of(after, call).state is StreamState.STOPPING
    after.adopt(SHARD, [(replace(ended, sid=make_call().sid), [])], NOW_MS)
    assert len(after.take_changes().retired) == 1


def test_call_that_was_never_answered_has_no_longest_duration() -> None:
    recorder = make_recorder()
    recorder.adopt(SHARD, [(replace(make_call(), answered_ms=None), [])], NOW_MS)
    assert recorder.next_deadline_ms() is None


def test_drop_forgets_the_shard_and_its_unsaved_changes_and_no_other() -> None:
    recorder = make_recorder()
    kept = answer(recorder, StreamOrder(), shard=1)
    gone = answer(recorder, StreamOrder(), StreamOrder(connector_name="Missing"))
    bye(recorder, answer(recorder), status=481)
    start(recorder, gone, StreamOrder())
    bye(recorder, answer(recorder), status=481)
    entry = i.StopOrdered(request_id="r", stream_sid="SR0")
    recorder.apply(SHARD, entry, choose_default, NOW_MS)
    answer(recorder, StreamOrder(name="x"), call=replace(make_call(1)), shard=1)
    recorder.drop(SHARD)
    changes = recorder.take_changes()
    assert {file.shard for file in changes.calls.values()} == {1}
    assert {order.file.shard for order in changes.commands} == {1}
    assert len(changes.streams) == 1
    lists = (changes.retired, changes.orphans, changes.alerts, changes.verdicts, changes.to_end)
    assert not any(lists)
    assert kept.sid in {file.call.sid for file in recorder.live_calls()}
    assert gone.sid not in {file.call.sid for file in recorder.live_calls()}
