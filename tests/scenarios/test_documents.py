"""Documents of called numbers: the verbs, seen from caller and callees."""

import time

import pytest

from siprec.model import StreamState
from tests.scenarios.phone import answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.stage import RECORD, Stage, dial
from tests.scenarios.talk import talk

pytestmark = pytest.mark.daemon


def test_parallel_dial_the_first_answer_wins_and_the_other_is_cancelled(stage: Stage) -> None:
    caller, callee = stage.pair()
    slow = stage.phone("carol")
    caller.invite(stage.number(RECORD, dial(slow, callee)))
    ringing = slow.expect("INVITE")
    slow.reply(ringing, 180, "Ringing")
    caller.expect(180)
    invite = callee.expect("INVITE")
    callee.reply(invite, 200, "OK", sdp=callee.sdp())
    caller.ack(caller.expect(200))
    callee.expect("ACK")
    slow.reply(slow.expect("CANCEL"), 200, "OK")
    slow.reply(ringing, 487, "Request Terminated")
    slow.expect("ACK")
    stage.wait_recording(caller)
    talk(caller, callee)
    hang_up(caller, callee)
    stage.wait_recorded(caller)
    stage.wait_call_over(caller)


def test_serial_dial_after_a_refusal_rings_the_second(stage: Stage) -> None:
    caller, callee = stage.pair()
    busy = stage.phone("carol")
    caller.invite(stage.number(RECORD, dial(busy), dial(callee)))
    busy.reply(busy.expect("INVITE"), 486, "Busy Here")
    busy.expect("ACK")
    answer(caller, callee)
    stage.wait_recording(caller)
    talk(caller, callee)
    hang_up(callee, caller)
    stage.wait_recorded(caller)
    stage.wait_call_over(caller)


def test_serial_dial_after_the_timeout_cancels_the_first_and_rings_the_second(
    stage: Stage,
) -> None:
    caller, callee = stage.pair()
    patient = stage.phone("carol")
    caller.invite(stage.number(RECORD, dial(patient, timeout_s=1), dial(callee)))
    ringing = patient.expect("INVITE")
    patient.reply(ringing, 180, "Ringing")
    caller.expect(180)
    patient.reply(patient.expect("CANCEL"), 200, "OK")
    patient.reply(ringing, 487, "Request Terminated")
    patient.expect("ACK")
    answer(caller, callee)
    talk(caller, callee)
    hang_up(caller, callee)
    stage.wait_recorded(caller)


def test_dial_timeout_of_the_only_target_ends_the_call(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee, timeout_s=1)))
    ringing = callee.expect("INVITE")
    callee.reply(ringing, 180, "Ringing")
    caller.expect(180)
    callee.reply(callee.expect("CANCEL"), 200, "OK")
    callee.reply(ringing, 487, "Request Terminated")
    callee.expect("ACK")
    caller.ack_refusal(caller.expect(408, 480, 487))
    assert stage.wait_call_over(caller).answered_ms is None


def test_pause_delays_routing(stage: Stage) -> None:
    caller, callee = stage.pair()
    number = stage.number(RECORD, '<Pause length="1"/>', dial(callee))
    started = time.monotonic()
    caller.invite(number)
    answer(caller, callee)
    assert time.monotonic() - started >= 0.9
    stage.wait_recording(caller)
    talk(caller, callee)
    hang_up(caller, callee)
    stage.wait_recorded(caller)


def test_pause_of_nothing_routes_at_once(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number('<Pause length="0"/>', dial(callee)))
    answer(caller, callee, within_s=0.5)
    talk(caller, callee)
    hang_up(caller, callee)
    stage.wait_call_over(caller)


def test_pause_longer_than_a_reply_may_take_is_kept(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number('<Pause length="34"/>', dial(callee)))
    answer(caller, callee, within_s=40)
    hang_up(caller, callee)
    stage.wait_call_over(caller)


