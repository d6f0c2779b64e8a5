"""What each event does in each state, one behaviour a test."""

import pytest

from siprec import events as e
from siprec import transitions as t
from siprec.model import AlertLevel, Stream, StreamState
from siprec.sids import make_fork_tag
from siprec.step import step
from siprec.transitions import Outcome
from tests.siprec.streams import (
    FORK_OFFERED,
    NOW_MS,
    REDIRECTED_URI,
    SRS_URI,
    STREAM_SID,
    answer_sdp,
    answered,
    begun,
    follow,
    refused,
    stream_in,
)

S = StreamState
LATER_MS = NOW_MS + 60_000


def happen(state: StreamState, *events: e.Event) -> Outcome:
    return follow(stream_in(state), events, LATER_MS)


def kinds(outcome: Outcome) -> list[str]:
    return [type(command).__name__ for command in outcome.commands]


def alerts(outcome: Outcome) -> list[e.RaiseAlert]:
    return [c for c in outcome.commands if isinstance(c, e.RaiseAlert)]


def release(count: int) -> e.ReleaseFork:
    return e.ReleaseFork(fork_tag=make_fork_tag(STREAM_SID, count))


# Asking for the fork


def test_begin_asks_for_the_first_fork_and_sets_a_deadline() -> None:
    stream, commands = begun()
    assert stream.state is S.FORKING
    assert stream.leg.fork_tag == make_fork_tag(STREAM_SID, 1)
    assert stream.deadline_ms == NOW_MS + t.FORK_MS
    assert commands == (e.RequestFork(),)
    assert [moment.event for moment in stream.history] == ["Started"]


def test_fork_offered_sends_the_invite_in_a_dialog_of_its_own() -> None:
    outcome = happen(S.FORKING, FORK_OFFERED)
    leg = outcome.stream.leg
    assert outcome.stream.state is S.INVITING
    assert (leg.call_id, leg.cseq, leg.to_tag) == (f"{STREAM_SID}-1", 1, "")
    assert leg.from_tag == f"{STREAM_SID[2:]}1"
    assert outcome.commands == (e.SendInvite(),)


def test_fork_refused_for_now_tries_again_with_a_fresh_tag_after_a_pause() -> None:
    waiting = happen(S.FORKING, e.ForkRefused(text="not yet", retryable=True))
    assert waiting.stream.state is S.FORKING
    assert waiting.stream.deadline_ms == LATER_MS + t.FORK_RETRY_MS
    assert waiting.commands == ()
    again = step(waiting.stream, e.DeadlinePassed(), LATER_MS)
    assert again.commands == (release(1), e.RequestFork())
    assert again.stream.leg.fork_tag == make_fork_tag(STREAM_SID, 2)


def test_fork_refused_for_good_fails_with_no_media() -> None:
    outcome = happen(S.FORKING, e.ForkRefused(text="no such call"))
    assert outcome.stream.error_code == t.NO_MEDIA
    assert outcome.commands[0] == release(1)
    assert alerts(outcome)[0].text == "no such call"


def test_fork_refused_as_often_as_it_is_tried_fails() -> None:
    stream = stream_in(S.FORKING)
    for _ in range(t.FORK_TRIES - 1):
        stream = follow(
            stream, (e.ForkRefused(text="not yet", retryable=True), e.DeadlinePassed())
        ).stream
    outcome = step(stream, e.ForkRefused(text="not yet", retryable=True), LATER_MS)
    assert outcome.stream.state is S.STOPPING
    assert outcome.stream.error_code == t.NO_MEDIA


def test_fork_silent_as_often_as_it_is_asked_fails() -> None:
    outcome = happen(S.FORKING, *[e.DeadlinePassed()] * t.FORK_TRIES)
    assert outcome.stream.state is S.STOPPING
    assert outcome.stream.error_code == t.NO_MEDIA


@pytest.mark.parametrize("event", [e.Stopped(), e.CallOver(reason="bye")])
def test_end_before_the_invite_releases_the_fork_and_says_nothing_to_the_srs(
    event: e.Event,
) -> None:
    outcome = happen(S.FORKING, event)
    assert outcome.commands == (release(1),)
    assert step(outcome.stream, e.ForkReleased(), LATER_MS).stream.state is S.STOPPED


# Inviting


def test_answer_with_sdp_gives_rtpengine_the_checked_answer() -> None:
    outcome = happen(S.INVITING, answered())
    leg = outcome.stream.leg
    assert outcome.stream.state is S.CONNECTING
    assert outcome.commands == (e.AnswerFork(),)
    assert leg.to_tag == "srs1"
    assert leg.remote_target == "sip:192.0.2.9:5080"
    assert leg.route_set == ("<sip:192.0.2.1;lr>",)
    assert "m=audio 4000 " in leg.answer
    assert "m=audio 4002 " in leg.answer


