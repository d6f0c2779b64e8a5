"""Invitations sent anew: to answer a challenge, over another connection, elsewhere."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec import leg_setup as t
from siprec.leg_end import AUTH_TRIES, FLOW_FAILED, FLOW_TRIES, UNREACHABLE, LegOutcome
from siprec.model import Plan, StreamState
from tests.siprec.streams import (
    CHALLENGE,
    PLAN,
    REDIRECTED_URI,
    SRS_URI,
    STREAM_SID,
    alerts,
    answered,
    happen,
    kinds,
    leg_follow,
    refused,
)

S = StreamState
DIGEST = replace(PLAN, has_digest=True)


def is_unlike_hopeless(outcome: LegOutcome, code: int) -> bool:
    """Tell whether the leg failed with that code in a way that another SRS may not share."""
    return outcome.leg.error_code == code and not outcome.leg.is_hopeless


# Challenges (RFC 3261 §22)


@pytest.mark.parametrize("status", [401, 407])
def test_challenge_is_answered_with_a_new_cseq_in_the_same_dialog(status: int) -> None:
    leg, commands = happen(S.INVITING, refused(status, cseq=1), plan=DIGEST)
    assert leg.state is S.INVITING
    assert (leg.call_id, leg.attempt, leg.cseq) == (f"{STREAM_SID}-1-1", 1, 2)
    assert (leg.challenges, leg.challenged_cseq) == ((CHALLENGE,), 1)
    assert commands == (e.SendInvite(),)
    connected = leg_follow(leg, [replace(answered(), cseq=2)], plan=DIGEST).leg
    assert (connected.state, connected.cseq) == (S.CONNECTING, 2)


def test_challenge_again_with_a_new_nonce_is_answered_until_it_is_too_often() -> None:
    challenges = [refused(401, cseq=cseq) for cseq in range(1, AUTH_TRIES + 1)]
    leg, commands = happen(S.INVITING, *challenges, plan=DIGEST)
    assert (leg.cseq, leg.auth_tries) == (AUTH_TRIES + 1, AUTH_TRIES)
    assert commands == (e.SendInvite(),)
    once_more = refused(401, cseq=AUTH_TRIES + 1)
    outcome = leg_follow(leg, [once_more], plan=DIGEST)
    assert is_unlike_hopeless(outcome, t.AUTHENTICATION)
    assert kinds(outcome) == ["ReleaseFork", "RaiseAlert"]


@pytest.mark.parametrize(
    ("plan", "challenge"),
    [(PLAN, refused(401, cseq=1)), (DIGEST, refused(407))],
    ids=["no credentials", "no challenge in it"],
)
def test_challenge_that_cannot_be_answered_fails_as_authentication(
    plan: Plan, challenge: e.SrsRefused
) -> None:
    outcome = happen(S.INVITING, challenge, plan=plan)
    assert is_unlike_hopeless(outcome, t.AUTHENTICATION)
    assert outcome.leg.error_text == (
        f"the SRS {SRS_URI} does not accept our credentials ({challenge.status})"
    )


def test_challenge_to_a_request_that_was_already_sent_anew_changes_nothing() -> None:
    again = happen(S.INVITING, refused(401, cseq=1), plan=DIGEST)
    assert leg_follow(again.leg, [refused(401, cseq=1)], plan=DIGEST) == LegOutcome(again.leg)


def test_cancel_after_a_challenge_names_the_last_request() -> None:
    outcome = happen(S.INVITING, refused(401, cseq=1), e.Stopped(), plan=DIGEST)
    assert outcome.commands[0] == e.SendCancel(call_id=f"{STREAM_SID}-1-1", cseq=2)


def test_new_dialog_forgets_the_challenges_of_the_old_one() -> None:
    moved = refused(302, contact=REDIRECTED_URI)
    leg = happen(S.INVITING, refused(401, cseq=1), moved, plan=DIGEST).leg
    assert (leg.attempt, leg.cseq) == (2, 1)
    assert (leg.challenges, leg.challenged_cseq) == ((), 0)


# A connection that is gone (RFC 5626)


def test_flow_failed_connects_anew_as_often_as_it_is_worth() -> None:
    failures = [refused(FLOW_FAILED, attempt=n) for n in range(1, FLOW_TRIES + 1)]
    leg, commands = happen(S.INVITING, *failures)
    assert (leg.call_id, leg.attempt) == (f"{STREAM_SID}-1-{FLOW_TRIES + 1}", FLOW_TRIES + 1)
    assert commands == (e.SendInvite(),)
    outcome = leg_follow(leg, [refused(FLOW_FAILED, attempt=FLOW_TRIES + 1)])
    assert is_unlike_hopeless(outcome, UNREACHABLE)


# Redirection


def test_redirect_is_followed_once() -> None:
    first = happen(S.INVITING, refused(302, contact=REDIRECTED_URI))
    assert first.leg.state is S.INVITING
    assert (first.leg.srs, first.leg.redirect) == (SRS_URI, REDIRECTED_URI)
    assert first.leg.call_id == f"{STREAM_SID}-1-2"
    assert first.commands == (e.SendInvite(),)
    second = leg_follow(first.leg, [refused(302, attempt=2, contact=SRS_URI)])
    assert is_unlike_hopeless(second, UNREACHABLE)


@pytest.mark.parametrize("contact", [None, "http://recorder.example"])
def test_redirect_that_leads_nowhere_fails(contact: str | None) -> None:
    assert is_unlike_hopeless(happen(S.INVITING, refused(302, contact=contact)), UNREACHABLE)


def test_redirect_that_leaves_tls_fails_and_says_so() -> None:
    plan = replace(PLAN, srs=("sips:recorder.example",))
    outcome = happen(S.INVITING, refused(302, contact="sip:plain.example"), plan=plan)
    assert is_unlike_hopeless(outcome, UNREACHABLE)
    (alert,) = alerts(outcome)
    assert "would leave TLS" in alert.text
