"""Calls that must be recorded: when a stream ends its call, and when it does not."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec.leg_setup import FORK_MS
from siprec.step import Outcome, step
from tests.siprec.failovers import (
    FAILOVER,
    HUNG_UP,
    PARALLEL,
    RECORDS,
    REFUSED,
    REQUIRED,
    A,
    B,
    C,
    recording,
    tried,
)
from tests.siprec.streams import (
    FORK_OFFERED,
    LATER_MS,
    NOW_MS,
    begun,
    follow,
    on_leg,
)

# Calls that must be recorded


def end_call(outcome: Outcome) -> list[str]:
    return [command.text for command in outcome.commands if isinstance(command, e.EndCall)]


def test_required_call_ends_when_nobody_recorded_it_in_time() -> None:
    stream = begun(plan=REQUIRED).stream
    assert stream.deadline_ms == NOW_MS + FORK_MS
    stream = follow(stream, [FORK_OFFERED]).stream
    due_ms = NOW_MS + 20_000
    stream = replace(stream, plan=replace(stream.plan, answer_ms=25_000))
    assert not end_call(step(stream, e.DeadlinePassed(), due_ms - 1))
    outcome = step(stream, e.DeadlinePassed(), due_ms)
    assert end_call(outcome) == ["the connector Default requires a recording: nobody records it"]
    assert not end_call(step(outcome.stream, e.DeadlinePassed(), due_ms + 1))


def test_required_call_waits_for_the_end_of_its_grace_and_not_longer() -> None:
    stream = follow(recording(REQUIRED), [HUNG_UP, e.ForkReleased()], LATER_MS).stream
    assert stream.unrecorded_ms == LATER_MS
    due_ms = LATER_MS + 20_000
    late = follow(stream, on_leg(2, FORK_OFFERED), due_ms - 5_000).stream
    assert late.deadline_ms == due_ms
    assert end_call(step(late, e.DeadlinePassed(), due_ms))


def test_required_call_ends_at_once_when_nothing_is_tried_any_more() -> None:
    outcome = tried(REQUIRED, REFUSED)
    why = f"the SRS {C} answered 503 No"
    assert end_call(outcome) == [f"the connector Default requires a recording: {why}"]
    assert outcome.stream.unrecorded_ms is None


def test_required_parallel_call_ends_at_once_when_its_last_leg_fails() -> None:
    plan = replace(PARALLEL, srs=(A, B), end_call_ms=20_000)
    stream = follow(begun(plan=plan).stream, [*RECORDS, HUNG_UP], LATER_MS).stream
    assert end_call(follow(stream, on_leg(2, *REFUSED), LATER_MS))


def test_required_call_goes_on_when_it_is_recorded_again() -> None:
    stream = follow(recording(REQUIRED), [HUNG_UP], LATER_MS).stream
    stream = follow(stream, on_leg(2, *RECORDS), LATER_MS + 19_000).stream
    assert stream.unrecorded_ms is None
    assert not end_call(step(stream, e.DeadlinePassed(), LATER_MS + 20_000))


@pytest.mark.parametrize("event", [e.Stopped(), e.CallOver(reason="bye")])
def test_required_call_goes_on_after_a_stop(event: e.Event) -> None:
    stream = follow(recording(REQUIRED), [HUNG_UP, event], LATER_MS).stream
    assert not end_call(step(stream, e.DeadlinePassed(), LATER_MS + 20_000))


def test_call_that_need_not_be_recorded_goes_on() -> None:
    assert not end_call(tried(FAILOVER, REFUSED))