def test_answer_that_refuses_one_track_records_the_other_and_warns() -> None:
    outcome = happen(S.INVITING, answered(sdp=answer_sdp(4000, 0)))
    assert outcome.stream.state is S.CONNECTING
    (alert,) = alerts(outcome)
    assert (alert.code, alert.level) == (t.BAD_ANSWER, AlertLevel.WARNING)
    assert "label 2" in alert.text


@pytest.mark.parametrize(
    "sdp",
    [None, "nonsense", answer_sdp(0, 0), answer_sdp(4000, 4002, payload_type=18)],
    ids=["none", "garbage", "all refused", "codec not offered"],
)
def test_answer_that_cannot_be_used_ends_in_bye_and_alert(sdp: str | None) -> None:
    outcome = happen(S.INVITING, answered(sdp=sdp))
    assert kinds(outcome) == ["ReleaseFork", "SendBye", "RaiseAlert"]
    assert outcome.stream.error_code == t.BAD_ANSWER
    assert outcome.stream.leg.cseq == 2


def test_answer_without_an_offer_of_ours_is_a_defect() -> None:
    stream = Stream(sid=STREAM_SID, call_sid="", account_sid="", order=stream_in(S.FORKING).order)
    with pytest.raises(ValueError, match="an answer without an offer"):
        t.TABLE[S.INVITING][e.SrsAnswered].handler(stream, answered(), NOW_MS)


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, t.AUTHENTICATION), (407, t.AUTHENTICATION), (486, t.UNREACHABLE), (603, t.UNREACHABLE)],
)
def test_refusal_fails_and_says_what_the_srs_said(status: int, code: int) -> None:
    outcome = happen(S.INVITING, refused(status))
    assert kinds(outcome) == ["ReleaseFork", "RaiseAlert"]
    assert outcome.stream.error_code == code
    assert outcome.stream.error_text == f"the SRS {SRS_URI} answered {status} No"


def test_redirect_is_followed_once() -> None:
    first = happen(S.INVITING, refused(302, contact=REDIRECTED_URI))
    assert first.stream.state is S.INVITING
    assert first.stream.leg.srs_uri == REDIRECTED_URI
    assert first.stream.leg.call_id == f"{STREAM_SID}-2"
    assert first.commands == (e.SendInvite(),)
    second = step(first.stream, refused(302, attempt=2, contact=SRS_URI), LATER_MS)
    assert second.stream.error_code == t.UNREACHABLE


def test_redirect_without_a_contact_fails() -> None:
    assert happen(S.INVITING, refused(302)).stream.error_code == t.UNREACHABLE


def test_unreachable_srs_fails() -> None:
    outcome = happen(S.INVITING, e.SrsUnreachable(attempt=1, text="no such name"))
    assert outcome.stream.error_code == t.UNREACHABLE
    assert "no such name" in (outcome.stream.error_text or "")


def test_no_answer_in_time_cancels_and_fails() -> None:
    outcome = happen(S.INVITING, e.DeadlinePassed())
    assert kinds(outcome) == ["SendCancel", "ReleaseFork", "RaiseAlert"]
    assert outcome.stream.error_code == t.UNREACHABLE


def test_answer_after_we_gave_up_is_hung_up() -> None:
    outcome = happen(S.INVITING, e.DeadlinePassed(), answered())
    assert outcome.stream.state is S.STOPPING
    assert outcome.commands == (e.DropLateAnswer(answer=answered()),)


@pytest.mark.parametrize(
    "event",
    [refused(486, attempt=7), e.SrsUnreachable(attempt=7, text="no")],
    ids=["refused", "unreachable"],
)
@pytest.mark.parametrize("state", [S.INVITING, S.CANCELLING])
def test_news_of_another_attempt_change_nothing(state: StreamState, event: e.Event) -> None:
    stream = stream_in(state)
    assert step(stream, event, LATER_MS) == Outcome(stream)


@pytest.mark.parametrize("state", [S.INVITING, S.CANCELLING])
def test_answer_to_another_attempt_is_hung_up(state: StreamState) -> None:
    outcome = happen(state, answered(7))
    assert outcome.stream.state is state
    assert outcome.commands == (e.DropLateAnswer(answer=answered(7)),)


# Stopping before the answer


