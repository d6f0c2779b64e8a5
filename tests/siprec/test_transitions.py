"""The table of a leg: complete, legal, reached, and without a way that never ends."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec import events as e
from siprec.connector import OnSecureCall
from siprec.leg_end import LegOutcome
from siprec.leg_setup import FORK_TRIES
from siprec.model import Leg, StreamState
from siprec.transitions import TABLE
from tests.siprec.leg_samples import ALL, ANY_LEG_EVENT, SAMPLES
from tests.siprec.streams import LATER_MS, PLAN, leg_follow, leg_in

S = StreamState
FINAL = (S.STOPPED, S.FAILED)
STRICT = replace(PLAN, has_digest=True, on_secure_call=OnSecureCall.REFUSE)


def is_sound(leg: Leg) -> bool:
    """Tell whether a leg that waits has a deadline, and one that ended tells when."""
    open_waits = (leg.asked, leg.question, leg.ack_until_ms, leg.retry_ms, leg.timer)
    is_asking = any(each is not None for each in open_waits)
    waits = leg.state not in (S.RECORDING, *FINAL) or (leg.state is S.RECORDING and is_asking)
    return (leg.deadline_ms is not None) == waits and (
        (leg.ended_ms is not None) == leg.state.is_final
    )


def leg_after(leg: Leg, event: e.LegEvent, muted: tuple[str, ...] = ()) -> LegOutcome:
    # Without checks nothing asks at a deadline while it records.
    if not isinstance(event, e.DeadlinePassed):
        return leg_follow(leg, [event], plan=STRICT, muted=muted)
    if leg.deadline_ms is None:
        return LegOutcome(leg)
    return leg_follow(leg, [event], max(LATER_MS, leg.deadline_ms), plan=STRICT, muted=muted)


def test_table_has_a_row_for_every_state_and_a_cell_for_every_event() -> None:
    # Of a stream only.
    assert set(TABLE) == set(StreamState) - {S.PAUSED}
    assert set(SAMPLES) == set(e.LegEvent.__args__)
    assert all(set(row) == set(SAMPLES) for row in TABLE.values())


@pytest.mark.parametrize("event", ALL, ids=repr)
@pytest.mark.parametrize("state", TABLE)
def test_any_event_in_any_state_leads_where_the_table_says(
    state: StreamState, event: e.LegEvent
) -> None:
    leg = leg_after(leg_in(state), event).leg
    assert leg.state in (state, *TABLE[state][type(event)].to)
    assert is_sound(leg)


@pytest.mark.parametrize("event", ALL, ids=repr)
@pytest.mark.parametrize("state", FINAL)
def test_event_in_a_final_state_changes_nothing(state: StreamState, event: e.LegEvent) -> None:
    leg, commands = leg_after(leg_in(state), event)
    assert leg == leg_in(state)
    assert all(isinstance(command, e.DropLateAnswer) for command in commands)


def test_every_target_in_the_table_is_reached_by_some_events() -> None:
    promised = {(s, kind, to) for s, row in TABLE.items() for kind, t in row.items() for to in t.to}
    seen = set()
    todo, known = [leg_in(S.FORKING)], set()
    while todo:
        leg = todo.pop()
        where = (leg.state, leg.attempt, leg.forks, leg.error_code, leg.redirect)
        ending = (leg.bye_done, leg.fork_done)
        asking = (leg.is_gating, leg.asked is None, min(leg.cseq, 3), leg.timer is None)
        if (where, ending, asking) in known or max(leg.attempt, leg.forks) > FORK_TRIES:
            continue
        known.add((where, ending, asking))
        for event in ALL:
            after = leg_after(leg, event, muted=("1",)).leg
            seen.add((leg.state, type(event), after.state))
            todo.append(after)
    assert not promised - seen


@given(st.lists(st.tuples(ANY_LEG_EVENT, st.sampled_from(((), ("1",), ("1", "2")))), max_size=30))
def test_any_sequence_of_events_keeps_the_leg_sound_and_comes_to_an_end(
    events: list[tuple[e.LegEvent, tuple[str, ...]]],
) -> None:
    leg = leg_in(S.FORKING)
    for event, muted in events:
        leg = leg_after(leg, event, muted).leg
        assert is_sound(leg)
    for event in (e.Stopped(), e.DeadlinePassed(), e.DeadlinePassed()):
        leg = leg_after(leg, event).leg
        assert is_sound(leg)
    assert leg.state.is_final


@given(st.lists(ANY_LEG_EVENT, max_size=30))
def test_deadlines_alone_end_every_leg_that_does_not_record(events: list[e.LegEvent]) -> None:
    leg = leg_in(S.FORKING)
    for event in (*events, *[e.DeadlinePassed()] * 2 * FORK_TRIES):
        leg = leg_after(leg, event).leg
    assert leg.state in (*FINAL, S.RECORDING)
