"""What is answered to an order about a stream, and what happens to it."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec.changes import CallFile
from siprec.inbox import PauseOrdered, StopOrdered
from siprec.live_orders import NO_SUCH_STREAM, judge, with_sid
from siprec.model import Call, Stream, StreamOrder, StreamState, Track
from siprec.sids import make_stream_sid
from tests.siprec.pauses import paused
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, STREAM_SID, stream_in

S = StreamState
STOP = StopOrdered(request_id="r", stream_sid=STREAM_SID)
PAUSE = PauseOrdered(request_id="r", stream_sid=STREAM_SID, track=Track.OUTBOUND)
RESUME = PauseOrdered(request_id="r", stream_sid=STREAM_SID, is_resumed=True)


@pytest.mark.parametrize("entry", [STOP, PAUSE, RESUME])
def test_order_about_no_stream_is_refused(entry: StopOrdered | PauseOrdered) -> None:
    verdict, event = judge(None, entry)
    assert (verdict.accepted, verdict.code, event) == (False, NO_SUCH_STREAM, None)
    assert verdict.text == f"no stream {STREAM_SID} on a live call"


@pytest.mark.parametrize("state", [S.RECORDING, S.STOPPING, S.STOPPED, S.FAILED])
def test_stop_is_accepted_as_often_as_one_likes(state: StreamState) -> None:
    verdict, event = judge(stream_in(state), STOP)
    assert (verdict.accepted, verdict.text, event) == (True, "stopping", e.Stopped())


@pytest.mark.parametrize("state", [S.FORKING, S.INVITING, S.CONNECTING, S.RECORDING])
def test_pause_of_a_stream_that_runs_is_accepted(state: StreamState) -> None:
    verdict, event = judge(stream_in(state), PAUSE)
    assert (verdict.accepted, verdict.text) == (True, "is pausing")
    assert (verdict.stream_sid, event) == (STREAM_SID, e.Paused(sides=Track.OUTBOUND.sides))


def test_resume_of_a_paused_stream_is_accepted() -> None:
    verdict, event = judge(paused(), RESUME)
    assert (verdict.accepted, verdict.text) == (True, "is resuming")
    assert (verdict.stream_sid, event) == (STREAM_SID, e.Resumed(sides=Track.BOTH.sides))


@pytest.mark.parametrize("entry", [PAUSE, RESUME])
@pytest.mark.parametrize("state", [S.CANCELLING, S.STOPPING, S.STOPPED, S.FAILED])
def test_pause_of_a_stream_that_ends_is_refused(state: StreamState, entry: PauseOrdered) -> None:
    verdict, event = judge(stream_in(state), entry)
    assert (verdict.accepted, verdict.code, event) == (False, NO_SUCH_STREAM, None)
    assert verdict.text == f"stream {STREAM_SID} is {state.value}"


# By name

BY_NAME = StopOrdered(request_id="r", stream_sid="", call_sid=CALL_SID, name="x")


def call_with(*streams: tuple[str, StreamState]) -> CallFile:
    """Give a call with streams of these names, the first one the oldest."""
    call = Call(sid=CALL_SID, account_sid=ACCOUNT_SID, sip_call_id="a@b")
    made: list[Stream] = [
        replace(stream_in(state), sid=make_stream_sid(CALL_SID, n), order=StreamOrder(name=name))
        for n, (name, state) in enumerate(streams, 1)
    ]
    return CallFile(0x2A, call, {stream.sid: stream for stream in made})


def test_order_by_name_is_about_the_stream_that_runs() -> None:
    file = call_with(("y", S.RECORDING), ("x", S.RECORDING), ("x", S.STOPPED))
    assert with_sid(BY_NAME, file) == replace(BY_NAME, stream_sid=make_stream_sid(CALL_SID, 2))


def test_order_by_name_is_about_the_last_one_when_none_runs() -> None:
    file = call_with(("x", S.STOPPED), ("x", S.FAILED), ("y", S.RECORDING))
    assert with_sid(BY_NAME, file) == replace(BY_NAME, stream_sid=make_stream_sid(CALL_SID, 2))


def test_order_by_name_that_nothing_has_is_refused() -> None:
    for file in (None, call_with(("y", S.RECORDING))):
        order = with_sid(BY_NAME, file)
        assert order == BY_NAME
        verdict, _ = judge(None, order)
        assert verdict.text == f"no stream 'x' of {CALL_SID} on a live call"


def test_order_by_sid_stays_as_it_is() -> None:
    assert with_sid(PAUSE, call_with(("x", S.RECORDING))) is PAUSE