def test_cancel_while_pausing_ends_the_call_and_rings_nobody(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number('<Pause length="2"/>', dial(callee)))
    assert caller.next().status == 100  # type: ignore[union-attr]
    caller.cancel()
    assert {caller.expect(200, 487).status, caller.expect(200, 487).status} == {200, 487}
    assert callee.hears_nothing(2.5)
    assert not stage.is_anchored(caller)


@pytest.mark.parametrize(
    ("verb", "status"),
    [
        ('<Reject reason="busy"/>', 486),
        ('<Reject reason="rejected"/>', 603),
        ("<Reject/>", 603),
        ("<Hangup/>", 603),
        (RECORD, 480),
    ],
)
def test_document_that_refuses_gives_its_status(stage: Stage, verb: str, status: int) -> None:
    caller = stage.phone("alice")
    caller.invite(stage.number(verb))
    caller.ack_refusal(caller.expect(status))
    call = stage.wait_call_over(caller)
    assert (call.end_reason, call.answered_ms) == (str(status), None)


def test_start_and_stop_in_the_document_starts_nothing(stage: Stage) -> None:
    caller, callee = stage.pair()
    stop = '<Stop><Siprec name="all"/></Stop>'
    other = '<Start><Siprec name="other"/></Start>'
    caller.invite(stage.number(RECORD, other, stop, dial(callee)))
    answer(caller, callee)
    stage.wait_recording(caller)
    assert [s.order.name for s in stage.streams(caller)] == ["other"]
    hang_up(caller, callee)
    stage.wait_recorded(caller)
    assert stage.alerts(caller) == []


def test_stop_of_an_unknown_name_raises_31952_and_the_call_goes_on(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number('<Stop><Siprec name="nothing"/></Stop>', dial(callee)))
    answer(caller, callee)
    talk(caller, callee)
    poll(lambda: [alert.code for alert in stage.alerts(caller)] == [31952], why="no alert")
    hang_up(caller, callee)
    stage.wait_call_over(caller)


def test_longest_prefix_wins_over_shorter_and_star(stage: Stage) -> None:
    caller, exact, long, short, any_number = (stage.phone(n) for n in ("alice", *"elsa"))
    base = stage.number(dial(exact))
    try:
        for pattern, phone in ((f"{base}*", short), (f"{base}55*", long), ("*", any_number)):
            stage.stack.set_number(pattern, dial(phone))
        for called, callee in (
            (base, exact),
            (f"{base}1", short),
            (f"{base}551", long),
            ("+49 anything".replace(" ", ""), any_number),
        ):
            caller.invite(called)
            callee.reply(callee.expect("INVITE"), 486, "Busy Here")
            caller.ack_refusal(caller.expect(486))
            callee.expect("ACK")
    finally:
        stage.stack.cli("number", "delete", "*")


def test_changed_document_is_followed_within_two_seconds(stage: Stage) -> None:
    caller = stage.phone("alice")
    number = stage.number('<Reject reason="busy"/>')
    caller.invite(number)
    caller.ack_refusal(caller.expect(486))
    stage.stack.set_number(number, "<Hangup/>")
    changed = time.monotonic()

    def status() -> int:
        caller.invite(number)
        reply = caller.expect(486, 603)
        caller.ack_refusal(reply)
        return reply.status

    # Every worker has a cache of its own: all must have let go of the old document.
    poll(lambda: [status() for _ in range(12)] == [603] * 12, 5)
    assert time.monotonic() - changed < 2.5


def test_stream_of_an_unanswered_call_never_starts(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee)))
    invite = callee.expect("INVITE")
    callee.reply(invite, 183, "Session Progress", sdp=callee.sdp())
    caller.follow(caller.expect(183))
    talk(caller, callee)
    assert stage.streams(caller) == []
    callee.reply(invite, 200, "OK", sdp=callee.sdp())
    caller.ack(caller.expect(200))
    callee.expect("ACK")
    assert stage.wait_recording(caller).state is StreamState.RECORDING
    hang_up(caller, callee)
    stage.wait_recorded(caller)
