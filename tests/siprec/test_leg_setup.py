"""How a leg comes to record, one behaviour a test."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec import leg_setup as t
from siprec.alerts import AlertLevel
from siprec.connector import OnSecureCall
from siprec.leg_end import BAD_ANSWER, UNREACHABLE, LegOutcome
from siprec.model import Leg, StreamState
from siprec.sids import make_fork_tag
from tests.siprec.streams import (
    CALL_KEY_OFFERED,
    FORK_OFFERED,
    LATER_MS,
    NOW_MS,
    PLAN,
    SRS_URI,
    STREAM_SID,
    alerts,
    answer_sdp,
    answered,
    begun,
    happen,
    kinds,
    leg_follow,
    leg_in,
    refused,
)

S = StreamState
GIVE_UP_MS = NOW_MS + PLAN.total_ms


def release(count: int) -> e.ReleaseFork:
    return e.ReleaseFork(fork_tag=make_fork_tag(STREAM_SID, 1, count))


def is_unlike_hopeless(outcome: LegOutcome, code: int) -> bool:
    """Tell whether the leg failed with that code in a way that another SRS may not share."""
    return outcome.leg.error_code == code and not outcome.leg.is_hopeless


# Asking for the fork


def test_begin_asks_for_the_first_fork_and_sets_a_deadline() -> None:
    stream, commands = begun()
    (leg,) = stream.legs
    assert (leg.number, leg.srs, leg.state) == (1, SRS_URI, S.FORKING)
    assert leg.fork_tag == make_fork_tag(STREAM_SID, 1, 1)
    assert (leg.began_ms, leg.deadline_ms) == (NOW_MS, NOW_MS + t.FORK_MS)
    assert leg.give_up_ms == GIVE_UP_MS
    assert commands == (e.ForLeg(leg=1, command=e.RequestFork()),)


def test_fork_offered_sends_the_invite_in_a_dialog_of_its_own() -> None:
    leg, commands = happen(S.FORKING, FORK_OFFERED)
    assert leg.state is S.INVITING
    assert (leg.call_id, leg.cseq, leg.to_tag) == (f"{STREAM_SID}-1-1", 1, "")
    assert leg.from_tag == f"{STREAM_SID[2:]}-1-1"
    assert commands == (e.SendInvite(),)


def test_invite_waits_for_its_answer_but_not_longer_than_all_attempts_may_take() -> None:
    plan = replace(PLAN, answer_ms=5_000)
    leg = leg_in(S.FORKING, plan)
    soon = leg_follow(leg, [FORK_OFFERED], NOW_MS, plan).leg
    assert soon.deadline_ms == NOW_MS + 5_000 + t.INVITE_GRACE_MS
    late = leg_follow(leg, [FORK_OFFERED], GIVE_UP_MS - 2_000, plan).leg
    assert late.deadline_ms == GIVE_UP_MS


@pytest.mark.parametrize(
    ("policy", "state", "level"),
    [
        (OnSecureCall.ALLOW, S.INVITING, None),
        (OnSecureCall.ALERT, S.STOPPING, AlertLevel.ERROR),
        (OnSecureCall.REFUSE, S.STOPPING, AlertLevel.ERROR),
    ],
)
def test_fork_with_the_key_of_the_call_is_sent_as_the_policy_says(
    policy: OnSecureCall, state: StreamState, level: AlertLevel | None
) -> None:
    plan = replace(PLAN, srs=(f"{SRS_URI};secure=true",), on_secure_call=policy)
    outcome = happen(S.FORKING, CALL_KEY_OFFERED, plan=plan)
    assert outcome.leg.state is state
    assert [(a.code, a.level) for a in alerts(outcome)] == (
        [(t.NOT_SECURE, level)] if level else []
    )
    assert (e.SendInvite() in outcome.commands) is (state is S.INVITING)


@pytest.mark.parametrize("policy", OnSecureCall)
def test_key_of_the_call_never_goes_in_the_clear(policy: OnSecureCall) -> None:
    outcome = happen(S.FORKING, CALL_KEY_OFFERED, plan=replace(PLAN, on_secure_call=policy))
    assert is_unlike_hopeless(outcome, t.NOT_SECURE)
    assert kinds(outcome) == ["ReleaseFork", "RaiseAlert"]


def test_fork_refused_for_now_tries_again_with_a_fresh_tag_after_a_pause() -> None:
    waiting = happen(S.FORKING, e.ForkRefused(text="not yet", retryable=True))
    assert waiting.leg.state is S.FORKING
    assert waiting.leg.deadline_ms == LATER_MS + t.FORK_RETRY_MS
    assert waiting.commands == ()
    again = leg_follow(waiting.leg, [e.DeadlinePassed()])
    assert again.commands == (release(1), e.RequestFork())
    assert again.leg.fork_tag == make_fork_tag(STREAM_SID, 1, 2)


@pytest.mark.parametrize(
    ("code", "is_hopeless"),
    [(t.NO_MEDIA, True), (31942, False)],
    ids=["no media", "an edge that is not there"],
)
def test_fork_refused_for_good_fails_with_its_code(code: int, is_hopeless: bool) -> None:
    outcome = happen(S.FORKING, e.ForkRefused(text="no such call", code=code))
    assert (outcome.leg.error_code, outcome.leg.is_hopeless) == (code, is_hopeless)
    assert outcome.commands[0] == release(1)
    assert alerts(outcome) == [e.RaiseAlert(code=code, text="no such call")]


def test_fork_refused_as_often_as_it_is_tried_fails() -> None:
    refusal = e.ForkRefused(text="not yet", retryable=True)
    events: list[e.LegEvent] = [refusal, e.DeadlinePassed()] * (t.FORK_TRIES - 1)
    outcome = happen(S.FORKING, *events, refusal)
    assert outcome.leg.state is S.STOPPING
    assert (outcome.leg.error_code, outcome.leg.is_hopeless) == (t.NO_MEDIA, True)


def test_fork_silent_as_often_as_it_is_asked_fails() -> None:
    outcome = happen(S.FORKING, *[e.DeadlinePassed()] * t.FORK_TRIES)
    assert outcome.leg.state is S.STOPPING
    assert (outcome.leg.error_code, outcome.leg.is_hopeless) == (t.NO_MEDIA, True)


# Inviting


def test_answer_with_sdp_gives_rtpengine_the_checked_answer() -> None:
    leg, commands = happen(S.INVITING, answered())
    assert leg.state is S.CONNECTING
    assert leg.deadline_ms == LATER_MS + t.CONNECT_MS
    assert commands == (e.AnswerFork(),)
    assert leg.to_tag == "srs1"
    assert leg.remote_target == "sip:192.0.2.9:5080"
    assert leg.route_set == ("<sip:192.0.2.1;lr>",)
    assert "m=audio 4000 " in leg.answer
    assert "m=audio 4002 " in leg.answer


def test_answer_that_refuses_one_track_records_the_other_and_warns() -> None:
    outcome = happen(S.INVITING, answered(sdp=answer_sdp(4000, 0)))
    assert outcome.leg.state is S.CONNECTING
    (alert,) = alerts(outcome)
    assert (alert.code, alert.level) == (BAD_ANSWER, AlertLevel.WARNING)
    assert "label 2" in alert.text


@pytest.mark.parametrize(
    "sdp",
    [None, "nonsense", answer_sdp(0, 0), answer_sdp(4000, 4002, payload_type=18)],
    ids=["none", "garbage", "all refused", "codec not offered"],
)
def test_answer_that_cannot_be_used_ends_in_bye_and_alert(sdp: str | None) -> None:
    outcome = happen(S.INVITING, answered(sdp=sdp))
    assert kinds(outcome) == ["ReleaseFork", "SendBye", "RaiseAlert"]
    assert is_unlike_hopeless(outcome, BAD_ANSWER)
    assert (outcome.leg.to_tag, outcome.leg.cseq) == ("srs1", 2)


def test_answer_without_an_offer_of_ours_is_a_defect() -> None:
    leg = Leg(state=S.INVITING, srs=SRS_URI, call_id="c-1")
    with pytest.raises(ValueError, match="c-1: an answer without an offer"):
        leg_follow(leg, [answered()])


@pytest.mark.parametrize("status", [403, 404, 480, 486, 488, 500, 503])
def test_refusal_fails_and_says_what_the_srs_said(status: int) -> None:
    outcome = happen(S.INVITING, refused(status))
    assert kinds(outcome) == ["ReleaseFork", "RaiseAlert"]
    assert is_unlike_hopeless(outcome, UNREACHABLE)
    assert outcome.leg.error_text == f"the SRS {SRS_URI} answered {status} No"


def test_timeout_fails_and_puts_no_words_into_the_mouth_of_the_srs() -> None:
    silence = replace(refused(408), reason="no answer", is_timeout=True)
    outcome = happen(S.INVITING, silence)
    assert is_unlike_hopeless(outcome, UNREACHABLE)
    assert outcome.leg.error_text == f"the SRS {SRS_URI} did not answer in time"


@pytest.mark.parametrize("status", [400, 413, 414, 416, 600, 603, 606])
def test_refusal_that_every_srs_would_give_is_hopeless(status: int) -> None:
    outcome = happen(S.INVITING, refused(status))
    assert (outcome.leg.error_code, outcome.leg.is_hopeless) == (UNREACHABLE, True)


def test_unreachable_srs_fails_with_the_code_that_fits() -> None:
    outcome = happen(S.INVITING, e.SrsUnreachable(attempt=1, text="no such name", code=31942))
    assert is_unlike_hopeless(outcome, 31942)
    assert outcome.leg.error_text == f"the SRS {SRS_URI} cannot be reached: no such name"


def test_no_answer_in_time_cancels_and_fails() -> None:
    outcome = happen(S.INVITING, e.DeadlinePassed())
    assert kinds(outcome) == ["SendCancel", "ReleaseFork", "RaiseAlert"]
    assert outcome.commands[0] == e.SendCancel(call_id=f"{STREAM_SID}-1-1", cseq=1)
    assert is_unlike_hopeless(outcome, UNREACHABLE)
    assert leg_follow(outcome.leg, [e.ForkReleased()]).leg.state is S.FAILED


def test_answer_after_we_gave_up_is_hung_up() -> None:
    outcome = happen(S.INVITING, e.DeadlinePassed(), answered())
    assert outcome.leg.state is S.STOPPING
    assert outcome.commands == (e.DropLateAnswer(answer=answered()),)


@pytest.mark.parametrize(
    "event",
    [refused(486, attempt=7), refused(401, attempt=7), e.SrsUnreachable(attempt=7, text="no")],
    ids=["refused", "challenged", "unreachable"],
)
@pytest.mark.parametrize("state", [S.INVITING, S.CANCELLING])
def test_news_of_another_attempt_change_nothing(state: StreamState, event: e.LegEvent) -> None:
    assert happen(state, event) == LegOutcome(leg_in(state))


@pytest.mark.parametrize("state", [S.INVITING, S.CANCELLING])
def test_answer_to_another_attempt_is_hung_up(state: StreamState) -> None:
    outcome = happen(state, answered(7))
    assert outcome.leg.state is state
    assert outcome.commands == (e.DropLateAnswer(answer=answered(7)),)


# Connecting and recording


@pytest.mark.parametrize(("check_ms", "due_ms"), [(0, None), (30_000, LATER_MS + 30_000)])
def test_fork_answered_records_and_is_checked_as_often_as_planned(
    check_ms: int, due_ms: int | None
) -> None:
    plan = replace(PLAN, check_ms=check_ms)
    leg = happen(S.CONNECTING, e.ForkAnswered(), plan=plan).leg
    assert leg.state is S.RECORDING
    assert (leg.recording_ms, leg.deadline_ms) == (LATER_MS, due_ms)


def test_second_answer_of_the_srs_keeps_the_first_recording_time() -> None:
    connecting = happen(S.RECORDING, e.SrsReanswered(sdp=answer_sdp(4100, 4102)))
    assert connecting.leg.state is S.CONNECTING
    assert "m=audio 4100 " in connecting.leg.answer
    again = leg_follow(connecting.leg, [e.ForkAnswered()])
    assert again.leg.recording_ms == NOW_MS


def test_second_answer_of_the_srs_that_cannot_be_used_ends_in_bye_and_alert() -> None:
    outcome = happen(S.RECORDING, e.SrsReanswered(sdp="nonsense"))
    assert kinds(outcome) == ["ReleaseFork", "SendBye", "RaiseAlert"]
    assert is_unlike_hopeless(outcome, BAD_ANSWER)


@pytest.mark.parametrize("state", [S.CONNECTING, S.RECORDING])
def test_answer_that_rtpengine_refuses_ends_in_bye_and_alert(state: StreamState) -> None:
    outcome = happen(state, e.ForkAnswerRefused(text="no"))
    assert kinds(outcome) == ["ReleaseFork", "SendBye", "RaiseAlert"]
    assert is_unlike_hopeless(outcome, BAD_ANSWER)


@pytest.mark.parametrize(
    ("state", "event"), [(S.CONNECTING, e.DeadlinePassed()), (S.RECORDING, e.ForkLost())]
)
def test_media_that_rtpengine_does_not_have_hangs_up_and_is_hopeless(
    state: StreamState, event: e.LegEvent
) -> None:
    outcome = happen(state, event)
    assert kinds(outcome) == ["ReleaseFork", "SendBye", "RaiseAlert"]
    assert (outcome.leg.error_code, outcome.leg.is_hopeless) == (t.NO_MEDIA, True)


@pytest.mark.parametrize("state", [S.CONNECTING, S.RECORDING])
def test_call_reoffered_replays_the_answer_in_force(state: StreamState) -> None:
    outcome = happen(state, e.CallReoffered())
    assert outcome == LegOutcome(leg_in(state), (e.AnswerFork(),))


# Another owner


def test_takeover_while_forking_releases_every_fork_asked_for_so_far() -> None:
    outcome = happen(S.FORKING, e.DeadlinePassed(), e.OwnerChanged())
    assert outcome.commands == (release(1), release(2), e.RequestFork())
    assert outcome.leg.fork_tag == make_fork_tag(STREAM_SID, 1, 3)


def test_takeover_while_inviting_abandons_the_attempt_and_starts_over() -> None:
    outcome = happen(S.INVITING, e.OwnerChanged())
    cancel = e.SendCancel(call_id=f"{STREAM_SID}-1-1", cseq=1)
    assert outcome.commands == (cancel, release(1), e.RequestFork())
    assert (outcome.leg.attempt, outcome.leg.forks) == (2, 2)


def test_takeover_when_most_of_the_time_is_gone_leaves_enough_for_one_attempt() -> None:
    leg = leg_follow(leg_in(S.INVITING), [e.OwnerChanged()], GIVE_UP_MS).leg
    assert leg.give_up_ms == GIVE_UP_MS + t.FORK_MS + PLAN.answer_ms
    early = leg_follow(leg_in(S.INVITING), [e.OwnerChanged()], NOW_MS).leg
    assert early.give_up_ms == GIVE_UP_MS


def test_takeover_while_connecting_gives_rtpengine_its_time_anew() -> None:
    outcome = happen(S.CONNECTING, e.OwnerChanged())
    assert outcome.commands == (e.AnswerFork(),)
    assert outcome.leg.deadline_ms == LATER_MS + t.CONNECT_MS


def test_takeover_while_recording_replays_the_answer_that_may_not_have_been_sent() -> None:
    outcome = happen(S.RECORDING, e.OwnerChanged())
    leg = replace(leg_in(S.RECORDING), is_gating=True)
    assert outcome == LegOutcome(leg, (e.AnswerFork(),))
    assert leg_follow(leg, [e.ForkAnswered()]) == LegOutcome(leg_in(S.RECORDING))