@pytest.mark.parametrize("event", [e.Stopped(), e.CallOver(reason="bye")])
def test_end_before_the_answer_cancels(event: e.Event) -> None:
    outcome = happen(S.INVITING, event)
    assert outcome.stream.state is S.CANCELLING
    assert outcome.commands == (e.SendCancel(call_id=f"{STREAM_SID}-1"), release(1))


def test_cancelled_waits_for_both_the_final_reply_and_the_fork() -> None:
    reply_first = happen(S.CANCELLING, refused(487))
    assert reply_first.stream.state is S.STOPPING
    assert step(reply_first.stream, e.ForkReleased(), LATER_MS).stream.state is S.STOPPED
    assert happen(S.CANCELLING, e.ForkReleased(), refused(487)).stream.state is S.STOPPED


def test_cancel_of_an_invite_that_was_never_sent_needs_no_reply() -> None:
    never_sent = e.SrsUnreachable(attempt=1, text="no such name")
    outcome = happen(S.CANCELLING, e.ForkReleased(), never_sent)
    assert outcome.stream.state is S.STOPPED
    assert outcome.stream.error_code is None


def test_answer_that_crossed_the_cancel_gets_bye() -> None:
    outcome = happen(S.CANCELLING, answered())
    assert outcome.stream.state is S.STOPPING
    assert outcome.commands == (e.SendBye(),)
    assert (outcome.stream.leg.to_tag, outcome.stream.leg.cseq) == ("srs1", 2)


def test_cancelled_and_never_answered_stops_all_the_same() -> None:
    outcome = happen(S.CANCELLING, e.DeadlinePassed())
    assert outcome.stream.state is S.STOPPED
    assert outcome.stream.ended_ms == LATER_MS


# Connecting and recording


def test_fork_answered_records_without_a_deadline() -> None:
    outcome = happen(S.CONNECTING, e.ForkAnswered())
    assert outcome.stream.state is S.RECORDING
    assert outcome.stream.recording_ms == LATER_MS
    assert outcome.stream.deadline_ms is None


def test_second_answer_of_the_srs_keeps_the_first_recording_time() -> None:
    reanswered = e.SrsReanswered(sdp=answer_sdp(4100, 4102))
    connecting = happen(S.RECORDING, reanswered)
    assert connecting.stream.state is S.CONNECTING
    assert "m=audio 4100 " in connecting.stream.leg.answer
    again = step(connecting.stream, e.ForkAnswered(), LATER_MS)
    assert again.stream.recording_ms == NOW_MS


@pytest.mark.parametrize("state", [S.CONNECTING, S.RECORDING])
def test_answer_that_rtpengine_refuses_ends_in_bye_and_alert(state: StreamState) -> None:
    outcome = happen(state, e.ForkAnswerRefused(text="no"))
    assert kinds(outcome) == ["ReleaseFork", "SendBye", "RaiseAlert"]
    assert outcome.stream.error_code == t.BAD_ANSWER


def test_fork_that_is_not_answered_in_time_fails() -> None:
    outcome = happen(S.CONNECTING, e.DeadlinePassed())
    assert kinds(outcome) == ["ReleaseFork", "SendBye", "RaiseAlert"]
    assert outcome.stream.error_code == t.NO_MEDIA


def test_fork_lost_fails_and_hangs_up() -> None:
    outcome = happen(S.RECORDING, e.ForkLost())
    assert kinds(outcome) == ["ReleaseFork", "SendBye", "RaiseAlert"]
    assert outcome.stream.error_code == t.NO_MEDIA


@pytest.mark.parametrize("state", [S.CONNECTING, S.RECORDING])
@pytest.mark.parametrize(("reason", "shown"), [("", ""), ("SIP;cause=503", " (SIP;cause=503)")])
def test_srs_that_hangs_up_gets_no_bye(state: StreamState, reason: str, shown: str) -> None:
    outcome = happen(state, e.SrsHungUp(reason=reason))
    assert kinds(outcome) == ["ReleaseFork", "RaiseAlert"]
    assert outcome.stream.error_text == f"the SRS {SRS_URI} hung up{shown}"


@pytest.mark.parametrize("state", [S.CONNECTING, S.RECORDING])
def test_call_reoffered_replays_the_answer_in_force(state: StreamState) -> None:
    outcome = happen(state, e.CallReoffered())
    assert outcome.stream.state is state
    assert outcome.commands == (e.AnswerFork(),)


@pytest.mark.parametrize("state", [S.CONNECTING, S.RECORDING])
@pytest.mark.parametrize("event", [e.Stopped(), e.CallOver(reason="bye")])
def test_end_of_a_dialog_releases_the_fork_before_it_says_bye(
    state: StreamState, event: e.Event
) -> None:
    outcome = happen(state, event)
    assert outcome.stream.state is S.STOPPING
    assert outcome.commands == (release(1), e.SendBye())


