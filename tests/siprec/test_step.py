"""Whatever happens, in whatever order: streams stay legal, end, and leave nothing behind."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siprec import events as e
from siprec import transitions
from siprec.model import Stream, StreamState
from siprec.step import HISTORY, IllegalTransition, step
from siprec.transitions import TABLE, Outcome, Transition
from tests.siprec.model_world import ModelWorld
from tests.siprec.streams import (
    FORK_OFFERED,
    NOW_MS,
    answer_sdp,
    answered,
    follow,
    refused,
    stream_in,
)

# For each kind of event, what it may carry.
SAMPLES: dict[type[e.Event], tuple[e.Event, ...]] = {
    e.ForkOffered: (FORK_OFFERED,),
    e.ForkRefused: (e.ForkRefused(text="a"), e.ForkRefused(text="a", retryable=True)),
    e.ForkAnswered: (e.ForkAnswered(),),
    e.ForkAnswerRefused: (e.ForkAnswerRefused(text="a"),),
    e.ForkReleased: (e.ForkReleased(),),
    e.ForkLost: (e.ForkLost(),),
    e.SrsAnswered: (answered(), answered(2), answered(sdp=None), answered(sdp="garbage")),
    e.SrsRefused: (refused(486), refused(302, contact="sip:b"), refused(401, attempt=2)),
    e.SrsUnreachable: tuple(e.SrsUnreachable(attempt=n, text="a") for n in (1, 2)),
    e.SrsReanswered: tuple(e.SrsReanswered(sdp=sdp) for sdp in (answer_sdp(1, 2), "garbage")),
    e.SrsHungUp: (e.SrsHungUp(), e.SrsHungUp(reason="SIP;cause=503")),
    e.SrsByeAnswered: tuple(e.SrsByeAnswered(attempt=n, status=200) for n in (1, 2)),
    e.Stopped: (e.Stopped(),),
    e.CallOver: (e.CallOver(reason="bye"),),
    e.CallReoffered: (e.CallReoffered(),),
    e.DeadlinePassed: (e.DeadlinePassed(),),
    e.OwnerChanged: (e.OwnerChanged(),),
}
ANY_EVENT = st.sampled_from([event for events in SAMPLES.values() for event in events])
SILENT = (StreamState.RECORDING, StreamState.STOPPED, StreamState.FAILED)


def is_sound(stream: Stream) -> bool:
    """Tell whether a stream that waits has a deadline, and one that ended tells when."""
    waits = stream.state not in SILENT
    return (stream.deadline_ms is not None) == waits and (
        (stream.ended_ms is not None) == stream.state.is_final
    )


def test_table_has_a_row_for_every_state_and_a_cell_for_every_event() -> None:
    assert set(TABLE) == set(StreamState)
    assert set(SAMPLES) == set(e.Event.__args__)
    assert all(set(row) == set(SAMPLES) for row in TABLE.values())


@pytest.mark.parametrize("event", [each for every in SAMPLES.values() for each in every], ids=repr)
@pytest.mark.parametrize("state", StreamState)
def test_step_with_any_event_in_any_state_leads_where_the_table_says(
    state: StreamState, event: e.Event
) -> None:
    stream = stream_in(state)
    after, _ = step(stream, event, NOW_MS + 1)
    assert after.state in (state, *TABLE[state][type(event)].to)
    assert is_sound(after)


@pytest.mark.parametrize("state", [StreamState.STOPPED, StreamState.FAILED])
def test_step_in_a_final_state_changes_nothing(state: StreamState) -> None:
    stream = stream_in(state)
    for event in (each for every in SAMPLES.values() for each in every):
        after, commands = step(stream, event, NOW_MS + 1)
        assert after.state is state
        assert all(isinstance(command, e.DropLateAnswer) for command in commands)


def test_every_target_in_the_table_is_reached_by_some_events() -> None:
    promised = {(s, kind, to) for s, row in TABLE.items() for kind, t in row.items() for to in t.to}
    seen = set()
    todo, known = [stream_in(StreamState.FORKING)], set()
    while todo:
        stream = todo.pop()
        leg = stream.leg
        shape = (stream.state, leg.attempt, leg.forks, leg.bye_done, leg.fork_done, leg.redirects)
        if (*shape, stream.error_code) in known or max(leg.attempt, leg.forks) > 4:
            continue
        known.add((*shape, stream.error_code))
        for event in (each for every in SAMPLES.values() for each in every):
            after = step(stream, event, NOW_MS).stream
            seen.add((stream.state, type(event), after.state))
            todo.append(after)
    assert not promised - seen


@given(st.lists(ANY_EVENT, max_size=30))
def test_any_sequence_of_events_keeps_the_stream_sound_and_comes_to_an_end(
    events: list[e.Event],
) -> None:
    stream = stream_in(StreamState.FORKING)
    for event in events:
        stream = step(stream, event, NOW_MS).stream
        assert is_sound(stream)
        assert len(stream.history) <= HISTORY
    stream = step(stream, e.Stopped(), NOW_MS).stream
    stream = follow(stream, [e.DeadlinePassed()] * 2).stream
    assert stream.state.is_final


@given(st.lists(ANY_EVENT, max_size=30))
def test_deadlines_alone_end_every_stream_that_does_not_record(events: list[e.Event]) -> None:
    stream = follow(stream_in(StreamState.FORKING), events).stream
    for _ in range(2 * transitions.FORK_TRIES):
        stream = step(stream, e.DeadlinePassed(), NOW_MS).stream
    assert stream.state.is_final or stream.state is StreamState.RECORDING


@settings(max_examples=1_000, deadline=None)
@given(st.data())
def test_nothing_is_left_behind_whatever_peers_and_owners_do(data: st.DataObject) -> None:
    world = ModelWorld(lambda what, n: data.draw(st.integers(0, n - 1), label=what))
    moves: dict[str, Callable[[], None]] = {
        "reply": world.reply,
        "hang up": world.srs_hangs_up,
        "deadline": world.pass_deadline,
        "takeover": world.take_over,
        "send again": world.send_again,
        "crash": lambda: world.crash(e.CallReoffered()),
        "crash at a deadline": lambda: world.crash(e.DeadlinePassed()),
        "crash at a stop": lambda: world.crash(e.Stopped()),
        "stop": lambda: world.happen(e.Stopped()),
        "reoffer": lambda: world.happen(e.CallReoffered()),
        "lost": lambda: world.happen(e.ForkLost()),
    }
    names = ["reply", "reply", *moves]
    for name in data.draw(st.lists(st.sampled_from(names), max_size=20), label="moves"):
        moves[name]()
        assert is_sound(world.stream)
    world.come_to_an_end()
    assert world.stream.state.is_final
    assert not world.forks
    assert not world.dialogs


def test_step_that_changes_nothing_remembers_nothing() -> None:
    stream = stream_in(StreamState.RECORDING)
    assert step(stream, e.ForkReleased(), NOW_MS) == Outcome(stream)


def test_step_remembers_the_last_moments_only() -> None:
    stream = follow(stream_in(StreamState.RECORDING), [e.CallReoffered()] * 2 * HISTORY).stream
    assert len(stream.history) == HISTORY
    assert {moment.event for moment in stream.history} == {"CallReoffered"}


@pytest.mark.parametrize(
    ("state", "event", "detail"),
    [
        (StreamState.INVITING, refused(486), "486 No"),
        (StreamState.INVITING, e.SrsUnreachable(attempt=1, text="no name"), "no name"),
        (StreamState.INVITING, answered(), ""),
        (StreamState.FORKING, e.ForkRefused(text="no call"), "no call"),
        (StreamState.CONNECTING, e.ForkAnswerRefused(text="bad"), "bad"),
        (StreamState.RECORDING, e.SrsHungUp(reason="enough"), "enough"),
        (StreamState.RECORDING, e.CallOver(reason="bye"), "bye"),
        (StreamState.STOPPING, e.SrsByeAnswered(attempt=1, status=481), "481"),
    ],
)
def test_step_remembers_what_happened(state: StreamState, event: e.Event, detail: str) -> None:
    moment = step(stream_in(state), event, NOW_MS + 5).stream.history[-1]
    assert (moment.at_ms, moment.event, moment.detail) == (
        NOW_MS + 5,
        type(event).__name__,
        detail,
    )


def test_handler_that_breaks_the_table_raises_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = Transition(TABLE[StreamState.RECORDING][e.Stopped].handler, ())
    row = {**TABLE[StreamState.RECORDING], e.Stopped: broken}
    monkeypatch.setitem(TABLE, StreamState.RECORDING, row)
    with pytest.raises(IllegalTransition, match="Stopped led from recording to stopping"):
        step(stream_in(StreamState.RECORDING), e.Stopped(), NOW_MS)
