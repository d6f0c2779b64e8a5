"""What an SRS is told of a call that changes: once, in order, by the carrier that it takes."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec.alerts import AlertLevel
from siprec.connector import MetadataBy, OnHold
from siprec.leg_dialog import NO_UPDATE, RETRIES, RETRY_AFTER_MS, UPDATE_GAP_MS
from siprec.model import Ask, Picture, Stream, StreamState
from siprec.step import Outcome
from tests.siprec.pauses import (
    ALL,
    GATE_SET,
    PAUSE,
    agree,
    directions,
    gate,
    leg_of,
    refuse,
    version,
)
from tests.siprec.streams import (
    FORK_OFFERED,
    LATER_MS,
    PLAN,
    alerts,
    follow,
    kinds,
    on_leg,
    stream_in,
)

S = StreamState
HELD = Picture(quiet=("1",))
MOVED = Picture(revision=1, formers=1)
BY_UPDATE = replace(PLAN, metadata_by=MetadataBy.UPDATE)
SNAPSHOT = e.SnapshotRequested()


def told(picture: Picture) -> e.Pictured:
    return e.Pictured(picture=picture)


def tell(picture: Picture = HELD, stream: Stream | None = None, at_ms: int = LATER_MS) -> Outcome:
    """Let the call of a stream that records change."""
    return follow(stream or stream_in(S.RECORDING), [told(picture)], at_ms)


def asked_of(stream: Stream) -> Ask:
    found = leg_of(stream).asked
    assert found is not None
    return found


def refused(stream: Stream, status: int, **more: int) -> e.LegHappened:
    """Give a refusal with what its headers say."""
    event = refuse(stream, status).event
    assert isinstance(event, e.SrsRefused)
    return on_leg(1, replace(event, **more))[0]  # type: ignore[arg-type]


# What is told


def test_change_of_the_call_is_told_with_the_same_sdp() -> None:
    outcome = tell()
    assert kinds(outcome) == ["SendAsked"]
    leg = leg_of(outcome.stream)
    assert (version(leg), leg.muted, leg.gated) == (1, (), ())
    asked = asked_of(outcome.stream)
    assert (asked.picture, asked.is_full, asked.by_update) == (HELD, False, False)
    agreed = follow(outcome.stream, [agree(outcome.stream)], LATER_MS)
    assert kinds(agreed) == []
    assert (leg_of(agreed.stream).told, leg_of(agreed.stream).told_ms) == (HELD, LATER_MS)


def test_same_picture_again_is_not_told() -> None:
    stream = follow(tell().stream, [agree(tell().stream)], LATER_MS).stream
    assert kinds(tell(HELD, stream)) == []


def test_changes_while_a_request_is_open_are_told_together_after_it() -> None:
    stream = tell().stream
    for picture in (Picture(), MOVED, replace(MOVED, quiet=("2",))):
        outcome = tell(picture, stream)
        assert kinds(outcome) == []
        stream = outcome.stream
    outcome = follow(stream, [agree(stream)], LATER_MS + 10)
    assert kinds(outcome) == []
    due_ms = LATER_MS + 10 + UPDATE_GAP_MS
    assert outcome.stream.deadline_ms == due_ms
    outcome = follow(outcome.stream, [e.DeadlinePassed()], due_ms)
    assert kinds(outcome) == ["SendAsked"]
    assert asked_of(outcome.stream).picture == replace(MOVED, quiet=("2",))


def test_changes_that_are_undone_before_they_are_told_need_no_request() -> None:
    stream = tell().stream
    stream = follow(stream, [agree(stream)], LATER_MS).stream
    for picture in (MOVED, HELD):
        outcome = tell(picture, stream, LATER_MS + 1)
        assert kinds(outcome) == []
        stream = outcome.stream
    assert stream.deadline_ms is None


@pytest.mark.parametrize("state", [S.FORKING, S.INVITING, S.CONNECTING])
def test_change_before_the_recording_is_told_when_it_begins(state: StreamState) -> None:
    outcome = tell(MOVED, stream_in(state))
    assert "SendAsked" not in kinds(outcome)
    assert outcome.stream.picture == MOVED


def test_invite_tells_what_the_call_is_then() -> None:
    stream = tell(HELD, stream_in(S.FORKING)).stream
    invited = follow(stream, on_leg(1, FORK_OFFERED), LATER_MS).stream
    assert (leg_of(invited).told, leg_of(invited).told_ms) == (HELD, LATER_MS)


def test_pause_and_change_are_told_in_one_request() -> None:
    stream = follow(stream_in(S.RECORDING), [PAUSE, told(HELD)], LATER_MS).stream
    outcome = follow(stream, [GATE_SET], LATER_MS)
    asked = asked_of(outcome.stream)
    assert (asked.muted, asked.picture) == (ALL, HELD)
    assert directions(leg_of(outcome.stream)) == ["inactive", "inactive"]


# Holds


def test_hold_makes_the_stream_inactive_when_the_connector_wishes_so() -> None:
    stream = stream_in(S.RECORDING, replace(PLAN, hold=OnHold.INACTIVE))
    outcome = tell(HELD, stream)
    assert kinds(outcome) == ["AnswerFork"]
    assert gate(outcome.stream) == (("1",), True)
    outcome = follow(outcome.stream, [GATE_SET], LATER_MS)
    assert directions(leg_of(outcome.stream)) == ["inactive", "sendonly"]
    outcome = follow(outcome.stream, [agree(outcome.stream), GATE_SET], LATER_MS)
    assert leg_of(outcome.stream).muted == ("1",)
    outcome = tell(Picture(), outcome.stream)
    assert directions(leg_of(outcome.stream)) == ["sendonly", "sendonly"]
    outcome = follow(outcome.stream, [agree(outcome.stream)], LATER_MS)
    assert gate(outcome.stream) == ((), True)


def test_hold_and_pause_of_one_party_end_only_together() -> None:
    stream = stream_in(S.RECORDING, replace(PLAN, hold=OnHold.INACTIVE))
    stream = follow(stream, [told(HELD), PAUSE], LATER_MS).stream
    stream = tell(Picture(), stream).stream
    assert gate(stream)[0] == ALL


# Snapshots


def test_snapshot_that_is_asked_for_comes_at_once_and_in_full() -> None:
    stream = tell().stream
    stream = follow(stream, [agree(stream)], LATER_MS).stream
    outcome = follow(stream, [*on_leg(1, SNAPSHOT)], LATER_MS)
    asked = asked_of(outcome.stream)
    assert (kinds(outcome), asked.is_full, asked.picture) == (["SendAsked"], True, HELD)


def test_snapshot_travels_with_sdp_also_where_update_carries_changes() -> None:
    stream = stream_in(S.RECORDING, BY_UPDATE)
    outcome = follow(stream, [*on_leg(1, SNAPSHOT)], LATER_MS)
    assert not asked_of(outcome.stream).by_update


def test_after_an_update_without_answer_all_is_told_again() -> None:
    stream = tell(HELD, stream_in(S.RECORDING, BY_UPDATE)).stream
    lost = follow(stream, [refuse(stream, 408, is_timeout=True)], LATER_MS)
    assert [alert.level for alert in alerts(lost)] == [AlertLevel.WARNING]
    assert leg_of(lost.stream).told is None
    again = tell(MOVED, lost.stream)
    assert asked_of(again.stream).is_full


# UPDATE as the carrier


def test_update_carries_a_change_of_the_metadata_alone() -> None:
    outcome = tell(HELD, stream_in(S.RECORDING, BY_UPDATE))
    asked = asked_of(outcome.stream)
    assert (asked.by_update, asked.is_full) == (True, False)
    agreed = follow(outcome.stream, [agree(outcome.stream, sdp=None)], LATER_MS)
    assert (kinds(agreed), leg_of(agreed.stream).told) == ([], HELD)
    assert leg_of(agreed.stream).answer == leg_of(outcome.stream).answer


def test_pause_is_never_told_by_update() -> None:
    stream = stream_in(S.RECORDING, BY_UPDATE)
    outcome = follow(stream, [PAUSE, GATE_SET], LATER_MS)
    assert not asked_of(outcome.stream).by_update


@pytest.mark.parametrize("status", NO_UPDATE)
def test_srs_that_does_not_take_update_gets_a_reinvite_for_good(status: int) -> None:
    stream = tell(HELD, stream_in(S.RECORDING, BY_UPDATE)).stream
    outcome = follow(stream, [refuse(stream, status)], LATER_MS)
    assert kinds(outcome) == ["SendAsked"]
    assert not asked_of(outcome.stream).by_update
    stream = follow(outcome.stream, [agree(outcome.stream)], LATER_MS).stream
    later = tell(MOVED, stream, LATER_MS + UPDATE_GAP_MS)
    assert not asked_of(later.stream).by_update


# Refusals


def test_change_that_the_srs_does_not_take_is_told_to_people_once() -> None:
    stream = tell().stream
    outcome = follow(stream, [refuse(stream, 488)], LATER_MS)
    (alert,) = alerts(outcome)
    assert "does not take what changed in the call (answered 488 No)" in alert.text
    assert (alert.level, outcome.stream.state) == (AlertLevel.WARNING, S.RECORDING)
    assert kinds(follow(outcome.stream, [e.CallReoffered()], LATER_MS)) == ["AnswerFork"]
    assert kinds(tell(MOVED, outcome.stream)) == ["SendAsked"]


def test_pause_still_goes_out_after_a_change_was_refused() -> None:
    stream = tell().stream
    stream = follow(stream, [refuse(stream, 488)], LATER_MS).stream
    outcome = follow(stream, [PAUSE, GATE_SET], LATER_MS)
    assert asked_of(outcome.stream).muted == ALL


def test_change_is_told_with_the_old_directions_after_a_pause_was_refused() -> None:
    stream = follow(stream_in(S.RECORDING), [PAUSE, GATE_SET], LATER_MS).stream
    stream = follow(stream, [refuse(stream, 488)], LATER_MS).stream
    stream = follow(stream, on_leg(1, SNAPSHOT), LATER_MS).stream
    asked = asked_of(stream)
    assert (asked.muted, asked.is_full) == ((), True)


def test_srs_that_puts_us_off_is_asked_again_when_it_says() -> None:
    stream = tell().stream
    for _ in range(RETRIES):
        waiting = follow(stream, [refused(stream, 503, retry_after_s=7)], LATER_MS)
        assert (kinds(waiting), waiting.stream.deadline_ms) == ([], LATER_MS + 7_000)
        outcome = follow(waiting.stream, [e.DeadlinePassed()], LATER_MS + 7_000)
        assert kinds(outcome) == ["SendAsked"]
        stream = outcome.stream
    outcome = follow(stream, [refused(stream, 503, retry_after_s=7)], LATER_MS)
    assert [alert.level for alert in alerts(outcome)] == [AlertLevel.WARNING]


def test_srs_is_not_waited_for_longer_than_a_minute() -> None:
    stream = tell().stream
    waiting = follow(stream, [refused(stream, 500, retry_after_s=9_000)], LATER_MS)
    assert waiting.stream.deadline_ms == LATER_MS + RETRY_AFTER_MS


def test_refusal_of_what_is_not_wished_any_more_is_not_told() -> None:
    stream = tell(MOVED, tell().stream).stream
    outcome = follow(stream, [refuse(stream, 488)], LATER_MS)
    assert (alerts(outcome), kinds(outcome)) == ([], ["SendAsked"])
