"""What is answered to an order about a stream, and what happens to it."""

import pytest

from siprec import events as e
from siprec.inbox import PauseOrdered, StopOrdered
from siprec.live_orders import NO_SUCH_STREAM, judge
from siprec.model import StreamState, Track
from tests.siprec.pauses import paused
from tests.siprec.streams import STREAM_SID, stream_in

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
