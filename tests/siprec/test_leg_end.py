"""How a leg ends, one behaviour a test."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec import leg_end as t
from siprec.alerts import AlertLevel
from siprec.leg_end import LegOutcome
from siprec.model import Leg, StreamState
from siprec.sids import make_fork_tag
from tests.siprec.streams import (
    CHALLENGE,
    LATER_MS,
    NOW_MS,
    PLAN,
    SRS_URI,
    STREAM_SID,
    alerts,
    answered,
    happen,
    kinds,
    leg_follow,
    leg_in,
    refused,
)

S = StreamState
DIGEST = replace(PLAN, has_digest=True)
CHECKED = replace(PLAN, check_ms=30_000)
RELEASE = e.ReleaseFork(fork_tag=make_fork_tag(STREAM_SID, 1, 1))
CANCEL = e.SendCancel(call_id=f"{STREAM_SID}-1-1", cseq=1)
ENDS: list[e.LegEvent] = [e.Stopped(), e.CallOver(reason="bye")]


def bye_answered(status: int, *, attempt: int = 1, cseq: int = 0) -> e.SrsByeAnswered:
    challenge = e.Challenge(lines=(CHALLENGE,), cseq=cseq) if cseq else e.Challenge()
    return e.SrsByeAnswered(attempt=attempt, status=status, challenge=challenge)


# Stopping before there is a dialog


@pytest.mark.parametrize("event", ENDS)
def test_end_before_the_invite_releases_the_fork_and_says_nothing_to_the_srs(
    event: e.LegEvent,
) -> None:
    outcome = happen(S.FORKING, event)
    assert outcome.commands == (RELEASE,)
    assert outcome.leg.deadline_ms == LATER_MS + t.STOP_MS
    assert leg_follow(outcome.leg, [e.ForkReleased()]).leg.state is S.STOPPED


@pytest.mark.parametrize("event", ENDS)
def test_end_before_the_answer_cancels(event: e.LegEvent) -> None:
    outcome = happen(S.INVITING, event)
    assert outcome.leg.state is S.CANCELLING
    assert outcome.commands == (CANCEL, RELEASE)
    assert outcome.leg.deadline_ms == LATER_MS + t.CANCEL_MS


def test_cancelled_waits_for_both_the_final_reply_and_the_fork() -> None:
    reply_first = happen(S.CANCELLING, refused(487))
    assert reply_first.leg.state is S.STOPPING
    assert leg_follow(reply_first.leg, [e.ForkReleased()]).leg.state is S.STOPPED
    assert happen(S.CANCELLING, e.ForkReleased(), refused(487)).leg.state is S.STOPPED


def test_cancelled_invite_that_is_challenged_is_not_sent_again() -> None:
    outcome = happen(S.CANCELLING, e.ForkReleased(), refused(401, cseq=1), plan=DIGEST)
    assert outcome.leg.state is S.STOPPED
    assert outcome.commands == ()


def test_cancel_of_an_invite_that_was_never_sent_needs_no_reply() -> None:
    never_sent = e.SrsUnreachable(attempt=1, text="no such name")
    outcome = happen(S.CANCELLING, e.ForkReleased(), never_sent)
    assert outcome.leg.state is S.STOPPED
    assert outcome.leg.error_code is None


def test_answer_that_crossed_the_cancel_gets_bye() -> None:
    outcome = happen(S.CANCELLING, answered())
    assert outcome.leg.state is S.STOPPING
    assert outcome.commands == (e.SendBye(),)
    assert (outcome.leg.to_tag, outcome.leg.cseq) == ("srs1", 2)


def test_cancelled_and_never_answered_stops_all_the_same() -> None:
    outcome = happen(S.CANCELLING, e.DeadlinePassed())
    assert outcome.leg.state is S.STOPPED
    assert (outcome.leg.ended_ms, outcome.leg.deadline_ms) == (LATER_MS, None)


# Stopping a dialog


@pytest.mark.parametrize("state", [S.CONNECTING, S.RECORDING])
@pytest.mark.parametrize("event", ENDS)
def test_end_of_a_dialog_releases_the_fork_before_it_says_bye(
    state: StreamState, event: e.LegEvent
) -> None:
    outcome = happen(state, event)
    assert outcome.leg.state is S.STOPPING
    assert outcome.leg.cseq == 2
    assert outcome.commands == (RELEASE, e.SendBye())


@pytest.mark.parametrize("bye", [bye_answered(200), e.SrsHungUp()], ids=["answered", "crossed"])
def test_stopping_ends_when_bye_and_fork_are_done_in_either_order(bye: e.LegEvent) -> None:
    assert happen(S.STOPPING, bye).leg.state is S.STOPPING
    assert happen(S.STOPPING, bye, e.ForkReleased()).leg.state is S.STOPPED
    assert happen(S.STOPPING, e.ForkReleased(), bye).leg.state is S.STOPPED


@pytest.mark.parametrize(("status", "said"), [(408, "did not answer our BYE"), (481, "with 481")])
def test_bye_that_the_srs_does_not_take_warns_of_its_recording(status: int, said: str) -> None:
    outcome = happen(S.STOPPING, bye_answered(status))
    (alert,) = alerts(outcome)
    assert (alert.code, alert.level) == (t.UNREACHABLE, AlertLevel.WARNING)
    assert said in alert.text
    assert "may be incomplete" in alert.text
    assert outcome.leg.bye_done


def test_bye_after_an_error_that_people_know_of_is_not_spoken_of_again() -> None:
    outcome = happen(S.CONNECTING, e.ForkAnswerRefused(text="x"), bye_answered(408))
    assert not alerts(outcome)


def test_bye_of_an_attempt_given_up_does_not_end_the_leg() -> None:
    outcome = happen(S.STOPPING, e.ForkReleased(), bye_answered(200, attempt=7))
    assert outcome.leg.state is S.STOPPING


def test_bye_that_is_challenged_is_sent_again_with_a_new_cseq() -> None:
    leg, commands = happen(S.STOPPING, bye_answered(401, cseq=2), plan=DIGEST)
    assert (leg.cseq, leg.challenges, leg.challenged_cseq) == (3, (CHALLENGE,), 2)
    assert (leg.state, commands) == (S.STOPPING, (e.SendBye(),))
    events = (e.ForkReleased(), bye_answered(200, cseq=3))
    assert leg_follow(leg, events, plan=DIGEST).leg.state is S.STOPPED


def test_bye_has_tries_of_its_own_after_an_invite_that_took_them_all() -> None:
    challenges = [refused(401, cseq=1 + n) for n in range(t.AUTH_TRIES)]
    cseq = 1 + t.AUTH_TRIES
    accepted = (replace(answered(), cseq=cseq), e.Stopped())
    bye = leg_follow(leg_in(S.INVITING, DIGEST), [*challenges, *accepted], plan=DIGEST).leg
    again = leg_follow(bye, [bye_answered(401, cseq=cseq + 1)], plan=DIGEST)
    assert again.commands == (e.SendBye(),)


def test_bye_that_is_challenged_without_end_is_given_up_with_a_warning() -> None:
    challenges = [bye_answered(407, cseq=2 + n) for n in range(t.AUTH_TRIES + 1)]
    outcome = happen(S.STOPPING, e.ForkReleased(), *challenges, plan=DIGEST)
    assert outcome.leg.state is S.STOPPED
    assert "with 407" in alerts(outcome)[0].text


def test_bye_that_is_challenged_without_credentials_is_over_with_a_warning() -> None:
    outcome = happen(S.STOPPING, bye_answered(401, cseq=2))
    assert outcome.leg.bye_done
    assert "with 401" in alerts(outcome)[0].text


def test_bye_challenged_after_it_was_sent_anew_changes_nothing() -> None:
    again = happen(S.STOPPING, bye_answered(401, cseq=2), plan=DIGEST)
    repeated = leg_follow(again.leg, [bye_answered(401, cseq=2)], plan=DIGEST)
    assert repeated == LegOutcome(again.leg)


def test_bye_over_a_connection_that_is_gone_is_sent_over_another_as_often_as_it_is_worth() -> None:
    failures = [bye_answered(t.FLOW_FAILED, cseq=2 + n) for n in range(t.FLOW_TRIES)]
    leg, commands = happen(S.STOPPING, *failures)
    assert (leg.cseq, commands) == (2 + t.FLOW_TRIES, (e.SendBye(),))
    outcome = leg_follow(leg, [bye_answered(t.FLOW_FAILED, cseq=2 + t.FLOW_TRIES)])
    assert outcome.leg.bye_done
    assert "with 430" in alerts(outcome)[0].text


def test_stopping_that_nobody_answers_ends_by_its_deadline() -> None:
    assert happen(S.STOPPING, e.DeadlinePassed()).leg.state is S.STOPPED


# Late answers


def test_repeated_answer_of_the_dialog_is_no_late_one() -> None:
    assert happen(S.RECORDING, answered()).commands == ()


def test_answer_of_a_second_recorder_behind_a_forking_proxy_is_hung_up() -> None:
    other = answered(to_tag="other")
    assert happen(S.RECORDING, other).commands == (e.DropLateAnswer(answer=other),)


@pytest.mark.parametrize("state", [S.FORKING, S.STOPPED, S.FAILED])
def test_answer_that_nobody_waits_for_is_hung_up(state: StreamState) -> None:
    outcome = happen(state, answered())
    assert outcome == LegOutcome(leg_in(state), (e.DropLateAnswer(answer=answered()),))


# What the SRS does


@pytest.mark.parametrize("state", [S.CONNECTING, S.RECORDING])
@pytest.mark.parametrize(("reason", "shown"), [("", ""), ("SIP;cause=503", " (SIP;cause=503)")])
@pytest.mark.parametrize("is_error", [True, False])
def test_srs_that_hangs_up_gets_no_bye_and_only_an_error_leaves_hope(
    state: StreamState, reason: str, shown: str, is_error: bool
) -> None:
    outcome = happen(state, e.SrsHungUp(reason=reason, is_error=is_error))
    assert kinds(outcome) == ["ReleaseFork", "RaiseAlert"]
    assert outcome.leg.error_text == f"the SRS {SRS_URI} hung up{shown}"
    assert outcome.leg.is_hopeless is not is_error


@pytest.mark.parametrize("state", [S.CONNECTING, S.RECORDING])
def test_srs_that_died_gets_bye_all_the_same(state: StreamState) -> None:
    outcome = happen(state, e.SrsDied(text="no RTCP for 20 s", since_ms=NOW_MS))
    assert kinds(outcome) == ["ReleaseFork", "SendBye", "RaiseAlert"]
    assert outcome.leg.error_code == t.UNREACHABLE
    assert outcome.leg.error_text == f"the SRS {SRS_URI} died: no RTCP for 20 s"
    assert not outcome.leg.is_hopeless
    assert outcome.leg.heard_ms == leg_in(state).heard_ms
    assert leg_follow(outcome.leg, [e.DeadlinePassed()]).leg.state is S.FAILED


def test_recording_asks_at_each_deadline_whether_the_srs_knows_the_dialog() -> None:
    leg, commands = happen(S.RECORDING, e.DeadlinePassed(), plan=CHECKED)
    assert (leg.cseq, leg.options_ms) == (2, LATER_MS + 30_000)
    assert (leg.state, commands) == (S.RECORDING, (e.SendOptions(cseq=2),))
    again = leg_follow(leg, [e.DeadlinePassed()], LATER_MS + 30_000, plan=CHECKED)
    assert again.leg.cseq == 3


@pytest.mark.parametrize("status", [401, 408, 405, 430, 500, 503])
def test_any_answer_to_options_but_481_leaves_the_dialog_alone(status: int) -> None:
    event = e.SrsOptionsAnswered(attempt=1, status=status)
    assert happen(S.RECORDING, event) == LegOutcome(leg_in(S.RECORDING))


def test_options_answered_200_show_that_the_srs_still_records() -> None:
    leg, commands = happen(S.RECORDING, e.SrsOptionsAnswered(attempt=1, status=200))
    assert leg == replace(leg_in(S.RECORDING), heard_ms=LATER_MS)
    assert commands == ()


def test_options_answered_481_end_the_dialog_without_bye() -> None:
    outcome = happen(S.RECORDING, e.SrsOptionsAnswered(attempt=1, status=481))
    assert kinds(outcome) == ["ReleaseFork", "RaiseAlert"]
    assert outcome.leg.heard_ms == leg_in(S.RECORDING).heard_ms == NOW_MS
    assert outcome.leg.error_code == t.UNREACHABLE
    assert not outcome.leg.is_hopeless


def test_options_answered_481_for_another_attempt_change_nothing() -> None:
    other = e.SrsOptionsAnswered(attempt=2, status=481)
    assert happen(S.RECORDING, other) == LegOutcome(leg_in(S.RECORDING))


# Another owner


def test_takeover_while_cancelling_cancels_again() -> None:
    outcome = happen(S.CANCELLING, e.OwnerChanged())
    assert outcome.commands == (CANCEL, RELEASE)
    assert outcome.leg.deadline_ms == LATER_MS + t.CANCEL_MS


def test_takeover_while_stopping_repeats_only_what_is_left() -> None:
    assert happen(S.STOPPING, e.OwnerChanged()).commands == (RELEASE, e.SendBye())
    fork_left = happen(S.STOPPING, bye_answered(200), e.OwnerChanged())
    assert fork_left.commands == (RELEASE,)
    bye_left = happen(S.STOPPING, e.ForkReleased(), e.OwnerChanged())
    assert bye_left.commands == (e.SendBye(),)
    assert bye_left.leg.deadline_ms == LATER_MS + t.STOP_MS


def test_bye_that_was_repeated_may_find_the_dialog_ended_by_the_first() -> None:
    taken = happen(S.STOPPING, e.OwnerChanged(), bye_answered(481))
    assert (taken.leg.bye_done, taken.commands) == (True, ())
    lost = happen(S.STOPPING, bye_answered(t.FLOW_FAILED), bye_answered(481))
    assert (lost.leg.bye_done, lost.commands) == (True, ())
    unanswered = happen(S.STOPPING, e.OwnerChanged(), bye_answered(408))
    assert kinds(unanswered) == ["RaiseAlert"]


def test_end_of_a_forgotten_leg_has_nothing_to_wait_for() -> None:
    forgotten = Leg(number=3, state=S.STOPPED)
    for event in (*ENDS, e.DeadlinePassed(), e.OwnerChanged(), e.ForkReleased()):
        assert leg_follow(forgotten, [event]) == LegOutcome(forgotten)