def test_repeated_answer_of_the_dialog_is_no_late_one() -> None:
    assert happen(S.RECORDING, answered()).commands == ()


def test_answer_of_a_second_recorder_behind_a_forking_proxy_is_hung_up() -> None:
    other = e.SrsAnswered(attempt=1, from_tag="f", to_tag="other", cseq=1, remote_target="sip:h")
    assert happen(S.RECORDING, other).commands == (e.DropLateAnswer(answer=other),)


# Stopping


@pytest.mark.parametrize(
    "bye", [e.SrsByeAnswered(attempt=1, status=200), e.SrsHungUp()], ids=["answered", "crossed"]
)
def test_stopping_ends_when_bye_and_fork_are_done_in_either_order(bye: e.Event) -> None:
    assert happen(S.STOPPING, bye).stream.state is S.STOPPING
    assert happen(S.STOPPING, bye, e.ForkReleased()).stream.state is S.STOPPED
    assert happen(S.STOPPING, e.ForkReleased(), bye).stream.state is S.STOPPED


@pytest.mark.parametrize(("status", "said"), [(408, "did not answer our BYE"), (481, "with 481")])
def test_bye_that_the_srs_does_not_take_warns_of_its_recording(status: int, said: str) -> None:
    outcome = happen(S.STOPPING, e.SrsByeAnswered(attempt=1, status=status))
    (alert,) = alerts(outcome)
    assert (alert.code, alert.level) == (t.UNREACHABLE, AlertLevel.WARNING)
    assert said in alert.text
    assert "may be incomplete" in alert.text


def test_bye_after_an_error_that_people_know_of_is_not_spoken_of_again() -> None:
    outcome = happen(
        S.CONNECTING, e.ForkAnswerRefused(text="x"), e.SrsByeAnswered(attempt=1, status=408)
    )
    assert not alerts(outcome)


def test_bye_of_an_attempt_given_up_does_not_end_the_stream() -> None:
    other = e.SrsByeAnswered(attempt=7, status=200)
    assert happen(S.STOPPING, e.ForkReleased(), other).stream.state is S.STOPPING


def test_stopping_that_nobody_answers_ends_by_its_deadline() -> None:
    assert happen(S.STOPPING, e.DeadlinePassed()).stream.state is S.STOPPED


# Another owner


def test_takeover_while_forking_releases_every_fork_asked_for_so_far() -> None:
    outcome = happen(S.FORKING, e.DeadlinePassed(), e.OwnerChanged())
    assert outcome.commands == (release(1), release(2), e.RequestFork())
    assert outcome.stream.leg.fork_tag == make_fork_tag(STREAM_SID, 3)


def test_takeover_while_inviting_abandons_the_attempt_and_starts_over() -> None:
    outcome = happen(S.INVITING, e.OwnerChanged())
    cancel = e.SendCancel(call_id=f"{STREAM_SID}-1")
    assert outcome.commands == (cancel, release(1), e.RequestFork())
    assert (outcome.stream.leg.attempt, outcome.stream.leg.forks) == (2, 2)


def test_takeover_while_connecting_gives_rtpengine_its_time_anew() -> None:
    outcome = happen(S.CONNECTING, e.OwnerChanged())
    assert outcome.commands == (e.AnswerFork(),)
    assert outcome.stream.deadline_ms == LATER_MS + t.CONNECT_MS


def test_takeover_while_recording_replays_the_answer_that_may_not_have_been_sent() -> None:
    outcome = happen(S.RECORDING, e.OwnerChanged())
    assert outcome.commands == (e.AnswerFork(),)
    assert outcome.stream.state is S.RECORDING


def test_takeover_while_cancelling_cancels_again() -> None:
    outcome = happen(S.CANCELLING, e.OwnerChanged())
    assert kinds(outcome) == ["SendCancel", "ReleaseFork"]
    assert outcome.stream.deadline_ms == LATER_MS + t.CANCEL_MS


def test_takeover_while_stopping_repeats_only_what_is_left() -> None:
    assert happen(S.STOPPING, e.OwnerChanged()).commands == (release(1), e.SendBye())
    fork_left = happen(S.STOPPING, e.SrsByeAnswered(attempt=1, status=200), e.OwnerChanged())
    assert fork_left.commands == (release(1),)
    bye_left = happen(S.STOPPING, e.ForkReleased(), e.OwnerChanged())
    assert bye_left.commands == (e.SendBye(),)
    assert bye_left.stream.deadline_ms == LATER_MS + t.STOP_MS
