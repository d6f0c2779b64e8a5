"""A network's busy hour in small: many short recorded calls, signalling only."""

import pytest

from rtpengine_ng.client import ask
from siprec.model import Stream, StreamState
from tests.scenarios.polling import poll
from tests.scenarios.rig import Rig
from tests.scenarios.stack import Stack
from tests.scenarios.test_many import PORTS_PER_CALL

pytestmark = [pytest.mark.daemon, pytest.mark.alone]

CALLS = 300
PER_SECOND = 30
CALL_MS = 5_000
NUMBER = "2000"
# For calls of 5 s, the second that rtpengine takes to free ports, and two more.
RTP_PORTS = PORTS_PER_CALL * PER_SECOND * 8


def was_recorded(stream: Stream) -> bool:
    """Tell whether a stream reached recording, and stopped without an error."""
    is_over = stream.state is StreamState.STOPPED and stream.error_code is None
    return is_over and stream.recording_ms is not None


def place_calls(rig: Rig, stack: Stack) -> None:
    """Place all calls; each must go as its ends have it."""
    callee = rig.sipp("load/callee.xml", port=stack.ports.take(), calls=CALLS)
    stack.set_number(
        NUMBER,
        '<Start><Siprec name="load"/></Start>',
        f"<Dial><Sip>sip:2001@127.0.0.1:{callee.port}</Sip></Dial>",
    )
    caller = rig.sipp(
        "load/caller.xml",
        port=stack.ports.take(),
        remote=stack.proxy,
        service=NUMBER,
        calls=CALLS,
        rate=PER_SECOND,
        duration_ms=CALL_MS,
    )
    assert caller.done().succeeded == CALLS
    assert callee.done().succeeded == CALLS


def test_three_hundred_calls_at_thirty_a_second_are_all_recorded_and_leave_nothing(
    rig: Rig,
) -> None:
    stack = rig.stack(rtp_ports=RTP_PORTS)
    srs = rig.srs("--no-media", "--quiet")
    stack.cli("connector", "set", "Default", "--srs", srs.uri)
    place_calls(rig, stack)
    sessions = srs.wait_over(CALLS)
    poll(lambda: all(s.state.is_final for s in stack.store.streams()))
    streams = stack.store.streams()
    assert len(streams) == CALLS
    assert [stream for stream in streams if not was_recorded(stream)] == []
    assert {session.ended_by for session in sessions} == {"src-bye"}
    assert stack.store.calls() == []
    assert stack.store.alerts() == []
    assert ask(stack.ng, {"command": "list", "limit": "1000"}, 2)["calls"] == []
    poll(
        lambda: not stack.rtp_ports_in_use(),
        why=lambda: f"in use: {stack.rtp_ports_in_use()}",
    )
    # What remains is history, which expires; test_many waits for that.
    poll(lambda: not stack.redis_keys("*:live"))
    assert stack.errors() == []
