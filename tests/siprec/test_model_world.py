"""Whatever peers and owners do: streams stay sound, end, and leave nothing behind."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siprec import events as e
from siprec.connector import MetadataBy, OnHold
from siprec.leg_gate import labels_of
from siprec.leg_growth import fit
from siprec.model import Leg, Picture, Plan, Stream, StreamState, Track
from siprec.step import HISTORY, RUNNING, step
from tests.siprec.leg_samples import ANY_EVENT
from tests.siprec.model_srs import dialog_of
from tests.siprec.model_world import ModelWorld
from tests.siprec.streams import NOW_MS, begun

S = StreamState
BOTH = Track.BOTH.sides
NEWS = e.Pictured(picture=Picture(revision=9))
SRSS = ("sip:a.example", "sip:b.example", "sips:c.example")
PLANS = st.builds(
    Plan,
    srs=st.integers(0, 3).map(lambda n: SRSS[:n]),
    is_parallel=st.booleans(),
    total_ms=st.sampled_from((5_000, 30_000)),
    check_ms=st.sampled_from((0, 30_000)),
    has_digest=st.booleans(),
    end_call_ms=st.sampled_from((None, 1_000, 20_000)),
    hold=st.sampled_from(OnHold),
    metadata_by=st.sampled_from(MetadataBy),
    session_s=st.sampled_from((0, 600)),
    video=st.booleans(),
)
SEVERAL = st.builds(replace, PLANS, srs=st.integers(2, 3).map(lambda n: SRSS[:n]))


def records(leg: Leg) -> bool:
    """Tell whether media flows; while the SRS moves it, it still does."""
    return leg.recording_ms is not None and leg.state in (S.RECORDING, S.CONNECTING)


def check_leg(leg: Leg, plan: Plan) -> None:
    if leg.state is S.RECORDING:
        waits = (leg.asked, leg.question, leg.ack_until_ms, leg.retry_ms, leg.options_ms)
        dues = (*waits, leg.timer and leg.timer.expires_ms)
        if any(due is not None for due in dues):
            assert leg.deadline_ms is not None
        assert (leg.options_ms is not None) == (plan.check_ms > 0)
    else:
        assert (leg.deadline_ms is not None) == (not leg.state.is_final)
    assert (leg.ended_ms is not None) == leg.state.is_final
    assert (leg.error_code is not None) == (leg.error_text is not None)
    assert leg.error_code is None or leg.state in (S.STOPPING, S.FAILED)


def check(stream: Stream) -> None:
    """Check what must hold after every event."""
    for leg in stream.legs:
        check_leg(leg, stream.plan)
    running = [leg for leg in stream.legs if leg.state in RUNNING]
    assert (stream.ended_ms is not None) == stream.state.is_final
    assert stream.state.is_final == all(leg.state.is_final for leg in stream.legs)
    assert len(stream.history) <= HISTORY
    # Nothing ends but by a stop or an error, and what ends does not begin again.
    assert bool(running) == (not stream.is_stopped and stream.error_code is None)
    # One SRS at a time, or each of them once.
    assert len(running) <= (len(stream.plan.srs) if stream.plan.is_parallel else 1)
    assert len({leg.srs for leg in running}) == len(running)
    # No SRS is tried for ever: the one that recorded gets a second chance, the others none.
    counts = sorted(Counter(stream.tried).values())
    assert not counts or (counts[-1] <= 2 and counts[:-1] == [1] * (len(counts) - 1))
    assert all(leg.began_ms < leg.give_up_ms for leg in stream.legs)
    # That nobody records is known, from the moment on.
    is_recorded = any(records(leg) for leg in stream.legs)
    if running:
        assert (stream.unrecorded_ms is None) == is_recorded
        assert (stream.lost_ms is None) == (is_recorded or stream.recording_ms is None)
    if stream.deadline_ms is None:
        assert all(leg.deadline_ms is None for leg in stream.legs)
    elif not stream.state.is_final:
        assert all((leg.deadline_ms or stream.deadline_ms) >= stream.deadline_ms for leg in running)


def paused_labels(leg: Leg, stream: Stream) -> set[str]:
    """Give the labels of the m-lines of a leg that somebody paused."""
    paused = {label for side in stream.paused for label in (side.label, side.video_label)}
    return paused & {*labels_of(leg)}


def check_media(world: ModelWorld) -> None:
    """Check that nothing reaches an SRS that should not: what we say of it is so."""
    flowing = world.flowing
    for leg in world.stream.legs:
        flows = flowing.get(leg.fork_tag, frozenset())
        if leg.state in (S.CONNECTING, S.RECORDING):
            assert paused_labels(leg, world.stream) <= set(leg.gated)
            assert leg.is_gating or not flows & set(leg.gated)
        # Whatever is wished: what the SRS was told to be silent is so.
        assert not flows & world.srs.silent.get(dialog_of(leg), set())
    if world.stream.state is S.PAUSED:
        assert not any(flowing.values())
    ended = {leg.fork_tag for leg in world.stream.legs if leg.state not in RUNNING}
    assert not ended & set(flowing)


def moves_of(world: ModelWorld) -> dict[str, Callable[[], None]]:
    return {
        "reply": world.reply,
        "reply too": world.reply,
        "and a reply": world.reply,
        "hang up": world.srs_hangs_up,
        "dead": world.srs_seems_dead,
        "lost": world.lose_fork,
        "deadline": world.pass_deadline,
        "takeover": world.take_over,
        "send again": world.send_again,
        "crash": lambda: world.crash(e.CallReoffered()),
        "crash at a deadline": lambda: world.crash(e.DeadlinePassed()),
        "crash at a stop": lambda: world.crash(e.Stopped()),
        "reoffer": lambda: world.happen(e.CallReoffered()),
        "re-INVITE of the SRS": world.srs_reinvites,
        "snapshot asked for": world.srs_asks,
        "change of the call": world.call_changes,
        "another change of the call": world.call_changes,
        "pause": lambda: world.happen(e.Paused(sides=BOTH)),
        "pause one": lambda: world.happen(e.Paused(sides=BOTH[:1])),
        "resume": lambda: world.happen(e.Resumed(sides=BOTH)),
        "resume one": lambda: world.happen(e.Resumed(sides=BOTH[1:])),
        "crash at a pause": lambda: world.crash(e.Paused(sides=BOTH)),
        "crash at a resume": lambda: world.crash(e.Resumed(sides=BOTH)),
        "changes in one turn": lambda: world.happen_in_one_turn(
            e.Resumed(sides=BOTH), e.DeadlinePassed(), e.CallReoffered(), e.Paused(sides=BOTH)
        ),
        "resume and stop in one turn": lambda: world.happen_in_one_turn(
            e.Resumed(sides=BOTH),
            e.DeadlinePassed(),
            NEWS,
            e.Stopped(),
        ),
        "stop": lambda: world.happen(e.Stopped()),
    }


MOVES = sorted(moves_of(ModelWorld(lambda what, n: 0)))


def live(data: st.DataObject, plan: Plan, names: list[str]) -> ModelWorld:
    """Let a stream live as hypothesis likes; check it at every move.

    It begins with some replies that are the best, so that many streams come to record.
    """
    is_easy = True

    def choose(what: str, n: int) -> int:
        return 0 if is_easy else data.draw(st.integers(0, n - 1), label=what)

    world = ModelWorld(choose, plan)
    check(world.stream)
    for _ in range(data.draw(st.sampled_from((3, *range(10))), label="easy replies")):
        world.reply()
        check(world.stream)
    is_easy = False
    moves = moves_of(world)
    for name in data.draw(st.lists(st.sampled_from(names), max_size=40), label="moves"):
        moves[name]()
        check(world.stream)
        check_media(world)
    return world


@settings(max_examples=1_000, deadline=None)
@given(st.data(), PLANS)
def test_nothing_is_left_behind_whatever_peers_and_owners_do(
    data: st.DataObject, plan: Plan
) -> None:
    world = live(data, plan, MOVES)
    world.come_to_an_end()
    check(world.stream)
    assert world.stream.state.is_final
    assert not world.rtpengine.forks
    assert not any(world.flowing.values())
    assert not world.srs.dialogs


@settings(max_examples=500, deadline=None)
@given(st.data(), SEVERAL)
def test_stream_that_nobody_stops_records_or_fails_in_the_end(
    data: st.DataObject, plan: Plan
) -> None:
    world = live(data, plan, [name for name in MOVES if "stop" not in name])
    world.wait_until_settled()
    check(world.stream)
    states = {leg.state for leg in world.stream.legs}
    assert S.RECORDING in states or not states.intersection(RUNNING)


@settings(max_examples=500, deadline=None)
@given(st.data(), PLANS)
def test_call_is_ended_once_and_only_where_it_must_be_recorded(
    data: st.DataObject, plan: Plan
) -> None:
    world = live(data, plan, [name for name in MOVES if "stop" not in name])
    world.wait_until_settled()
    must_end = plan.end_call_ms is not None and world.stream.error_code is not None
    if must_end:
        assert world.calls_ended == 1
    assert world.calls_ended <= (0 if plan.end_call_ms is None else 1)


@settings(max_examples=2_000, deadline=None)
@given(st.data(), SEVERAL, st.booleans())
def test_stream_comes_to_what_was_wished_last(
    data: st.DataObject, plan: Plan, is_about_pauses: bool
) -> None:
    about = (
        *("reply", "pause", "resume", "crash", "takeover", "deadline", "re-INVITE", "reoffer"),
        *("change", "asked"),
    )
    without_stop = [name for name in MOVES if "stop" not in name]
    about_pauses = [name for name in without_stop if any(word in name for word in about)]
    world = live(data, plan, about_pauses if is_about_pauses else without_stop)
    world.come_to_rest()
    check(world.stream)
    check_media(world)
    for leg in world.stream.legs:
        if leg.state is not S.RECORDING:
            continue
        picture = fit(leg, world.stream.picture)
        paused = paused_labels(leg, world.stream)
        if plan.hold is OnHold.INACTIVE:
            paused |= {*picture.quiet}
        assert not leg.next_fork
        if leg.untold is None:
            assert leg.told == picture
            if world.srs.has(leg):
                assert world.srs.knows[dialog_of(leg)] == picture
        assert (leg.asked, leg.retry_ms, leg.is_gating) == (None, None, False)
        flows = world.flowing.get(leg.fork_tag, frozenset())
        assert not flows & paused
        if leg.refused is None:
            assert (set(leg.gated), leg.is_doubtful) == (paused, False)
            assert {*leg.muted} & {*labels_of(leg)} == paused


@settings(deadline=None)
@given(st.lists(ANY_EVENT, max_size=40), PLANS)
def test_any_sequence_of_events_keeps_the_stream_sound_and_comes_to_an_end(
    events: list[e.Event], plan: Plan
) -> None:
    stream, now_ms = begun(plan=plan).stream, NOW_MS
    for event in (*events, e.Stopped(), e.DeadlinePassed(), e.DeadlinePassed()):
        if isinstance(event, e.DeadlinePassed):
            due = [leg.deadline_ms for leg in stream.legs if leg.deadline_ms is not None]
            now_ms = max([now_ms, *due])
        stream = step(stream, event, now_ms).stream
        for leg in stream.legs:
            check_leg(leg, plan)
    assert stream.state.is_final


@pytest.mark.parametrize("name", MOVES)
def test_world_of_well_behaved_peers_records_and_ends(name: str) -> None:
    world = ModelWorld(lambda what, n: 0, Plan(srs=SRSS[:1]))
    moves_of(world)[name]()
    world.come_to_an_end()
    assert world.stream.state.is_final
    assert (world.rtpengine.forks, world.srs.dialogs) == (set(), set())
