"""Calls through the proxy from their first INVITE to their end, and their recordings."""

import pytest

from siprec.model import StreamState
from tests.scenarios.phone import answer, hang_up
from tests.scenarios.stage import RECORD, Stage, dial
from tests.scenarios.talk import talk

pytestmark = pytest.mark.daemon


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_call_hung_up_by_either_side_ends_the_recording(stage: Stage, who: str) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee)))
    answer(caller, callee)
    stage.wait_recording(caller)
    talk(caller, callee)
    if who == "caller":
        hang_up(caller, callee)
    else:
        hang_up(callee, caller)
    session = stage.wait_recorded(caller)
    assert [track.lost for track in session.tracks] == [0, 0]
    assert stage.wait_call_over(caller).end_reason == "bye"
    assert stage.alerts(caller) == []


def test_cancel_while_ringing_stops_the_callee_and_releases_the_media(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee)))
    invite = callee.expect("INVITE")
    callee.reply(invite, 180, "Ringing")
    caller.expect(180)
    assert stage.is_anchored(caller)
    caller.cancel()
    cancel = callee.expect("CANCEL")
    callee.reply(cancel, 200, "OK")
    callee.reply(invite, 487, "Request Terminated")
    callee.expect("ACK")
    replies = {caller.expect(200, 487).status, caller.expect(200, 487).status}
    assert replies == {200, 487}
    call = stage.wait_call_over(caller)
    assert (call.end_reason, call.answered_ms) == ("cancelled", None)
    assert stage.streams(caller) == []


# A 503 is about the callee and not about this proxy (RFC 3261 §16.7, 6).
@pytest.mark.parametrize(("status", "relayed"), [(404, 404), (486, 486), (503, 500), (603, 603)])
def test_refusal_is_relayed_and_nothing_is_recorded(
    stage: Stage, status: int, relayed: int
) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee)))
    callee.reply(callee.expect("INVITE"), status, "No")
    callee.expect("ACK")
    caller.ack_refusal(caller.expect(relayed))
    call = stage.wait_call_over(caller)
    assert (call.end_reason, call.answered_ms) == (str(status), None)
    assert stage.streams(caller) == []


def test_number_without_document_and_gateway_gets_404(stage: Stage) -> None:
    caller = stage.phone("alice")
    caller.invite("nobody")
    caller.expect(404)


@pytest.mark.parametrize("wrong", ["from_tag", "to_tag", "both"])
def test_bye_with_wrong_tags_leaves_call_and_recording_alone(stage: Stage, wrong: str) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee)))
    answer(caller, callee)
    stage.wait_recording(caller)
    tags = caller.tag, caller.remote_tag
    if wrong != "to_tag":
        caller.tag = "forged-from"
    if wrong != "from_tag":
        caller.remote_tag = "forged-to"
    caller.request("BYE")
    callee.reply(callee.expect("BYE"), 481, "No")
    caller.expect(481)
    caller.tag, caller.remote_tag = tags
    talk(caller, callee)
    assert [s.state for s in stage.streams(caller)] == [StreamState.RECORDING]
    hang_up(caller, callee)
    session = stage.wait_recorded(caller)
    assert min(track.packets for track in session.tracks) >= 15
    stage.wait_call_over(caller)


def test_bye_answered_481_by_the_callee_ends_call_and_media(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee)))
    answer(caller, callee)
    stage.wait_recording(caller)
    caller.request("BYE")
    callee.reply(callee.expect("BYE"), 481, "I have restarted")
    caller.expect(481)
    stage.wait_recorded(caller)
    stage.wait_call_over(caller)


def test_bye_never_answered_ends_call_and_media(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee)))
    answer(caller, callee)
    stage.wait_recording(caller)
    caller.request("BYE")
    callee.expect("BYE")
    # Timer F of RFC 3261 §17.1.2.2.
    caller.expect(408, within_s=40)
    stage.wait_recorded(caller)
    stage.wait_call_over(caller)


def test_call_without_recording_leaves_no_session(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number(dial(callee)))
    answer(caller, callee)
    talk(caller, callee)
    hang_up(caller, callee)
    stage.wait_call_over(caller)
    assert stage.streams(caller) == []


def test_caller_of_an_unlisted_network_gets_403(stage: Stage) -> None:
    stranger = stage.phone("mallory", host="127.0.0.2")
    callee = stage.phone("bob")
    stranger.invite(stage.number(dial(callee)))
    stranger.expect(403)
    assert callee.hears_nothing()
