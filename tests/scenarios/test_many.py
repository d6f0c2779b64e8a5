"""Many calls at once, all recorded; and nothing of them stays behind."""

import pytest

from rtpengine_ng.client import ask
from siprec.model import StreamState
from tests.scenarios.polling import poll
from tests.scenarios.rig import Rig
from tests.scenarios.sipp import SCENARIOS
from tests.scenarios.sounds import gaps, place_in
from tests.scenarios.srs import ReferenceSrs, Session
from tests.scenarios.stack import Stack
from tests.scenarios.studio import CALLEE_SOUND, CALLER_SOUND

pytestmark = pytest.mark.daemon

NUMBER = "+15550001"
# Two parties and two forks of RTP and RTCP each.
PORTS_PER_CALL = 8
_PORTS_FREE_WITHIN_S = 2.0


def record_many(rig: Rig, stack: Stack, srs: ReferenceSrs, calls: int, seconds: float) -> None:
    """Place calls at 25 a second that each speak for some seconds; return when all are over."""
    document = str(SCENARIOS / "both-tracks" / "document.xml")
    stack.cli("connector", "set", "Default", "--srs", srs.uri)
    stack.cli("number", "set", NUMBER, "--twiml", document)
    callee = rig.sipp(
        "speech/callee.xml",
        port=stack.gateway_port,
        calls=calls,
        sounds={"callee.alaw": CALLEE_SOUND},
    )
    caller = rig.sipp(
        "speech/caller.xml",
        port=stack.ports.take(),
        remote=stack.proxy,
        service=NUMBER,
        calls=calls,
        rate=25,
        keys={"caller_name": "Ann", "callee_name": "Bob"},
        sounds={"caller.alaw": CALLER_SOUND},
        more=("-recv_timeout", str(round(seconds * 1000))),
    )
    assert caller.done().succeeded == calls
    assert callee.done().succeeded == calls


def assert_nobody_else_is_heard(session: Session) -> None:
    """Check that each label begins with sound of its own party."""
    assert session.ended_by == "src-bye"
    assert session.problems == []
    for track, sound in zip(session.tracks, (CALLER_SOUND, CALLEE_SOUND), strict=True):
        assert place_in(track.raw[:1600], sound) is not None
        assert track.packets_after_bye == 0


def lasting(stack: Stack) -> list[str]:
    """List the keys in Redis but those of time and health, and Streams that stay small."""
    time = (":lease", ":epoch", ":inbox", ":cursor", "controllers", ":callback-worker")
    health, streams = (":health", ":loads"), (":events", ":callbacks", ":alerts", ":commands")
    return [key for key in stack.redis_keys("*") if not key.endswith(time + health + streams)]


@pytest.mark.alone
def test_fifty_calls_at_once_are_recorded_and_leave_nothing(rig: Rig) -> None:
    stack = rig.stack(settings={"limits": {"history_s": 1}}, rtp_ports=50 * PORTS_PER_CALL + 100)
    srs = rig.srs()
    record_many(rig, stack, srs, 50, 3.5)
    poll(
        lambda: not stack.rtp_ports_in_use(),
        _PORTS_FREE_WITHIN_S,
        why=lambda: f"in use: {stack.rtp_ports_in_use()}",
    )
    assert ask(stack.ng, {"command": "list", "limit": "100"}, 2)["calls"] == []
    assert stack.store.alerts(10) == []
    sessions = srs.wait_over(50)
    assert len(sessions) == 50
    for session in sessions:
        assert_nobody_else_is_heard(session)
        assert session.packets > 2 * 100
    # What was set: accounts (2), the connector, the number, and the version of the contract.
    poll(lambda: len(lasting(stack)) == 5, why=lambda: f"left in Redis: {lasting(stack)}")
    assert stack.store.alerts() == []
    assert stack.errors() == []


@pytest.mark.alone
def test_forty_calls_at_once_lose_no_packet(rig: Rig) -> None:
    stack = rig.stack(rtp_ports=40 * PORTS_PER_CALL + 80)
    srs = rig.srs()
    record_many(rig, stack, srs, 40, 6)
    sessions = srs.wait_over(40)
    assert {s.state for s in stack.store.streams()} == {StreamState.STOPPED}
    assert len(sessions) == 40
    for session in sessions:
        for track, sound in zip(session.tracks, (CALLER_SOUND, CALLEE_SOUND), strict=True):
            assert (track.lost, gaps(track.raw, sound)) == (0, [])
            # When it begins is not the subject: on a busy machine a second may pass.
            assert track.packets > 4 * 50
    assert stack.errors() == []
