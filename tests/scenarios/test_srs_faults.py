"""Recorders that misbehave: the call loses no packet, and the operator learns of it."""

import pytest

from siprec.alert_codes import advice_of
from siprec.alerts import AlertLevel
from siprec.model import StreamState
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.srs import ReferenceSrs
from tests.scenarios.stage import Stage, dial
from tests.scenarios.talk import Talk

pytestmark = pytest.mark.daemon

UNREACHABLE = 32011
BAD_ANSWER = 32102


def begin(stage: Stage, start: str) -> tuple[Phone, Phone]:
    """Let two phones be in a call that runs `start`."""
    caller, callee = stage.pair()
    caller.invite(stage.number(start, dial(callee)))
    answer(caller, callee)
    return caller, callee


def fails(stage: Stage, start: str, code: int) -> Phone:
    """Talk until the stream has failed, and a little longer; nothing of the call is lost."""
    caller, callee = begin(stage, start)
    with Talk(caller, callee) as talking:
        stream = stage.wait_stream(caller, StreamState.FAILED, within_s=25)
        talking.go_on()
    assert talking.lost == ([], [])
    assert stream.error_code == code
    assert [(alert.code, alert.level) for alert in stage.alerts(caller)] == [
        (code, AlertLevel.ERROR)
    ]
    hang_up(caller, callee)
    assert stage.wait_call_over(caller).end_reason == "bye"
    return caller


@pytest.mark.parametrize("status", ["420", "486", "503", "603"])
def test_srs_that_refuses_leaves_the_call_alone(stage: Stage, status: str) -> None:
    srs, start = stage.recorder("--refuse", status)
    caller = fails(stage, start, UNREACHABLE)
    (session,) = srs.wait_over()
    assert session.ended_by == "refused"
    (alert,) = stage.alerts(caller)
    assert (alert.srs, alert.sip_status) == (srs.uri, int(status))
    assert alert.sip_reason
    assert alert.advice == advice_of(UNREACHABLE, int(status))
    assert stage.stack.json("alert", "show", alert.sid)["advice"] == alert.advice


@pytest.mark.parametrize("switch", ["--silent", "--ring-only"])
def test_srs_that_never_answers_is_given_up(stage: Stage, switch: str) -> None:
    _, start = stage.recorder(switch)
    fails(stage, start, UNREACHABLE)


def test_srs_that_nobody_is_at_is_given_up(any_stage: Stage) -> None:
    srs, start = any_stage.recorder()
    srs.end()
    fails(any_stage, start, UNREACHABLE)


@pytest.mark.parametrize(
    "switches",
    [["--garbage"], ["--no-sdp"], ["--other-codec"], ["--extra-mline"], ["--port-zero", "all"]],
    ids=lambda switches: switches[0].strip("-"),
)
def test_srs_with_a_bad_answer_gets_ack_and_bye(stage: Stage, switches: list[str]) -> None:
    srs, start = stage.recorder(*switches)
    fails(stage, start, BAD_ANSWER)
    (session,) = srs.wait_over()
    assert session.summary["acknowledged"] is not None
    assert session.ended_by == "src-bye"
    assert session.packets == 0


@pytest.mark.parametrize("switches", [["--port-zero", "1"], ["--fewer-mlines"]])
def test_srs_that_takes_one_of_two_tracks_records_it(stage: Stage, switches: list[str]) -> None:
    srs, start = stage.recorder(*switches)
    caller, callee = begin(stage, start)
    with Talk(caller, callee) as talking:
        stage.wait_recording(caller)
        talking.go_on()
    assert talking.lost == ([], [])
    hang_up(caller, callee)
    stage.wait_stream(caller, StreamState.STOPPED)
    (session,) = srs.wait_over()
    assert session.track("1").packets >= 15
    assert session.ended_by == "src-bye"
    assert [(alert.code, alert.level) for alert in stage.alerts(caller)] == [
        (BAD_ANSWER, AlertLevel.WARNING)
    ]


@pytest.mark.parametrize("switches", [[], ["--delay", "2500"], ["--ringing", "--delay", "500"]])
def test_srs_that_answers_at_once_or_late_records(stage: Stage, switches: list[str]) -> None:
    srs, start = stage.recorder(*switches)
    caller, callee = begin(stage, start)
    with Talk(caller, callee) as talking:
        stage.wait_recording(caller)
        talking.go_on()
    assert talking.lost == ([], [])
    hang_up(caller, callee)
    session = stage.wait_recorded(caller, srs=srs)
    assert all(track.lost == 0 and track.packets >= 15 for track in session.tracks)


def test_redirect_is_followed_once(stage: Stage) -> None:
    good, _ = stage.recorder()
    _, start = stage.recorder("--redirect", good.uri)
    caller, callee = begin(stage, start)
    stage.wait_recording(caller)
    hang_up(caller, callee)
    stage.wait_recorded(caller, srs=good)


def test_second_redirect_is_not_followed(stage: Stage) -> None:
    good, _ = stage.recorder()
    second, _ = stage.recorder("--redirect", good.uri)
    _, start = stage.recorder("--redirect", second.uri)
    fails(stage, start, UNREACHABLE)
    assert good.sessions() == []


def test_srs_that_hangs_up_gets_200_and_fails_the_stream(stage: Stage) -> None:
    srs, start = stage.recorder("--hang-up-after", "0.5")
    fails(stage, start, UNREACHABLE)
    (session,) = srs.wait_over()
    assert session.ended_by == "srs-bye"
    assert answers(srs, "BYE") == [200]


def answers(srs: ReferenceSrs, method: str) -> list[int]:
    """Give the final replies to the requests of the SRS."""
    (session,) = srs.sessions()
    sent = session.summary["sent_requests"]
    return [each["status"] for each in sent if each["method"] == method]


@pytest.mark.parametrize(
    ("switch", "method"), [("--options-after", "OPTIONS"), ("--reinvite-after", "INVITE")]
)
def test_request_of_the_srs_is_answered_200_and_recording_goes_on(
    stage: Stage, switch: str, method: str
) -> None:
    srs, start = stage.recorder(switch, "0.3")
    caller, callee = begin(stage, start)
    with Talk(caller, callee) as talking:
        stage.wait_recording(caller)
        poll(lambda: answers(srs, method) == [200], why=lambda: srs.log)
        talking.go_on()
    assert talking.lost == ([], [])
    stage.wait_recording(caller)
    hang_up(caller, callee)
    session = stage.wait_recorded(caller, srs=srs)
    assert all(track.lost == 0 and track.packets >= 15 for track in session.tracks)


def test_srs_that_dies_mid_call_leaves_the_call_alone(any_stage: Stage) -> None:
    srs, start = any_stage.recorder("--die-after", "0.5")
    caller, callee = begin(any_stage, start)
    with Talk(caller, callee) as talking:
        any_stage.wait_recording(caller)
        poll(lambda: srs.process.poll() is not None)
        talking.go_on()
    assert talking.lost == ([], [])
    hang_up(caller, callee)
    any_stage.wait_call_over(caller)
    any_stage.wait_stream(caller, StreamState.STOPPED, StreamState.FAILED)
