"""Early media: recorded when the connector says so, and who answers in the end always."""

import pytest

from siprec.model import StreamState
from tests.scenarios.phone import Phone, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.sip_text import Message
from tests.scenarios.srs import ReferenceSrs
from tests.scenarios.stage import Stage, dial
from tests.scenarios.talk import Talk

pytestmark = pytest.mark.daemon

EARLY = ("--early-media", "--options-s", "0")


def ring(caller: Phone, callee: Phone) -> Message:
    """Let a callee ring with media; give its INVITE."""
    invite = callee.expect("INVITE")
    callee.reply(invite, 183, "Session Progress", sdp=callee.sdp())
    caller.follow(caller.expect(183))
    return invite


def pick_up(caller: Phone, callee: Phone, invite: Message) -> None:
    """Let a callee that rang answer."""
    callee.reply(invite, 200, "OK", sdp=callee.sdp())
    caller.ack(caller.expect(200))
    callee.expect("ACK")


def connected(stage: Stage, *options: str) -> tuple[ReferenceSrs, str]:
    srs = stage.recorder_alone()
    return srs, stage.connect(srs.uri, options=options)


def test_early_media_is_recorded_on_into_the_call(stage: Stage) -> None:
    srs, start = connected(stage, *EARLY)
    caller, callee = stage.pair()
    caller.invite(stage.number(start, dial(callee)))
    invite = ring(caller, callee)
    with Talk(caller, callee) as talking:
        stream = stage.wait_recording(caller)
        assert stage.wait_call(caller).answered_ms is None
        talking.go_on()
        pick_up(caller, callee, invite)
        poll(lambda: stage.wait_call(caller).answered_ms)
        talking.go_on()
    assert talking.lost == ([], [])
    hang_up(caller, callee)
    assert stage.wait_call_over(caller).end_reason == "bye"
    session = stage.wait_session(stream, srs)
    talking.missing([track.raw for track in session.tracks])
    assert (session.problems, session.ended_by) == ([], "src-bye")
    assert [each.sid for each in stage.streams(caller)] == [stream.sid]
    assert stage.alerts(caller) == []


def test_early_media_is_not_recorded_unless_it_is_wished(stage: Stage) -> None:
    srs, start = connected(stage)
    caller, callee = stage.pair()
    caller.invite(stage.number(start, dial(callee)))
    invite = ring(caller, callee)
    with Talk(caller, callee) as talking:
        talking.go_on()
        assert srs.sessions() == []
        pick_up(caller, callee, invite)
        stage.wait_recording(caller)
        talking.go_on()
    hang_up(caller, callee)
    stage.wait_recorded(caller, srs=srs)


@pytest.mark.parametrize("options", [EARLY, ("--options-s", "0")], ids=["early", "answered"])
def test_of_two_that_ring_the_one_who_answers_is_recorded(
    stage: Stage, options: tuple[str, ...]
) -> None:
    srs, start = connected(stage, *options)
    caller, bob = stage.pair()
    carol = stage.phone("carol")
    caller.invite(stage.number(start, dial(bob, carol)))
    bobs = ring(caller, bob)
    if options is EARLY:
        stage.wait_recording(caller)
    carols = ring(caller, carol)
    pick_up(caller, carol, carols)
    bob.reply(bob.expect("CANCEL"), 200, "OK")
    bob.reply(bobs, 487, "Request Terminated")
    bob.expect("ACK")
    with Talk(caller, carol) as talking:
        stream = stage.wait_recording(caller)
        poll(lambda: stage.wait_call(caller).answered_ms)
        talking.go_on()
    assert talking.lost == ([], [])
    hang_up(caller, carol)
    stage.wait_call_over(caller)
    session = stage.wait_session(stream, srs)
    talking.missing([track.raw for track in session.tracks])
    assert session.problems == []
    assert [each.sid for each in stage.streams(caller)] == [stream.sid]
    assert stage.alerts(caller) == []


def test_recording_of_early_media_ends_with_the_ringing(stage: Stage) -> None:
    srs, start = connected(stage, *EARLY)
    caller, callee = stage.pair()
    caller.invite(stage.number(start, dial(callee)))
    invite = ring(caller, callee)
    stream = stage.wait_recording(caller)
    callee.reply(invite, 486, "Busy Here")
    callee.expect("ACK")
    caller.ack_refusal(caller.expect(480, 486))
    stage.wait_stream(caller, StreamState.STOPPED)
    assert stage.wait_session(stream, srs).ended_by == "src-bye"
    call = stage.wait_call_over(caller)
    assert call.answered_ms is None
    assert stage.alerts(caller) == []
