"""The session timer of a leg: refreshed at half, by whom was agreed; over without a refresh."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec.connector import MetadataBy
from siprec.leg_dialog import REFRESH_AGAIN_MS, TOO_SMALL
from siprec.leg_end import GONE, UNREACHABLE
from siprec.model import Picture, Stream, StreamState
from siprec.session_timer import running
from tests.siprec.pauses import PAUSE, agree, directions, leg_of, refuse, version
from tests.siprec.streams import (
    FORK_OFFERED,
    NOW_MS,
    PLAN,
    alerts,
    answered,
    follow,
    kinds,
    on_leg,
    refused,
    stream_in,
)

S = StreamState
TIMED = replace(PLAN, session_s=600)
OURS, THEIRS = "90;refresher=uac", "90;refresher=uas"
HALF_MS, OVER_MS = NOW_MS + 45_000, NOW_MS + 60_000


def recording(session_expires: str, plan: object = TIMED) -> Stream:
    """Give a stream that records, with what the SRS's 2xx said."""
    path = (FORK_OFFERED, replace(answered(), session_expires=session_expires), e.ForkAnswered())
    return follow(stream_in(S.FORKING, plan), path).stream  # type: ignore[arg-type]


def refreshing(session_expires: str = OURS, plan: object = TIMED) -> Stream:
    """Give a stream whose refresh is on its way."""
    outcome = follow(recording(session_expires, plan), [e.DeadlinePassed()], HALF_MS)
    assert kinds(outcome) == ["SendAsked"]
    return outcome.stream


def test_session_that_we_refresh_is_refreshed_with_the_same_sdp_and_no_metadata() -> None:
    stream = recording(OURS)
    assert stream.deadline_ms == HALF_MS
    leg = leg_of(refreshing())
    assert leg.asked is not None
    assert (leg.asked.is_refresh, leg.asked.picture, leg.asked.by_update) == (True, None, False)
    assert (version(leg), directions(leg)) == (1, ["sendonly", "sendonly"])


def test_refresh_that_is_answered_starts_the_timer_anew() -> None:
    stream = refreshing()
    answer = agree(stream).event
    assert isinstance(answer, e.SrsAnswered)
    again = on_leg(1, replace(answer, session_expires=THEIRS))
    outcome = follow(stream, again, HALF_MS)
    assert kinds(outcome) == []
    assert leg_of(outcome.stream).timer == running(90, is_ours=False, now_ms=HALF_MS)


def test_update_refreshes_where_it_carries_changes() -> None:
    leg = leg_of(refreshing(plan=replace(TIMED, metadata_by=MetadataBy.UPDATE)))
    assert leg.asked is not None
    assert (leg.asked.by_update, leg.asked.picture) == (True, None)


def test_change_that_is_due_with_a_refresh_goes_along() -> None:
    stream = recording(OURS)
    leg = replace(leg_of(stream), told_ms=HALF_MS - 10)
    stream = replace(stream, legs=(leg,), picture=Picture(quiet=("1",)))
    outcome = follow(stream, [e.DeadlinePassed()], HALF_MS)
    asked = leg_of(outcome.stream).asked
    assert asked is not None
    assert (asked.is_refresh, asked.picture) == (True, Picture(quiet=("1",)))


def test_session_of_an_srs_without_timers_is_refreshed_and_never_over() -> None:
    stream = recording("")
    assert stream.deadline_ms == NOW_MS + 300_000
    outcome = follow(stream, [e.DeadlinePassed()], NOW_MS + 300_000)
    refused_so = follow(outcome.stream, [refuse(outcome.stream, 500)], NOW_MS + 300_000)
    # Nothing is lost by it.
    assert (alerts(refused_so), refused_so.stream.deadline_ms) == ([], None)
    assert refused_so.stream.state is S.RECORDING


def test_plan_without_timers_has_none() -> None:
    assert leg_of(recording("", PLAN)).timer is None


def test_session_that_the_srs_ought_to_refresh_is_over_without() -> None:
    stream = recording(THEIRS)
    assert stream.deadline_ms == OVER_MS
    outcome = follow(stream, [e.DeadlinePassed()], OVER_MS)
    assert kinds(outcome)[:2] == ["ReleaseFork", "SendBye"]
    assert alerts(outcome)[0].code == UNREACHABLE
    assert "let the session expire" in alerts(outcome)[0].text


def test_request_of_the_srs_refreshes_the_session() -> None:
    event = on_leg(1, e.SrsRefreshed(interval_s=120, is_ours=False))
    outcome = follow(recording(THEIRS), event, HALF_MS)
    assert leg_of(outcome.stream).timer == running(120, is_ours=False, now_ms=HALF_MS)
    assert outcome.stream.deadline_ms == HALF_MS + 120_000 - 32_000


def test_refresh_that_is_refused_is_tried_again_until_the_session_is_over() -> None:
    stream = refreshing()
    outcome = follow(stream, [refuse(stream, 500)], HALF_MS)
    assert (alerts(outcome), outcome.stream.deadline_ms) == ([], HALF_MS + REFRESH_AGAIN_MS)
    again = follow(outcome.stream, [e.DeadlinePassed()], HALF_MS + REFRESH_AGAIN_MS)
    assert kinds(again) == ["SendAsked"]
    over = follow(again.stream, [e.DeadlinePassed()], OVER_MS)
    assert "let the session expire" in alerts(over)[0].text


@pytest.mark.parametrize(
    ("status", "is_timeout", "commands", "why"),
    [
        (408, True, ["ReleaseFork", "SendBye", "RaiseAlert"], "did not answer the refresh"),
        (408, False, ["ReleaseFork", "SendBye", "RaiseAlert"], "did not answer the refresh"),
        (GONE, False, ["ReleaseFork", "RaiseAlert"], "does not know the session"),
    ],
)
def test_refresh_that_shows_the_session_gone_ends_the_leg(
    status: int, is_timeout: bool, commands: list[str], why: str
) -> None:
    stream = refreshing()
    outcome = follow(stream, [refuse(stream, status, is_timeout=is_timeout)], HALF_MS)
    assert kinds(outcome)[: len(commands)] == commands
    assert why in alerts(outcome)[0].text


def test_interval_too_small_for_a_refresh_is_raised() -> None:
    stream = refreshing()
    event = refuse(stream, TOO_SMALL).event
    assert isinstance(event, e.SrsRefused)
    outcome = follow(stream, on_leg(1, replace(event, min_se_s=900)), HALF_MS)
    leg = leg_of(outcome.stream)
    assert (kinds(outcome), leg.min_se_s, leg.cseq) == (["SendAsked"], 900, 3)
    assert leg.asked is not None
    assert leg.asked.cseq == 3


def test_interval_too_small_for_an_invite_is_raised_once() -> None:
    small = replace(refused(TOO_SMALL), min_se_s=900)
    outcome = follow(stream_in(S.INVITING, TIMED), [small])
    leg = leg_of(outcome.stream)
    assert (kinds(outcome), leg.min_se_s, leg.cseq, leg.attempt) == (["SendInvite"], 900, 2, 1)
    outcome = follow(outcome.stream, [small])
    assert outcome.stream.state is S.STOPPING


def test_pause_waits_for_no_refresh() -> None:
    outcome = follow(recording(OURS), [PAUSE], HALF_MS)
    # The gate comes first: what is due is not asked again and again meanwhile.
    assert kinds(outcome) == ["AnswerFork"]
    assert outcome.stream.deadline_ms == OVER_MS
