"""Calls that programs end: by BYE both ways, by CANCEL while they ring, whoever wins the race."""

import pytest
from twilio.base.exceptions import TwilioRestException

from siprec.verdict import NOT_IN_PROGRESS
from siprec_control.cli import main
from siprec_kemi.proxy.farewell import ORDERED
from tests.scenarios.live_calls import Calls
from tests.scenarios.phone import Phone, answer
from tests.scenarios.polling import poll
from tests.scenarios.sip_text import Message
from tests.scenarios.stage import Stage, dial
from tests.scenarios.talk import talk

pytestmark = pytest.mark.daemon

START = '<Start><Siprec name="main"/></Start>'


@pytest.fixture
def calls(stage: Stage) -> Calls:
    return Calls(stage)


def status_of(calls: Calls, sid: str) -> str:
    """Ask how far a call has come."""
    return str(calls.client.calls(sid).fetch().status)


def rings(calls: Calls, *verbs: str) -> tuple[Phone, Phone, Message, str]:
    """Let a call ring; give both ends, the INVITE, and the call's sid."""
    caller, callee = calls.stage.pair()
    caller.invite(calls.stage.number(*verbs, dial(callee)))
    invite = callee.expect("INVITE")
    callee.reply(invite, 180, "Ringing")
    caller.expect(180)
    sid = calls.stage.wait_ringing(caller).sid
    assert status_of(calls, sid) == "ringing"
    assert sid in [call.sid for call in calls.client.calls.list(status="ringing")]
    return caller, callee, invite, sid


def take_byes(*phones: Phone) -> list[Message]:
    """See each phone get one BYE, and take it."""
    byes = []
    for phone in phones:
        bye = phone.expect("BYE")
        assert bye.one("Reason") == ORDERED
        phone.reply(bye, 200, "OK")
        byes.append(bye)
    for phone in phones:
        assert phone.hears_nothing()
    return byes


def is_over(calls: Calls, caller: Phone, reason: str) -> None:
    """See a call end once, for that reason, and rtpengine forget it."""
    call = calls.stage.wait_call_over(caller)
    assert call.end_reason == reason
    poll(lambda: not calls.stage.is_anchored(caller))
    assert calls.stage.alerts(caller) == []


def test_program_hangs_up_a_recorded_call(calls: Calls) -> None:
    caller, callee = calls.stage.pair()
    caller.invite(calls.stage.number(START, dial(callee)))
    answer(caller, callee)
    stream = calls.stage.wait_recording(caller)
    talk(caller, callee)
    ended = calls.client.calls(stream.call_sid).update(status="completed")
    assert ended.sid == stream.call_sid
    to_caller, to_callee = take_byes(caller, callee)
    assert (to_caller.uri, to_callee.uri) == (caller.contact, callee.contact)
    is_over(calls, caller, "hung-up")
    assert status_of(calls, stream.call_sid) == "completed"
    calls.stage.wait_session(stream)
    again = calls.client.calls(stream.call_sid).update(status="completed")
    assert again.status == "completed"
    assert caller.hears_nothing()


def test_call_that_nobody_records_is_hung_up_at_its_new_contacts(calls: Calls) -> None:
    caller, callee, sid = calls.answered()
    for who, other in ((caller, callee), (callee, caller)):
        who.name += "-moved"
        who.request("INVITE", sdp=who.sdp())
        other.reply(other.expect("INVITE"), 200, "OK", sdp=other.sdp())
        who.ack(who.expect(200))
        other.expect("ACK")
    calls.client.calls(sid).update(twiml="<Response><Hangup/></Response>")
    to_caller, to_callee = take_byes(caller, callee)
    assert (to_caller.uri, to_callee.uri) == (caller.contact, callee.contact)
    assert "-moved" in to_caller.uri
    assert "-moved" in to_callee.uri
    assert to_callee.cseq > caller.cseq
    is_over(calls, caller, "hung-up")


