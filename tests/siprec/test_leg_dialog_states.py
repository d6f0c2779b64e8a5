"""Pause and resume in every state of a stream: beginnings, ends, takeovers, several legs."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec.leg_dialog import ACK_MS, ASK_GRACE_MS, QUESTION_MS, request_of
from siprec.leg_end import CANCEL_MS, STOP_MS
from siprec.leg_setup import CONNECT_MS
from siprec.model import Leg, Plan, StreamState
from tests.siprec.failovers import HUNG_UP, PARALLEL, A, B
from tests.siprec.pauses import (
    ALL,
    GATE_SET,
    PAUSE,
    PAUSE_CALLER,
    RESUME,
    agree,
    asked,
    gate,
    leg_of,
    paused,
    refuse,
)
from tests.siprec.streams import (
    LATER_MS,
    NOW_MS,
    PATHS,
    PLAN,
    SRS_URI,
    answer_sdp,
    answered,
    begun,
    follow,
    kinds,
    on_leg,
    stream_in,
)

S = StreamState
CHECKED = replace(PLAN, check_ms=90_000)
CHECK_MS = NOW_MS + CHECKED.check_ms
OVER_MS = CHECK_MS + QUESTION_MS
KNOWN, SILENT = (
    e.LegHappened(leg=1, event=e.SrsOptionsAnswered(attempt=1, status=status))
    for status in (200, 408)
)
ASK_MS = PLAN.answer_ms + ASK_GRACE_MS


# Where it is paused


def test_pause_before_the_srs_answered_is_silent_from_the_first_packet_on() -> None:
    # An SRS that is not invited yet is offered silence; the other is told once it has answered.
    for state, told in ((S.FORKING, []), (S.INVITING, ["SendAsked"])):
        path = PATHS[S.RECORDING][len(PATHS[state]) :]
        stream = follow(stream_in(state), [PAUSE], LATER_MS).stream
        assert (stream.state, stream.paused) == (state, PAUSE.sides)
        outcome = follow(stream, path[:-1], LATER_MS)
        assert kinds(outcome) == ["AnswerFork"]
        assert gate(outcome.stream) == (ALL, True)
        outcome = follow(outcome.stream, path[-1:], LATER_MS)
        assert (kinds(outcome), outcome.stream.state) == (told, S.PAUSED)


def test_resume_of_what_was_offered_silent_is_told() -> None:
    stream = follow(stream_in(S.FORKING), [PAUSE, *PATHS[S.RECORDING]], LATER_MS).stream
    assert (stream.state, leg_of(stream).muted) == (S.PAUSED, ALL)
    outcome = follow(stream, [RESUME], LATER_MS)
    assert kinds(outcome) == ["SendAsked"]
    assert gate(outcome.stream) == (ALL, False)


def test_pause_while_rtpengine_is_given_the_answer_gives_it_another() -> None:
    outcome = follow(stream_in(S.CONNECTING), [PAUSE], LATER_MS)
    assert kinds(outcome) == ["AnswerFork"]
    assert gate(outcome.stream) == (ALL, True)
    deadline_ms = stream_in(S.CONNECTING).deadline_ms
    assert outcome.stream.deadline_ms == deadline_ms


def test_pause_taken_back_before_the_srs_answered_leaves_no_trace() -> None:
    stream = follow(stream_in(S.INVITING), [PAUSE, RESUME], LATER_MS).stream
    outcome = follow(stream, [answered(), GATE_SET], LATER_MS)
    assert (kinds(outcome), gate(outcome.stream)) == ([], ((), False))


def test_pause_goes_to_both_legs_of_a_parallel_connector() -> None:
    plan = replace(PARALLEL, srs=(A, B))
    both = [event for n in (1, 2) for event in on_leg(n, *PATHS[S.RECORDING])]
    stream = follow(begun(plan=plan).stream, both).stream
    outcome = follow(stream, [PAUSE], LATER_MS)
    assert kinds(outcome) == ["AnswerFork", "AnswerFork"]
    stream = follow(outcome.stream, on_leg(1, GATE_SET), LATER_MS).stream
    assert stream.state is S.RECORDING
    stream = follow(stream, on_leg(2, GATE_SET), LATER_MS).stream
    assert stream.state is S.PAUSED
    agreed = [agree(stream), agree(stream, number=2), *on_leg(1, GATE_SET), *on_leg(2, GATE_SET)]
    stream = follow(stream, [*agreed, RESUME], LATER_MS).stream
    # Each goes on when its own SRS has agreed.
    answers = [agree(stream), refuse(stream, 488, number=2), *on_leg(1, GATE_SET)]
    outcome = follow(stream, answers, LATER_MS)
    assert gate(outcome.stream, 1) == ((), False)
    assert gate(outcome.stream, 2) == (ALL, False)
    assert outcome.stream.state is S.RECORDING


def test_leg_that_is_wound_up_counts_until_its_fork_is_released() -> None:
    plan = replace(PARALLEL, srs=(A, B))
    both = [event for n in (1, 2) for event in on_leg(n, *PATHS[S.RECORDING])]
    stream = follow(begun(plan=plan).stream, [*both, *on_leg(2, HUNG_UP), PAUSE, GATE_SET]).stream
    assert stream.state is S.RECORDING
    assert follow(stream, on_leg(2, e.ForkReleased())).stream.state is S.PAUSED


def test_call_offered_again_stays_cut_off() -> None:
    outcome = follow(paused(), [e.CallReoffered()], LATER_MS)
    assert (kinds(outcome), gate(outcome.stream)) == (["AnswerFork"], (ALL, False))


def test_srs_that_moves_while_it_is_paused_stays_cut_off_and_gets_the_media_there() -> None:
    moved = e.SrsReanswered(sdp=answer_sdp(4200, 4202))
    outcome = follow(paused(), [moved], LATER_MS)
    assert (kinds(outcome), gate(outcome.stream)) == (["AnswerFork"], (ALL, False))
    assert outcome.stream.state is S.CONNECTING
    stream = follow(outcome.stream, [GATE_SET], LATER_MS).stream
    assert stream.state is S.PAUSED
    assert "m=audio 4200 " in leg_of(stream).answer


def test_nothing_is_offered_before_the_ack_that_brings_an_answer() -> None:
    stream = follow(stream_in(S.RECORDING), [e.OfferGiven(), PAUSE, GATE_SET], LATER_MS).stream
    assert (stream.state, leg_of(stream).asked) == (S.PAUSED, None)
    assert stream.deadline_ms == LATER_MS + ACK_MS
    moved = e.SrsReanswered(sdp=answer_sdp(4200, 4202))
    outcome = follow(stream, [moved, GATE_SET], LATER_MS)
    assert "SendAsked" in kinds(outcome)
    late = follow(stream, [e.DeadlinePassed()], LATER_MS + ACK_MS)
    assert kinds(late) == ["RaiseAlert", "SendAsked"]
    assert late.stream.state is S.PAUSED


def test_wish_while_the_srs_moves_its_media_is_told_after_that() -> None:
    stream = asked().stream
    stream = follow(stream, [refuse(stream, 488)], LATER_MS).stream
    moved = e.SrsReanswered(sdp=answer_sdp(4200, 4202))
    stream = follow(stream, [moved, PAUSE], LATER_MS).stream
    assert kinds(follow(stream, [GATE_SET], LATER_MS)) == ["SendAsked"]


# The end


@pytest.mark.parametrize("end", [e.Stopped(), e.CallOver(reason="bye")])
@pytest.mark.parametrize("is_asking", [True, False])
def test_end_while_paused_releases_the_fork_and_hangs_up(end: e.Event, is_asking: bool) -> None:
    stream = asked().stream if is_asking else paused()
    outcome = follow(stream, [end], LATER_MS)
    assert kinds(outcome) == ["ReleaseFork", "SendBye"]
    assert (outcome.stream.state, outcome.stream.deadline_ms) == (S.STOPPING, LATER_MS + STOP_MS)
    late = [agree(stream), refuse(stream, 488)] if is_asking else []
    assert follow(outcome.stream, late, LATER_MS).commands == ()
    bye = e.SrsByeAnswered(attempt=1, status=200)
    assert follow(outcome.stream, [e.ForkReleased(), bye]).stream.state is S.STOPPED


def test_end_while_paused_before_the_srs_answered_cancels() -> None:
    stream = follow(stream_in(S.INVITING), [PAUSE], LATER_MS).stream
    outcome = follow(stream, [e.Stopped()], LATER_MS)
    assert kinds(outcome) == ["SendCancel", "ReleaseFork"]
    assert outcome.stream.deadline_ms == LATER_MS + CANCEL_MS


def test_gate_that_rtpengine_does_not_close_ends_the_fork() -> None:
    stream = follow(stream_in(S.RECORDING), [PAUSE], LATER_MS).stream
    outcome = follow(stream, [e.ForkAnswerRefused(text="no")], LATER_MS)
    assert kinds(outcome)[:2] == ["ReleaseFork", "SendBye"]


# Owners and time


@pytest.mark.parametrize(
    ("events", "command", "gated"),
    [
        ([PAUSE], "AnswerFork", ALL),
        ([PAUSE, GATE_SET], "AnswerFork", ALL),
        ([PAUSE_CALLER, GATE_SET, RESUME], "AnswerFork", ("1",)),
    ],
)
def test_takeover_sets_the_gate_again_and_sends_no_second_reinvite(
    events: list[e.Event | e.LegEvent], command: str, gated: tuple[str, ...]
) -> None:
    stream = asked(events).stream
    outcome = follow(stream, [e.OwnerChanged()], LATER_MS)
    assert (kinds(outcome), gate(outcome.stream)) == ([command], (gated, True))
    again = follow(outcome.stream, [GATE_SET], LATER_MS)
    assert kinds(again) == ([] if leg_of(stream).asked else ["SendAsked"])


def test_takeover_while_paused_stays_so() -> None:
    outcome = follow(paused(), [e.OwnerChanged()], LATER_MS)
    assert (kinds(outcome), outcome.stream.state) == (["AnswerFork"], S.RECORDING)
    outcome = follow(outcome.stream, [GATE_SET], LATER_MS)
    assert (kinds(outcome), outcome.stream.state) == ([], S.PAUSED)


def test_takeover_while_connecting_and_paused_stays_cut_off() -> None:
    stream = follow(stream_in(S.CONNECTING), [PAUSE, e.OwnerChanged()], LATER_MS).stream
    assert gate(stream) == (ALL, True)
    assert stream.deadline_ms == LATER_MS + CONNECT_MS
    assert kinds(follow(stream, [GATE_SET], LATER_MS)) == ["SendAsked"]


def test_reinvite_whose_answer_is_lost_with_its_owner_is_sent_again() -> None:
    stream = follow(asked().stream, [e.OwnerChanged(), GATE_SET], LATER_MS).stream
    assert stream.deadline_ms == LATER_MS + ASK_MS
    outcome = follow(stream, [e.DeadlinePassed()], LATER_MS + ASK_MS)
    assert (kinds(outcome), leg_of(outcome.stream).cseq) == (["SendAsked"], 3)
    assert leg_of(outcome.stream).is_doubtful


def test_pause_lost_with_its_owner_and_taken_back_is_told_as_well() -> None:
    stream = follow(asked().stream, [e.OwnerChanged(), GATE_SET, RESUME], LATER_MS).stream
    outcome = follow(stream, [e.DeadlinePassed()], LATER_MS + ASK_MS)
    assert (kinds(outcome), gate(outcome.stream)) == (["SendAsked"], (ALL, False))


def test_srs_is_asked_whether_it_knows_the_dialog_while_paused_too() -> None:
    stream = paused(CHECKED)
    assert stream.deadline_ms == leg_of(stream).options_ms == CHECK_MS
    outcome = follow(stream, [e.DeadlinePassed()], CHECK_MS)
    assert kinds(outcome) == ["SendOptions"]
    assert leg_of(outcome.stream).options_ms == CHECK_MS + CHECKED.check_ms
    assert outcome.stream.deadline_ms == CHECK_MS + QUESTION_MS
    known = follow(outcome.stream, [KNOWN], CHECK_MS).stream
    assert known.deadline_ms == CHECK_MS + CHECKED.check_ms


def test_srs_is_not_asked_while_a_reinvite_is_open() -> None:
    stream = asked(plan=replace(CHECKED, answer_ms=60_000)).stream
    outcome = follow(stream, [e.DeadlinePassed()], CHECK_MS)
    assert (kinds(outcome), leg_of(outcome.stream).cseq) == ([], leg_of(stream).cseq)
    assert leg_of(outcome.stream).asked is not None
    assert leg_of(outcome.stream).options_ms == CHECK_MS + CHECKED.check_ms


def test_srs_is_not_asked_again_while_a_question_is_open() -> None:
    plan = replace(PLAN, check_ms=QUESTION_MS - 1_000)
    stream = follow(stream_in(S.RECORDING, plan), [e.DeadlinePassed()], LATER_MS).stream
    outcome = follow(stream, [e.DeadlinePassed()], LATER_MS + plan.check_ms)
    assert kinds(outcome) == []
    outcome = follow(outcome.stream, [e.DeadlinePassed()], LATER_MS + 2 * plan.check_ms)
    assert kinds(outcome) == ["SendOptions"]


@pytest.mark.parametrize(("over", "at_ms"), [(SILENT, CHECK_MS), (e.DeadlinePassed(), OVER_MS)])
def test_nothing_is_told_while_a_question_is_open(over: e.Event, at_ms: int) -> None:
    stream = follow(stream_in(S.RECORDING, CHECKED), [e.DeadlinePassed()], CHECK_MS).stream
    outcome = follow(stream, [PAUSE, GATE_SET], CHECK_MS)
    assert ("SendAsked" in kinds(outcome), outcome.stream.state) == (False, S.PAUSED)
    outcome = follow(outcome.stream, [over], at_ms)
    assert (kinds(outcome), leg_of(outcome.stream).cseq) == (["SendAsked"], 3)


def test_question_that_is_due_with_a_request_is_not_asked() -> None:
    stream = stream_in(S.RECORDING, replace(CHECKED, session_s=2 * CHECKED.check_ms // 1000))
    outcome = follow(stream, [e.DeadlinePassed()], CHECK_MS)
    assert kinds(outcome) == ["SendAsked"]


def test_request_that_was_overtaken_is_not_sent() -> None:
    stream = asked().stream
    leg = leg_of(stream)
    assert leg.asked is not None
    command = e.SendAsked(cseq=leg.asked.cseq)
    assert request_of(replace(leg, cseq=leg.cseq + 5), command) == leg
    assert request_of(leg, e.SendAsked(cseq=leg.asked.cseq - 1)) is None
    assert request_of(leg, e.SendOptions(cseq=leg.asked.cseq)) is None
    stopped = follow(stream, [e.Stopped()], LATER_MS).stream
    assert request_of(leg_of(stopped), command) is None


def test_history_tells_who_was_paused_and_resumed() -> None:
    stream = asked([PAUSE_CALLER, GATE_SET, RESUME]).stream
    told = [(m.event, m.detail) for m in stream.history if m.event in ("Paused", "Resumed")]
    assert told == [("Paused", "caller"), ("Resumed", "caller, callee")]


def test_pause_of_what_has_ended_changes_nothing() -> None:
    for state in (S.STOPPED, S.FAILED):
        ended = stream_in(state)
        assert follow(ended, [PAUSE], LATER_MS) == (ended, ())


def test_plan_tells_how_long_an_answer_is_waited_for() -> None:
    plan = Plan(srs=(SRS_URI,), answer_ms=2_000)
    leg: Leg = leg_of(asked(plan=plan).stream)
    assert leg.deadline_ms == LATER_MS + 2_000 + ASK_GRACE_MS
