"""What is kept of a stream: its legs, its deadline, its history."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec import step as step_module
from siprec.leg_end import FLOW_FAILED
from siprec.leg_setup import FORK_MS
from siprec.model import Stream, StreamState
from siprec.step import ENDED_LEGS, HISTORY, STEADY_MS, IllegalTransition, Outcome, step
from siprec.transitions import TABLE, Transition
from tests.siprec.failovers import (
    FAILOVER,
    HUNG_UP,
    PARALLEL,
    RECORDS,
    recording,
)
from tests.siprec.streams import (
    FORK_OFFERED,
    LATER_MS,
    NOW_MS,
    answered,
    begun,
    commands_of,
    follow,
    on_leg,
    refused,
    stream_in,
)

S = StreamState


# What is kept


def test_event_of_a_forgotten_leg_changes_no_leg_and_hangs_up_its_late_answer() -> None:
    stream = recording()
    assert step(stream, e.LegHappened(leg=9, event=e.ForkReleased()), LATER_MS) == Outcome(stream)
    late = answered(leg=9)
    outcome = step(stream, e.LegHappened(leg=9, event=late), LATER_MS)
    assert outcome.commands == (e.ForLeg(leg=9, command=e.DropLateAnswer(answer=late)),)
    assert outcome.stream.legs == stream.legs


def recorded_by(stream: Stream, number: int) -> Stream:
    """Let a leg record for long enough that all others get a chance again, and fail."""
    at_ms = NOW_MS + number * STEADY_MS
    stream = follow(stream, on_leg(number, *RECORDS), at_ms).stream
    return follow(stream, on_leg(number, HUNG_UP, e.ForkReleased()), at_ms + STEADY_MS).stream


def test_legs_that_ended_are_forgotten_but_for_the_last() -> None:
    stream, number = begun(plan=FAILOVER).stream, 1
    for number in range(1, 2 * ENDED_LEGS):
        stream = recorded_by(stream, number)
    kept = [leg.number for leg in stream.legs]
    assert kept == list(range(number - ENDED_LEGS, number + 2))


def test_leg_that_has_not_ended_is_not_forgotten() -> None:
    stream = follow(begun(plan=FAILOVER).stream, [*RECORDS, HUNG_UP]).stream
    for number in range(2, 2 * ENDED_LEGS):
        stream = recorded_by(stream, number)
    assert stream.leg(1) is not None
    assert stream.legs[0].state is S.STOPPING


def test_step_that_changes_nothing_remembers_nothing() -> None:
    stream = recording()
    assert follow(stream, [e.ForkReleased()]) == Outcome(stream)


def test_deadline_concerns_only_the_legs_whose_it_is() -> None:
    stream = follow(begun(plan=PARALLEL).stream, on_leg(2, FORK_OFFERED), NOW_MS).stream
    outcome = step(stream, e.DeadlinePassed(), NOW_MS + FORK_MS)
    forks = [leg.forks for leg in outcome.stream.legs]
    assert (forks, outcome.stream.legs[1]) == ([2, 1, 2], stream.legs[1])
    assert step(stream, e.DeadlinePassed(), NOW_MS) == Outcome(stream)


def test_deadline_of_a_stream_is_the_first_of_its_legs_and_of_the_calls_end() -> None:
    stream = begun(plan=replace(PARALLEL, end_call_ms=1_000)).stream
    assert stream.deadline_ms == NOW_MS + 1_000
    calm = follow(begun(plan=PARALLEL).stream, on_leg(2, FORK_OFFERED)).stream
    assert calm.deadline_ms == NOW_MS + FORK_MS


def test_step_remembers_the_last_moments_only() -> None:
    stream = follow(recording(), [e.CallReoffered()] * 2 * HISTORY).stream
    assert len(stream.history) == HISTORY
    assert {moment.event for moment in stream.history} == {"CallReoffered"}


def test_questions_to_the_srs_are_not_remembered_while_they_lead_nowhere() -> None:
    plan = replace(FAILOVER, check_ms=30_000)
    before = recording(plan)
    asked = step(before, e.DeadlinePassed(), NOW_MS + 30_000)
    assert commands_of(asked) == [e.SendOptions(cseq=2)]
    assert asked.stream.history == before.history
    gone = follow(asked.stream, [e.SrsOptionsAnswered(attempt=1, status=481)], LATER_MS).stream
    last = [moment for moment in gone.history if moment.leg == 1][-1]
    assert (last.event, last.detail) == ("SrsOptionsAnswered", "481")


def test_history_has_a_line_for_each_leg_that_moved() -> None:
    stream = follow(recording(), [HUNG_UP], LATER_MS).stream
    lines = [(m.at_ms, m.event, m.leg, m.state, m.detail) for m in stream.history[-2:]]
    assert lines == [
        (LATER_MS, "SrsHungUp", 1, S.STOPPING, "SIP;cause=503"),
        (LATER_MS, "Started", 2, S.FORKING, ""),
    ]


@pytest.mark.parametrize(
    ("state", "event", "detail"),
    [
        (S.INVITING, refused(486), "486 No"),
        (S.INVITING, refused(FLOW_FAILED), "430 No"),
        (S.INVITING, replace(refused(408), reason="no answer", is_timeout=True), "no answer"),
        (S.INVITING, e.SrsUnreachable(attempt=1, text="no name"), "no name"),
        (S.INVITING, answered(), ""),
        (S.FORKING, e.ForkRefused(text="no call"), "no call"),
        (S.CONNECTING, e.ForkAnswerRefused(text="bad"), "bad"),
        (S.RECORDING, e.SrsHungUp(reason="enough"), "enough"),
        (S.RECORDING, e.SrsDied(text="no RTCP", since_ms=NOW_MS), "no RTCP"),
        (S.RECORDING, e.CallOver(reason="bye"), "bye"),
        (S.STOPPING, e.SrsByeAnswered(attempt=1, status=481), "481"),
    ],
)
def test_step_remembers_what_happened(state: StreamState, event: e.LegEvent, detail: str) -> None:
    stream = follow(stream_in(state), [event], NOW_MS + 5).stream
    moment = [each for each in stream.history if each.leg == 1][-1]
    assert (moment.at_ms, moment.event, moment.detail) == (NOW_MS + 5, type(event).__name__, detail)


def test_handler_that_breaks_the_table_raises_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = Transition(TABLE[S.RECORDING][e.Stopped].handler, ())
    row = {**TABLE[S.RECORDING], e.Stopped: broken}
    monkeypatch.setattr(step_module, "TABLE", {**TABLE, S.RECORDING: row})
    with pytest.raises(IllegalTransition, match="leg 1: Stopped led from recording to stopping"):
        step(recording(), e.Stopped(), NOW_MS)
