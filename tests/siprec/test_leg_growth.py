"""Video that comes to a recording: a second fork, a re-INVITE that offers it, and what may fail."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from siprec import events as e
from siprec.alerts import AlertLevel
from siprec.leg_dialog import ASK_GRACE_MS
from siprec.model import Leg, Picture, Side, Stream, StreamState
from siprec.sdp.session import parse
from siprec.sids import make_fork_tag
from siprec.step import Outcome
from tests.siprec.pauses import GATE_SET, PAUSE_CALLER, agree, leg_of, refuse, version
from tests.siprec.streams import (
    FORK_OFFERED,
    LATER_MS,
    PLAN,
    STREAM_SID,
    VIDEO_OFFER,
    VIDEO_OFFERED,
    alerts,
    answer_sdp,
    answer_to,
    answered,
    follow,
    kinds,
    on_leg,
    stream_in,
)

S = StreamState
VIDEO = replace(PLAN, video=True)
SEEN = e.Pictured(picture=Picture(has_video=True))
LABELS = ("1", "2", "3", "4")
FIRST, SECOND, THIRD = (make_fork_tag(STREAM_SID, 1, count) for count in (1, 2, 3))


def growing(events: Sequence[e.Event | e.LegEvent] = (SEEN, VIDEO_OFFERED)) -> Outcome:
    """Give a stream that recorded audio when these events came."""
    return follow(stream_in(S.RECORDING, VIDEO), events, LATER_MS)


def grown() -> Stream:
    """Give a stream to which video has come."""
    stream = growing().stream
    return follow(stream, [agree(stream), GATE_SET], LATER_MS).stream


def released(outcome: Outcome) -> list[str]:
    """List the tags of the forks that are released."""
    commands = (each.command for each in outcome.commands if isinstance(each, e.ForLeg))
    return [each.fork_tag for each in commands if isinstance(each, e.ReleaseFork)]


def forks_of(leg: Leg) -> tuple[str, str]:
    """Give the tags of the fork in use, and of the next one."""
    return leg.fork_tag, leg.next_fork


def test_video_of_a_call_is_asked_for_under_another_tag() -> None:
    outcome = growing([SEEN])
    assert "RequestFork" in kinds(outcome)
    assert forks_of(leg_of(outcome.stream)) == (FIRST, SECOND)
    again = follow(outcome.stream, [e.CallReoffered()], LATER_MS)
    assert kinds(again) == ["AnswerFork"]


def test_video_of_a_call_is_nothing_to_a_plan_without() -> None:
    outcome = follow(stream_in(S.RECORDING), [SEEN], LATER_MS)
    assert (outcome.commands, outcome.stream.picture) == ((), Picture())


def test_fork_with_video_is_offered_with_a_full_snapshot() -> None:
    outcome = growing()
    leg = leg_of(outcome.stream)
    assert kinds(outcome) == ["SendAsked"]
    assert leg.asked is not None
    assert leg.next_offer is not None
    assert (leg.asked.grows, leg.asked.is_full, leg.asked.by_update) == (True, True, False)
    assert leg.next_offer.labels == LABELS
    before, after = version(leg), version(replace(leg, offer=leg.next_offer))
    assert after == before + 1


def test_answer_lets_the_new_fork_take_the_place_of_the_old_one() -> None:
    stream = growing().stream
    outcome = follow(stream, [agree(stream)], LATER_MS)
    leg = leg_of(outcome.stream)
    assert kinds(outcome) == ["AnswerFork", "ReleaseFork"]
    assert released(outcome) == [FIRST]
    assert forks_of(leg) == (SECOND, "")
    assert leg.offer is not None
    assert leg.offer.labels == LABELS
    assert [media.kind for media in parse(leg.answer).media] == ["audio", "video"] * 2
    assert leg.told == Picture(has_video=True)
    assert kinds(follow(outcome.stream, [GATE_SET], LATER_MS)) == []
    # Once is enough.
    gone = e.Pictured(picture=Picture())
    assert "RequestFork" not in kinds(follow(outcome.stream, [gone, SEEN], LATER_MS))


def test_recorder_that_answers_video_with_port_0_is_named() -> None:
    stream = growing().stream
    sdp = answer_to(VIDEO_OFFER, refused="video")
    outcome = follow(stream, [agree(stream, sdp=sdp)], LATER_MS)
    assert leg_of(outcome.stream).dropped == ("3", "4")
    assert [alert.text for alert in alerts(outcome)] == [
        f"the SRS {PLAN.srs[0]} refused the m-line of label 3, 4"
    ]


def test_pause_goes_for_the_video_of_a_party_too() -> None:
    stream = growing([PAUSE_CALLER, GATE_SET]).stream
    stream = follow(stream, [agree(stream), GATE_SET, SEEN, VIDEO_OFFERED], LATER_MS).stream
    leg = leg_of(stream)
    assert leg.next_offer is not None
    directions = [media.direction for media in parse(leg.next_offer.sdp).media]
    assert directions == ["inactive", "sendonly"] * 2
    stream = follow(stream, [agree(stream), GATE_SET], LATER_MS).stream
    assert leg_of(stream).gated == ("1", "3")
    assert stream.state is S.RECORDING
    outcome = follow(stream, [e.Paused(sides=(Side.CALLEE,)), GATE_SET], LATER_MS)
    assert leg_of(outcome.stream).gated == LABELS
    assert outcome.stream.state is S.PAUSED


@pytest.mark.parametrize("status", [488, 500])
def test_refusal_leaves_the_audio_as_it_was(status: int) -> None:
    stream = growing().stream
    outcome = follow(stream, [refuse(stream, status)], LATER_MS)
    leg = leg_of(outcome.stream)
    assert released(outcome) == [SECOND]
    assert (forks_of(leg), leg.next_offer, leg.no_video) == ((FIRST, ""), None, True)
    (alert,) = alerts(outcome)
    assert alert.level is AlertLevel.WARNING
    assert "does not take the video of the call" in alert.text
    # What else has changed is told without it.
    news = e.Pictured(picture=Picture(has_video=True, revision=1))
    later = follow(outcome.stream, [news], LATER_MS + 2_000)
    assert kinds(later) == ["SendAsked"]


@pytest.mark.parametrize("status", [491, 401, 422])
def test_refusal_that_passes_is_tried_again(status: int) -> None:
    plan = replace(VIDEO, has_digest=True)
    stream = follow(stream_in(S.RECORDING, plan), [SEEN, VIDEO_OFFERED], LATER_MS).stream
    event = refuse(stream, status)
    if isinstance(event.event, e.SrsRefused) and status == 422:
        event = replace(event, event=replace(event.event, min_se_s=120))
    stream = follow(stream, [event], LATER_MS).stream
    outcome = follow(stream, [e.DeadlinePassed()], LATER_MS + 4_000)
    asked = leg_of(outcome.stream).asked
    assert asked is not None
    assert asked.grows


@pytest.mark.parametrize("how", ["timeout", "silence", "no SDP", "garbage"])
def test_recorder_of_which_nobody_knows_what_it_has_is_left(how: str) -> None:
    stream = growing().stream
    events: dict[str, e.Event] = {
        "timeout": refuse(stream, 408, is_timeout=True),
        "silence": e.DeadlinePassed(),
        "no SDP": agree(stream, sdp=None),
        "garbage": agree(stream, sdp="garbage"),
    }
    outcome = follow(stream, [events[how]], LATER_MS + VIDEO.answer_ms + ASK_GRACE_MS)
    left, other = outcome.stream.legs
    assert (left.state, left.next_fork, other.state) == (S.STOPPING, "", S.FORKING)
    assert left.error_code is not None
    assert released(outcome) == [FIRST, SECOND]
    assert "SendBye" in kinds(outcome)


def test_fork_without_the_video_is_no_use() -> None:
    outcome = growing([SEEN, FORK_OFFERED])
    leg = leg_of(outcome.stream)
    assert (released(outcome), leg.no_video, leg.next_fork) == ([SECOND], True, "")
    assert alerts(outcome) == []


def test_fork_that_rtpengine_does_not_give_is_told() -> None:
    outcome = growing([SEEN, e.ForkRefused(text="rtpengine: no")])
    assert leg_of(outcome.stream).no_video
    assert [alert.text for alert in alerts(outcome)] == [
        "the video of the call is not recorded: rtpengine: no"
    ]


@pytest.mark.parametrize("event", [VIDEO_OFFERED, e.ForkRefused(text="no")])
def test_fork_that_nobody_waits_for_changes_nothing(event: e.LegEvent) -> None:
    stream = stream_in(S.RECORDING, VIDEO)
    assert follow(stream, [event], LATER_MS).stream == stream


def test_recorder_with_m_lines_of_its_own_gets_no_video() -> None:
    stream = growing([SEEN]).stream
    leg = leg_of(stream)
    assert leg.offer is not None
    extra = replace(leg.offer, sdp=f"{leg.offer.sdp}m=text 0 RTP/AVP 98\r\nc=IN IP4 0.0.0.0\r\n")
    stream = replace(stream, legs=(replace(leg, offer=extra),))
    outcome = follow(stream, [VIDEO_OFFERED], LATER_MS)
    assert leg_of(outcome.stream).no_video
    assert "has m-lines of its own" in alerts(outcome)[0].text


def test_video_under_the_key_of_the_call_is_not_offered() -> None:
    media = tuple(replace(each, has_call_key=True) for each in VIDEO_OFFER.media)
    keyed = e.ForkOffered(offer=replace(VIDEO_OFFER, media=media))
    outcome = growing([SEEN, keyed])
    assert leg_of(outcome.stream).no_video
    assert "the key of the call" in alerts(outcome)[0].text


def test_stop_releases_both_forks() -> None:
    outcome = follow(growing([SEEN]).stream, [e.Stopped()], LATER_MS)
    assert released(outcome) == [FIRST, SECOND]


def test_takeover_asks_for_the_fork_anew_unless_the_recorder_was_asked() -> None:
    outcome = growing([SEEN, e.OwnerChanged()])
    assert released(outcome) == [SECOND]
    assert forks_of(leg_of(outcome.stream)) == (FIRST, THIRD)
    outcome = growing([SEEN, VIDEO_OFFERED, e.OwnerChanged()])
    assert released(outcome) == []
    assert forks_of(leg_of(outcome.stream)) == (FIRST, SECOND)
    stream = follow(outcome.stream, [GATE_SET], LATER_MS).stream
    assert released(follow(stream, [agree(stream)], LATER_MS)) == [FIRST]


def test_takeover_releases_what_the_owner_before_may_not_have() -> None:
    assert released(follow(grown(), [e.OwnerChanged()], LATER_MS)) == [FIRST]
    stopping = follow(grown(), [e.Stopped()], LATER_MS).stream
    assert released(follow(stopping, [e.OwnerChanged()], LATER_MS)) == [FIRST, SECOND]


def test_takeover_of_a_leg_that_connects_forgets_the_growth() -> None:
    stream = growing([SEEN, *on_leg(1, e.SrsReanswered(sdp=answer_sdp(5000, 5002)))]).stream
    assert leg_of(stream).state is S.CONNECTING
    outcome = follow(stream, [e.OwnerChanged()], LATER_MS)
    assert released(outcome) == [SECOND]


def test_stream_that_begins_with_video_offers_it_at_once() -> None:
    stream = follow(stream_in(S.FORKING, VIDEO), [SEEN, VIDEO_OFFERED], LATER_MS).stream
    sdp = answer_to(VIDEO_OFFER)
    stream = follow(stream, [answered(sdp=sdp), e.ForkAnswered()], LATER_MS).stream
    leg = leg_of(stream)
    assert (leg.state, forks_of(leg)) == (S.RECORDING, (FIRST, ""))
    assert leg.offer is not None
    assert leg.offer.has_video
