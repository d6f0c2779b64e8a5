"""Pause and resume where the SRS does not agree, and where there are several."""

import pytest

from siprec.alerts import AlertLevel
from siprec.model import StreamState
from tests.scenarios.many_srs import ManySrsStage
from tests.scenarios.polling import poll
from tests.scenarios.silence import (
    Silence,
    has_from,
    hold_to_good_behaviour,
    pause,
    resume,
    state_of,
    wait_agreed,
)

pytestmark = pytest.mark.daemon

RECORDING, PAUSED, STOPPED = StreamState.RECORDING, StreamState.PAUSED, StreamState.STOPPED

UNREACHABLE = 32011
QUICK = ("--answer-s", "1", "--options-s", "0")


# An SRS that does not agree


@pytest.mark.parametrize(
    ("switches", "why"),
    [
        (("--refuse-reinvite", "488"), "answered 488 "),
        (("--silent-reinvite",), "no answer"),
    ],
)
def test_pause_that_the_srs_does_not_agree_to_is_cut_off_all_the_same(
    many_srs_stage: ManySrsStage, switches: tuple[str, ...], why: str
) -> None:
    stage = many_srs_stage
    srs = stage.recorder_alone(*switches)
    with stage.spoken_call(stage.connect(srs.uri, options=QUICK)) as spoken:
        stream, talking = stage.wait_recording(spoken.caller), spoken.talking
        talking.go_on()
        begin = pause(stage, stream, talking)
        ((code, level, text),) = poll(lambda: stage.told(stream))
        assert (code, level) == (UNREACHABLE, AlertLevel.WARNING)
        assert "does not agree to the pause" in text
        assert why in text
        assert state_of(stage, stream) is PAUSED
        talking.go_on(25)
        end = talking.sent
    stream = stage.wait_stream(spoken.caller, STOPPED)
    session = stage.wait_session(stream, srs)
    assert Silence(begin, end).is_in(session)
    assert session.ended_by == "src-bye"


def test_resume_that_the_srs_does_not_agree_to_stays_cut_off(many_srs_stage: ManySrsStage) -> None:
    stage = many_srs_stage
    srs = stage.recorder_alone("--refuse-reinvite", "408")
    with stage.spoken_call(stage.connect(srs.uri, options=QUICK)) as spoken:
        stream, talking = stage.wait_recording(spoken.caller), spoken.talking
        talking.go_on()
        begin = pause(stage, stream, talking)
        poll(lambda: stage.told(stream))
        done = stage.stack.cli("stream", "resume", stream.sid, "--wait", code=1)
        assert "the SRS did not agree" in done.stderr
        assert state_of(stage, stream) is PAUSED
        talking.go_on(25)
        end = talking.sent
    stream = stage.wait_stream(spoken.caller, STOPPED)
    assert Silence(begin, end).is_in(stage.wait_session(stream, srs))
    texts = [text for _, _, text in stage.told(stream)]
    assert ["the end of the pause" in text for text in texts] == [False, True]


def test_glare_is_waited_out_and_the_pause_told_then(many_srs_stage: ManySrsStage) -> None:
    stage = many_srs_stage
    srs = stage.recorder_alone("--glare", "491")
    with stage.spoken_call(stage.connect(srs.uri)) as spoken:
        stream, talking = stage.wait_recording(spoken.caller), spoken.talking
        talking.go_on()
        begin = pause(stage, stream, talking)
        wait_agreed(stage, stream, "1", "2")
        end, since = resume(stage, stream, talking)
        talking.go_on()
    stream = stage.wait_stream(spoken.caller, STOPPED)
    session = stage.wait_session(stream, srs)
    assert Silence(begin, end).is_in(session)
    assert has_from(session, since, talking)
    expected = ["recvonly", "inactive", "recvonly"]
    hold_to_good_behaviour(session, {"1": expected, "2": expected})
    assert stage.told(stream) == []


# Several recorders


def test_parallel_srs_are_paused_and_resumed_together(many_srs_stage: ManySrsStage) -> None:
    stage = many_srs_stage
    recorders = [stage.srs, stage.recorder_alone()]
    start = stage.connect(*(srs.uri for srs in recorders), options=["--delivery", "parallel"])
    with stage.spoken_call(start) as spoken:
        for number in (1, 2):
            stream = stage.wait_leg(spoken.caller, start, number, RECORDING)
        talking = spoken.talking
        talking.go_on()
        begin = pause(stage, stream, talking)
        assert state_of(stage, stream) is PAUSED
        for number in (1, 2):
            wait_agreed(stage, stream, "1", "2", number=number)
        talking.go_on(25)
        end, since = resume(stage, stream, talking)
        talking.go_on()
    stream = stage.wait_stream(spoken.caller, STOPPED)
    for srs in recorders:
        session = stage.wait_session(stream, srs)
        assert Silence(begin, end).is_in(session)
        assert has_from(session, since, talking)
        expected = ["recvonly", "inactive", "recvonly"]
        hold_to_good_behaviour(session, {"1": expected, "2": expected})


def test_srs_that_takes_over_while_paused_gets_nothing_before_resume(
    many_srs_stage: ManySrsStage,
) -> None:
    stage = many_srs_stage
    failing = stage.recorder_alone("--hang-up-after", "6", "--hang-up-reason", "SIP;cause=503")
    start = stage.connect(failing.uri, f"{stage.srs.uri},priority=2", options=["--options-s", "0"])
    with stage.spoken_call(start) as spoken:
        stream, talking = stage.wait_recording(spoken.caller), spoken.talking
        begin = pause(stage, stream, talking)
        stage.wait_leg(spoken.caller, start, 2, RECORDING)
        stage.wait_stream(spoken.caller, PAUSED)
        wait_agreed(stage, stream, "1", "2", number=2)
        talking.go_on()
        end, since = resume(stage, stream, talking)
        talking.go_on()
    stream = stage.wait_stream(spoken.caller, STOPPED)
    assert Silence(begin, end).is_in(stage.wait_session(stream, failing))
    session = stage.wait_session(stream)
    assert Silence((0, 0), end).is_in(session)
    assert has_from(session, since, talking)
    # Its INVITE has told it already.
    expected = ["inactive", "recvonly"]
    hold_to_good_behaviour(session, {"1": expected, "2": expected})
