"""Calls that ring: known before they are answered, and ended before, behind or after it."""

from dataclasses import replace

import pytest

from siprec import inbox as i
from siprec import recorder as r
from siprec.call_files import RINGS_MS
from siprec.call_parameters import call_status
from siprec.changes import Changes
from siprec.model import Call, StreamOrder
from siprec.recorder import Recorder
from siprec.verdict import NOT_IN_PROGRESS
from tests.siprec.recorders import (
    SHARD,
    answer,
    bye,
    choose_default,
    make_call,
    make_recorder,
    start,
    stream_of,
)
from tests.siprec.streams import NOW_MS

RINGING_MS = NOW_MS - 4_000


def ring(recorder: Recorder, call: Call | None = None) -> Call:
    """Let a call ring; give it as it is reported then."""
    call = call or replace(make_call(), answered_ms=None, ringing_ms=RINGING_MS)
    recorder.apply(SHARD, i.CallRinging(call=call), choose_default, RINGING_MS)
    return call


def fail(recorder: Recorder, call: Call, reason: str = "cancelled") -> None:
    """Let a call end without an answer."""
    failed = replace(call, ended_ms=NOW_MS, end_reason=reason)
    entry = i.CallFailed(call=failed, media_released=True)
    recorder.apply(SHARD, entry, choose_default, NOW_MS)


def hung_up(recorder: Recorder, call: Call) -> None:
    """Let the proxy say that it has ended a call."""
    entry = i.CallHungUp(call_sid=call.sid, at_ms=NOW_MS)
    recorder.apply(SHARD, entry, choose_default, NOW_MS)


def known(recorder: Recorder, call: Call) -> Call:
    """Give a call as the recorder knows it."""
    file = recorder.call_file(call.sid)
    assert file is not None
    return file.call


def test_call_that_rings_is_live_and_has_nothing_to_record() -> None:
    recorder = make_recorder()
    call = ring(recorder)
    assert recorder.take_changes().calls[call.sid].call == call
    assert (call.is_live, call.has_media, call_status(call)) == (True, False, "ringing")
    assert start(recorder, call, StreamOrder()).code == NOT_IN_PROGRESS


def test_call_that_rings_again_is_no_news() -> None:
    recorder = make_recorder()
    call = ring(recorder)
    recorder.take_changes()
    ring(recorder, replace(call, ringing_ms=NOW_MS))
    assert recorder.take_changes() == Changes()


def test_answer_keeps_when_it_rang_and_starts_what_the_document_says() -> None:
    recorder = make_recorder()
    call = ring(recorder)
    answer(recorder, StreamOrder(), call=replace(call, ringing_ms=None, answered_ms=NOW_MS))
    now = known(recorder, call)
    assert (now.ringing_ms, now.early_ms, now.answered_ms) == (RINGING_MS, None, NOW_MS)
    assert stream_of(recorder, call).order == StreamOrder()


def test_cancelled_call_is_over() -> None:
    recorder = make_recorder()
    call = ring(recorder)
    fail(recorder, call)
    over = recorder.take_changes().retired[call.sid].call
    assert (over.end_reason, call_status(over)) == ("cancelled", "canceled")
    assert recorder.live_calls() == []


def test_ringing_that_its_failure_overtook_is_none() -> None:
    recorder = make_recorder()
    call = replace(make_call(), answered_ms=None, ringing_ms=RINGING_MS)
    fail(recorder, call, "486")
    ring(recorder, call)
    assert recorder.live_calls() == []


def test_call_that_rings_for_ever_was_forgotten_by_its_proxy() -> None:
    recorder = make_recorder()
    call = ring(recorder)
    recorder.pass_time(RINGING_MS + RINGS_MS - 1)
    assert known(recorder, call).is_live
    recorder.pass_time(RINGING_MS + RINGS_MS)
    assert recorder.take_changes().retired[call.sid].call.end_reason == "too-long"


def test_call_that_its_proxy_hung_up_ends_and_leaves_its_media_to_us() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder())
    recorder.take_changes()
    hung_up(recorder, call)
    changes = recorder.take_changes()
    assert changes.calls[call.sid].call.end_reason == r.HUNG_UP
    assert [orphan.sid for orphan in changes.orphans] == [call.sid]
    assert stream_of(recorder, call).is_stopped
    hung_up(recorder, call)
    assert recorder.take_changes() == Changes()


@pytest.mark.parametrize("rings", [False, True])
@pytest.mark.parametrize("end", [hung_up, bye])
def test_end_that_overtook_the_answer_ends_the_call(rings: bool, end: object) -> None:
    assert callable(end)
    recorder = make_recorder()
    call = replace(make_call(), answered_ms=None, ringing_ms=RINGING_MS)
    if rings:
        ring(recorder, call)
    end(recorder, call)
    answer(recorder, call=replace(call, answered_ms=NOW_MS))
    assert recorder.live_calls() == []


def test_call_that_rang_is_adopted_by_the_next_owner() -> None:
    call = replace(make_call(), answered_ms=None, ringing_ms=RINGING_MS)
    recorder = make_recorder()
    recorder.adopt(SHARD, [(call, [])], NOW_MS)
    assert known(recorder, call).is_live
