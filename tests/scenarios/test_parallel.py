"""Several recorders at once: each has the whole call, and none depends on another."""

import pytest

from siprec.alerts import AlertLevel
from siprec.model import Stream, StreamState
from tests.scenarios.many_srs import ManySrsStage, Mortal

pytestmark = pytest.mark.daemon

UNREACHABLE = 32011

RECORDING, STOPPING = StreamState.RECORDING, StreamState.STOPPING
STOPPED, FAILED = StreamState.STOPPED, StreamState.FAILED
PARALLEL = ("--delivery", "parallel", "--answer-s", "1")
CHECKED = (*PARALLEL, "--options-s", "5")


def test_parallel_srs_have_the_call_in_dialogs_of_their_own(many_srs_stage: ManySrsStage) -> None:
    stage = many_srs_stage
    recorders = [stage.srs, stage.recorder_alone()]
    start = stage.connect(*(srs.uri for srs in recorders), options=PARALLEL)
    with stage.spoken_call(start) as spoken:
        for number in (1, 2):
            stage.wait_leg(spoken.caller, start, number, RECORDING)
        spoken.talking.go_on()
    stream = stage.wait_stream(spoken.caller, STOPPED)
    for srs in recorders:
        stage.has_all(srs, stream, spoken)
    sessions = [stage.wait_session(stream, srs) for srs in recorders]
    for part in ("call_id", "from", "to"):
        first, second = (session.summary[part] for session in sessions)
        assert first != second
    assert stage.told(stream) == []


def test_parallel_srs_that_die_leave_the_others_alone(many_srs_stage: ManySrsStage) -> None:
    stage = many_srs_stage
    one, two, three = (stage.mortal("--no-media") for _ in range(3))
    half = stage.connect(stage.srs.uri, one.uri, options=CHECKED)
    none = stage.connect(two.uri, three.uri, options=CHECKED)
    with stage.spoken_call(half, none) as spoken:
        for start in (half, none):
            for number in (1, 2):
                stage.wait_leg(spoken.caller, start, number, RECORDING)
        spoken.talking.go_on()
        for each in (one, two, three):
            each.die()
        for start, number in ((half, 2), (none, 1), (none, 2)):
            stage.wait_leg(spoken.caller, start, number, STOPPING, FAILED, within_s=30)
        kept = stage.wait_leg(spoken.caller, half, 1, RECORDING)
        assert kept.state is RECORDING
        spoken.talking.go_on()
    kept = stage.wait_leg(spoken.caller, half, 1, STOPPED)
    stage.has_all(stage.srs, kept, spoken)
    stage.wait_leg(spoken.caller, none, 1, FAILED)
    dead = stage.wait_leg(spoken.caller, none, 2, FAILED)
    kept = stage.wait_leg(spoken.caller, half, 2, FAILED)
    assert (kept.state, kept.gap_ms, kept.error_code) == (STOPPED, 0, None)
    assert (dead.state, dead.error_code) == (FAILED, UNREACHABLE)
    assert are_lost(stage, kept, one)
    assert are_lost(stage, dead, two, three)


def are_lost(stage: ManySrsStage, stream: Stream, *srs: Mortal) -> bool:
    """Tell whether there is an alert for each of these SRSs, and no other."""
    why = "Connection refused, and no RTCP comes"
    lost = {
        (UNREACHABLE, AlertLevel.ERROR, f"the SRS {e.uri} died: {e.srs.address}: {why}")
        for e in srs
    }
    told = stage.told(stream)
    return len(told) == len(lost) and set(told) == lost