@pytest.mark.parametrize("status", ["canceled", "completed"])
def test_program_cancels_a_call_that_rings(calls: Calls, status: str) -> None:
    caller, callee, invite, sid = rings(calls, START)
    calls.client.calls(sid).update(status=status)
    cancel = callee.expect("CANCEL")
    callee.reply(cancel, 200, "OK")
    callee.reply(invite, 487, "Request Terminated")
    callee.expect("ACK")
    caller.ack_refusal(caller.expect(487))
    is_over(calls, caller, "cancelled")
    assert status_of(calls, sid) == "canceled"
    assert caller.hears_nothing()
    assert callee.hears_nothing()


def test_cancelled_call_dials_nobody_else(calls: Calls) -> None:
    other = calls.stage.phone("other")
    caller, callee = calls.stage.pair()
    caller.invite(calls.stage.number(dial(callee), dial(other)))
    invite = callee.expect("INVITE")
    callee.reply(invite, 180, "Ringing")
    caller.expect(180)
    calls.client.calls(calls.stage.wait_ringing(caller).sid).update(status="canceled")
    callee.reply(callee.expect("CANCEL"), 200, "OK")
    callee.reply(invite, 487, "Request Terminated")
    caller.ack_refusal(caller.expect(487))
    is_over(calls, caller, "cancelled")
    assert other.hears_nothing()


def test_call_that_pauses_after_it_rang_is_cancelled(calls: Calls) -> None:
    other = calls.stage.phone("other")
    caller, callee = calls.stage.pair()
    caller.invite(calls.stage.number(dial(callee), '<Pause length="3"/>', dial(other)))
    invite = callee.expect("INVITE")
    callee.reply(invite, 180, "Ringing")
    caller.expect(180)
    sid = calls.stage.wait_ringing(caller).sid
    callee.reply(invite, 486, "Busy Here")
    callee.expect("ACK")
    calls.client.calls(sid).update(status="canceled")
    caller.ack_refusal(caller.expect(487))
    is_over(calls, caller, "cancelled")
    assert other.hears_nothing()


def test_call_that_is_answered_while_the_cancel_travels_is_hung_up(calls: Calls) -> None:
    caller, callee, invite, sid = rings(calls, START)
    calls.client.calls(sid).update(status="canceled")
    cancel = callee.expect("CANCEL")
    callee.reply(invite, 200, "OK", sdp=callee.sdp())
    callee.reply(cancel, 481, "Call/Transaction Does Not Exist")
    caller.ack(caller.expect(200))
    callee.expect("ACK")
    take_byes(caller, callee)
    is_over(calls, caller, "hung-up")
    assert status_of(calls, sid) == "completed"


def test_caller_who_gives_up_at_the_same_time_ends_the_call_once(calls: Calls) -> None:
    caller, callee, invite, sid = rings(calls)
    calls.client.calls(sid).update(status="canceled")
    caller.cancel()
    callee.reply(callee.expect("CANCEL"), 200, "OK")
    callee.reply(invite, 487, "Request Terminated")
    replies = [caller.expect(200, 487) for _ in range(2)]
    assert {reply.status for reply in replies} == {200, 487}
    is_over(calls, caller, "cancelled")
    assert callee.expect("ACK")
    assert callee.hears_nothing()


def test_call_that_rings_follows_no_document_yet(calls: Calls) -> None:
    caller, callee, invite, sid = rings(calls)
    with pytest.raises(TwilioRestException) as refused:
        calls.client.calls(sid).update(twiml=f"<Response>{START}</Response>")
    assert (refused.value.status, refused.value.code) == (400, NOT_IN_PROGRESS)
    with pytest.raises(TwilioRestException) as refused:
        calls.client.calls(sid).siprec.create(name="main")
    assert (refused.value.status, refused.value.code) == (400, NOT_IN_PROGRESS)
    callee.reply(invite, 200, "OK", sdp=callee.sdp())
    caller.ack(caller.expect(200))
    callee.expect("ACK")
    poll(lambda: status_of(calls, sid) == "in-progress")
    with pytest.raises(TwilioRestException) as refused:
        calls.client.calls(sid).update(status="canceled")
    assert refused.value.code == NOT_IN_PROGRESS
    state = str(calls.stage.stack.state)
    assert main(["call", "hangup", sid, "--state", state]) == 0
    take_byes(caller, callee)
    is_over(calls, caller, "hung-up")
    assert main(["call", "hangup", sid, "--state", state]) == 1
