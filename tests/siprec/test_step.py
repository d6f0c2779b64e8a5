"""A stream and its legs: who takes over, what is told of it, when the call ends."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec.alerts import AlertLevel
from siprec.leg_end import UNREACHABLE
from siprec.leg_setup import FORK_MS, NO_MEDIA
from siprec.model import Plan, StreamState
from siprec.step import STEADY_MS, step
from tests.siprec.failovers import (
    FAILOVER,
    HUNG_UP,
    PARALLEL,
    RECORDS,
    REFUSED,
    A,
    B,
    C,
    recording,
    srs_of,
    tried,
)
from tests.siprec.streams import (
    FORK_OFFERED,
    LATER_MS,
    NOW_MS,
    PATHS,
    alerts,
    answer_sdp,
    answered,
    begun,
    follow,
    kinds,
    on_leg,
    refused,
)

S = StreamState


# Beginning


def test_begin_starts_with_the_best_srs_only() -> None:
    stream, commands = begun(plan=FAILOVER)
    assert srs_of(stream) == [(A, S.FORKING)]
    assert commands == (e.ForLeg(leg=1, command=e.RequestFork()),)
    assert (stream.state, stream.deadline_ms) == (S.FORKING, NOW_MS + FORK_MS)
    assert [(m.event, m.leg, m.state) for m in stream.history] == [("Started", 1, S.FORKING)]
    assert stream.unrecorded_ms == NOW_MS


def test_begin_of_a_parallel_stream_starts_with_all() -> None:
    stream, commands = begun(plan=PARALLEL)
    assert srs_of(stream) == [(A, S.FORKING), (B, S.FORKING), (C, S.FORKING)]
    assert commands == tuple(e.ForLeg(leg=n, command=e.RequestFork()) for n in (1, 2, 3))
    assert [moment.leg for moment in stream.history] == [1, 2, 3]


@pytest.mark.parametrize("end_call_ms", [None, 20_000])
def test_begin_without_any_srs_fails_at_once_and_ends_a_call_that_needs_one(
    end_call_ms: int | None,
) -> None:
    outcome = begun(plan=Plan(end_call_ms=end_call_ms))
    stream = outcome.stream
    assert (stream.state, stream.ended_ms, stream.deadline_ms) == (S.FAILED, NOW_MS, None)
    assert stream.error_code == UNREACHABLE
    assert "no SRS of the connector" in alerts(outcome)[0].text
    assert kinds(outcome) == ["RaiseAlert"] + (["EndCall"] if end_call_ms else [])
    assert [(m.leg, m.state) for m in stream.history] == [(0, S.FAILED)]


# Failover


def test_failover_goes_through_the_srss_in_their_order_and_then_fails() -> None:
    outcome = tried(FAILOVER, REFUSED)
    stream = outcome.stream
    assert [leg.srs for leg in stream.legs] == [A, B, C]
    assert (stream.error_code, stream.error_text) == (
        UNREACHABLE,
        f"the SRS {C} answered 503 No",
    )
    assert kinds(outcome) == ["ReleaseFork", "RaiseAlert"]
    (alert,) = alerts(outcome)
    assert (alert.srs, alert.sip_status, alert.sip_reason) == (C, 503, "No")
    over = follow(stream, [each for n in (1, 2, 3) for each in on_leg(n, e.ForkReleased())])
    assert over.stream.state is S.FAILED


def test_failover_leaves_the_failed_leg_to_end_by_itself() -> None:
    outcome = follow(begun(plan=FAILOVER).stream, REFUSED)
    assert kinds(outcome) == ["ReleaseFork", "RaiseAlert", "RequestFork"]
    assert [c.leg for c in outcome.commands if isinstance(c, e.ForLeg)] == [1, 2]
    stream = outcome.stream
    assert srs_of(stream) == [(A, S.STOPPING), (B, S.FORKING)]
    assert (stream.state, stream.error_code, stream.tried) == (S.FORKING, None, (A,))
    assert srs_of(follow(stream, [e.ForkReleased()]).stream) == [(A, S.FAILED), (B, S.FORKING)]


def test_failover_that_records_for_long_enough_forgets_what_failed_before() -> None:
    stream = follow(begun(plan=FAILOVER).stream, [*REFUSED, *on_leg(2, *RECORDS)]).stream
    assert (stream.state, stream.recording_ms, stream.tried) == (S.RECORDING, NOW_MS, (A,))
    assert (stream.gap_ms, stream.lost_ms, stream.unrecorded_ms) == (0, None, None)
    early = follow(stream, on_leg(2, HUNG_UP), NOW_MS + STEADY_MS - 1).stream
    assert (early.tried, early.legs[-1].srs) == ((A, B), C)
    late = follow(stream, on_leg(2, HUNG_UP), NOW_MS + STEADY_MS).stream
    assert (late.tried, late.legs[-1].srs) == ((B,), A)


def test_srs_that_take_each_session_and_hang_up_at_once_are_not_called_for_ever() -> None:
    stream = begun(plan=FAILOVER).stream
    for number in range(1, 5):
        assert stream.state is S.FORKING
        stream = follow(stream, on_leg(number, *RECORDS, HUNG_UP, e.ForkReleased())).stream
    assert [leg.srs for leg in stream.legs] == [A, B, C, A]
    assert (stream.state, stream.error_code) == (S.FAILED, UNREACHABLE)


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ((FORK_OFFERED, refused(486)), UNREACHABLE),
        ((FORK_OFFERED, refused(401)), 32106),
        ((FORK_OFFERED, e.SrsUnreachable(attempt=1, text="no name")), UNREACHABLE),
        ((FORK_OFFERED, e.SrsUnreachable(attempt=1, text="bad certificate", code=31942)), 31942),
        ((FORK_OFFERED, answered(sdp=None)), 32102),
        ((*PATHS[S.CONNECTING], e.ForkAnswerRefused(text="no")), 32102),
        ((e.ForkRefused(text="no such edge", code=31942),), 31942),
        ((*PATHS[S.CONNECTING], HUNG_UP), UNREACHABLE),
        ((*PATHS[S.CONNECTING], e.SrsDied(text="dead", since_ms=NOW_MS)), UNREACHABLE),
        ((*RECORDS, HUNG_UP), UNREACHABLE),
        ((*RECORDS, e.SrsDied(text="dead", since_ms=NOW_MS)), UNREACHABLE),
        ((*RECORDS, e.SrsOptionsAnswered(attempt=1, status=481)), UNREACHABLE),
        ((*RECORDS, e.SrsReanswered(sdp="nonsense")), 32102),
    ],
    ids=lambda value: type(value[-1]).__name__ if isinstance(value, tuple) else str(value),
)
def test_fault_of_one_srs_fails_over_to_the_next(events: tuple[e.LegEvent, ...], code: int) -> None:
    stream = follow(begun(plan=FAILOVER).stream, events).stream
    assert stream.legs[0].error_code == code
    assert srs_of(stream)[1:] == [(B, S.FORKING)]
    assert stream.error_code is None


@pytest.mark.parametrize(
    ("events", "code"),
    [
        *(((FORK_OFFERED, refused(status)), UNREACHABLE) for status in (400, 413, 414, 416, 603)),
        ((e.ForkRefused(text="no such call"),), NO_MEDIA),
        ((*RECORDS, e.ForkLost()), NO_MEDIA),
        ((*RECORDS, e.SrsHungUp(reason="SIP;cause=200")), UNREACHABLE),
    ],
)
def test_fault_that_another_srs_would_share_fails_the_stream(
    events: tuple[e.LegEvent, ...], code: int
) -> None:
    stream = follow(begun(plan=FAILOVER).stream, events).stream
    assert [leg.srs for leg in stream.legs] == [A]
    assert stream.error_code == code
    assert stream.error_text == stream.legs[0].error_text


def test_failover_ends_when_its_time_is_over() -> None:
    stream = begun(plan=FAILOVER).stream
    in_time = follow(stream, REFUSED, NOW_MS + FAILOVER.total_ms - 1).stream
    assert [leg.srs for leg in in_time.legs] == [A, B]
    assert in_time.legs[1].give_up_ms == NOW_MS + FAILOVER.total_ms
    too_late = follow(stream, REFUSED, NOW_MS + FAILOVER.total_ms).stream
    assert [leg.srs for leg in too_late.legs] == [A]
    assert too_late.error_code == UNREACHABLE


def test_failover_of_a_recording_has_the_whole_time_again() -> None:
    stream = follow(recording(), [HUNG_UP], LATER_MS).stream
    assert stream.legs[1].give_up_ms == LATER_MS + FAILOVER.total_ms


def test_srs_that_recorded_gets_a_second_chance_as_the_last_and_no_third() -> None:
    events = (*on_leg(1, HUNG_UP), *on_leg(2, *REFUSED), *on_leg(3, *REFUSED))
    stream = follow(recording(), events).stream
    assert [leg.srs for leg in stream.legs] == [A, B, C, A]
    assert stream.state is S.FORKING
    failed = follow(stream, on_leg(4, *REFUSED)).stream
    assert len(failed.legs) == 4
    assert failed.error_code == UNREACHABLE


def test_only_srs_gets_a_second_chance_when_it_recorded() -> None:
    stream = follow(recording(Plan(srs=(A,))), [HUNG_UP, *on_leg(2, *RECORDS)]).stream
    assert srs_of(stream) == [(A, S.STOPPING), (A, S.RECORDING)]


def test_only_srs_gets_no_second_chance_when_it_never_recorded() -> None:
    stream = follow(begun(plan=Plan(srs=(A,))).stream, REFUSED).stream
    assert [leg.srs for leg in stream.legs] == [A]


# Gaps


def test_gap_is_told_with_its_length_when_another_srs_goes_on() -> None:
    lost = follow(recording(), [HUNG_UP], LATER_MS).stream
    assert (lost.lost_ms, lost.unrecorded_ms, lost.tried) == (LATER_MS, LATER_MS, (A,))
    outcome = follow(lost, on_leg(2, *RECORDS), LATER_MS + 1_500)
    stream = outcome.stream
    assert (stream.gap_ms, stream.lost_ms, stream.unrecorded_ms) == (1_500, None, None)
    assert stream.recording_ms == NOW_MS
    (alert,) = alerts(outcome)
    assert (alert.code, alert.level) == (UNREACHABLE, AlertLevel.WARNING)
    assert alert.text == f"the SRS {B} goes on with the recording after a gap of 1.5 s"


def test_gap_begins_when_the_srs_was_last_known_to_live() -> None:
    died = e.SrsDied(text="dead", since_ms=LATER_MS - 4_000)
    lost = follow(recording(), [died], LATER_MS).stream
    assert (lost.lost_ms, lost.unrecorded_ms) == (LATER_MS - 4_000, LATER_MS)
    stream = follow(lost, on_leg(2, *RECORDS), LATER_MS + 1_000).stream
    assert stream.gap_ms == 5_000


def test_gap_begins_when_an_srs_that_forgot_the_dialog_last_knew_it() -> None:
    known, forgotten = (e.SrsOptionsAnswered(attempt=1, status=status) for status in (200, 481))
    stream = follow(recording(), [known], LATER_MS).stream
    lost = follow(stream, [forgotten], LATER_MS + 5_000).stream
    assert (lost.lost_ms, lost.unrecorded_ms) == (LATER_MS, LATER_MS + 5_000)
    stream = follow(lost, on_leg(2, *RECORDS), LATER_MS + 6_000).stream
    assert stream.gap_ms == 6_000


def test_gaps_add_up() -> None:
    stream = follow(recording(), [HUNG_UP], LATER_MS).stream
    stream = follow(stream, on_leg(2, *RECORDS), LATER_MS + 1_000).stream
    stream = follow(stream, on_leg(2, HUNG_UP), LATER_MS + 11_000).stream
    assert [leg.srs for leg in stream.legs] == [A, B, A]
    stream = follow(stream, on_leg(3, *RECORDS), LATER_MS + 13_000).stream
    assert stream.gap_ms == 3_000


def test_new_answer_of_the_srs_is_no_gap() -> None:
    moved = e.SrsReanswered(sdp=answer_sdp(4100, 4102))
    outcome = follow(recording(), [moved, e.ForkAnswered()], LATER_MS)
    assert not alerts(outcome)
    assert outcome.stream.gap_ms == 0


# Parallel


def test_parallel_leg_that_fails_leaves_the_others_alone() -> None:
    stream = begun(plan=PARALLEL).stream
    stream = follow(stream, [*on_leg(1, *RECORDS), *on_leg(2, *RECORDS)]).stream
    outcome = follow(stream, [HUNG_UP], LATER_MS)
    assert kinds(outcome) == ["ReleaseFork", "RaiseAlert"]
    assert srs_of(outcome.stream) == [(A, S.STOPPING), (B, S.RECORDING), (C, S.FORKING)]
    assert (outcome.stream.state, outcome.stream.error_code) == (S.RECORDING, None)
    assert (outcome.stream.lost_ms, outcome.stream.unrecorded_ms) == (None, None)


def test_parallel_leg_that_fails_hopelessly_leaves_the_others_alone() -> None:
    stream = follow(begun(plan=PARALLEL).stream, [FORK_OFFERED, refused(400)]).stream
    assert srs_of(stream) == [(A, S.STOPPING), (B, S.FORKING), (C, S.FORKING)]
    assert stream.error_code is None


def test_parallel_fails_with_its_last_leg() -> None:
    outcome = tried(PARALLEL, REFUSED)
    assert outcome.stream.error_text == f"the SRS {C} answered 503 No"
    assert [leg.srs for leg in outcome.stream.legs] == [A, B, C]


def test_parallel_legs_that_fail_at_once_fail_the_stream() -> None:
    stream = begun(plan=PARALLEL).stream
    invited = [each for n in (1, 2, 3) for each in on_leg(n, FORK_OFFERED)]
    stream = follow(stream, [*invited, e.DeadlinePassed()], LATER_MS).stream
    assert {leg.error_code for leg in stream.legs} == {UNREACHABLE}
    assert stream.error_code == UNREACHABLE


def test_parallel_gap_lasts_from_the_last_leg_that_recorded_to_the_next() -> None:
    stream = follow(begun(plan=PARALLEL).stream, [*RECORDS, HUNG_UP], LATER_MS).stream
    assert (stream.lost_ms, stream.unrecorded_ms) == (LATER_MS, LATER_MS)
    outcome = follow(stream, on_leg(2, *RECORDS), LATER_MS + 2_000)
    assert outcome.stream.gap_ms == 2_000
    assert "after a gap of 2.0 s" in alerts(outcome)[0].text


def test_parallel_gap_does_not_count_what_another_leg_recorded() -> None:
    stream = follow(begun(plan=PARALLEL).stream, [*RECORDS, *on_leg(2, *RECORDS)]).stream
    stream = follow(stream, on_leg(2, HUNG_UP), LATER_MS).stream
    died = e.SrsDied(text="no RTCP", since_ms=LATER_MS - 20_000)
    lost = follow(stream, [died], LATER_MS + 1_000).stream
    assert (lost.lost_ms, lost.unrecorded_ms) == (LATER_MS, LATER_MS + 1_000)


def test_gap_of_a_leg_that_was_saved_before_it_was_heard_of_begins_now() -> None:
    stream = recording()
    old = replace(stream, legs=(replace(stream.legs[0], heard_ms=None),))
    forgotten = e.SrsOptionsAnswered(attempt=1, status=481)
    assert follow(old, [forgotten], LATER_MS).stream.lost_ms == LATER_MS


def test_parallel_leg_with_a_new_answer_records_still() -> None:
    stream = begun(plan=PARALLEL).stream
    stream = follow(stream, [*on_leg(1, *RECORDS), *on_leg(2, *RECORDS)]).stream
    moved = on_leg(2, e.SrsReanswered(sdp=answer_sdp(4100, 4102)))
    stream = follow(stream, [*moved, HUNG_UP], LATER_MS).stream
    assert (stream.lost_ms, stream.unrecorded_ms) == (None, None)


# Stopping


@pytest.mark.parametrize("event", [e.Stopped(), e.CallOver(reason="bye")])
def test_stop_while_another_srs_takes_over_ends_all(event: e.Event) -> None:
    outcome = follow(recording(), [HUNG_UP, *on_leg(2, FORK_OFFERED), event], LATER_MS)
    stream = outcome.stream
    assert srs_of(stream) == [(A, S.STOPPING), (B, S.CANCELLING)]
    assert (stream.is_stopped, stream.lost_ms, stream.unrecorded_ms) == (True, None, None)
    assert stream.state is S.STOPPING
    over = (*on_leg(1, e.ForkReleased()), *on_leg(2, e.ForkReleased(), refused(487)))
    stream = follow(stream, over, LATER_MS).stream
    assert srs_of(stream) == [(A, S.FAILED), (B, S.STOPPED)]
    assert (stream.state, stream.error_code, stream.deadline_ms) == (S.STOPPED, None, None)
    assert stream.ended_ms == LATER_MS


def test_stop_of_a_parallel_stream_stops_every_leg() -> None:
    stream = follow(begun(plan=PARALLEL).stream, on_leg(2, *RECORDS)).stream
    outcome = step(stream, e.Stopped(), LATER_MS)
    assert {leg.state for leg in outcome.stream.legs} == {S.STOPPING}
    assert kinds(outcome) == ["ReleaseFork", "ReleaseFork", "SendBye", "ReleaseFork"]


def test_stopped_stream_takes_no_other_srs() -> None:
    stopping = step(recording(), e.Stopped(), LATER_MS).stream
    assert len(follow(stopping, [HUNG_UP, e.ForkReleased()]).stream.legs) == 1
