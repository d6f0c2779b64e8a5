"""Pause and resume, proved by RTP: both sides talk all the time, and each packet has a number."""

from collections.abc import Callable
from pathlib import Path

import pytest

from siprec.model import Stream, StreamState
from tests.scenarios.many_srs import ManySrsStage
from tests.scenarios.phone import Phone, answer, hang_up
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
from tests.scenarios.srs import ReferenceSrs, Session
from tests.scenarios.stage import RECORD, Stage, dial
from tests.scenarios.talk import Talk, numbers_in
from tests.scenarios.test_faults import all_shards_are_owned, controllers, kill

pytestmark = pytest.mark.daemon

RECORDING, PAUSED = StreamState.RECORDING, StreamState.PAUSED
STOPPED, INVITING = StreamState.STOPPED, StreamState.INVITING


# The rule


def test_nothing_reaches_the_srs_from_pause_to_resume_and_all_after(
    many_srs_stage: ManySrsStage,
) -> None:
    stage = many_srs_stage
    start = stage.connect(stage.srs.uri)
    with stage.spoken_call(start) as spoken:
        stream, talking = stage.wait_recording(spoken.caller), spoken.talking
        talking.go_on()
        begin = pause(stage, stream, talking)
        assert state_of(stage, stream) is PAUSED
        wait_agreed(stage, stream, "1", "2")
        talking.go_on(25)
        lines = stage.shown(stream)
        assert "state paused" in lines
        assert "paused caller, callee" in lines
        end, since = resume(stage, stream, talking)
        assert state_of(stage, stream) is RECORDING
        talking.go_on()
    stream = stage.wait_stream(spoken.caller, STOPPED)
    session = stage.wait_session(stream)
    assert Silence(begin, end).is_in(session)
    assert has_from(session, since, talking)
    expected = ["recvonly", "inactive", "recvonly"]
    hold_to_good_behaviour(session, {"1": expected, "2": expected})
    sources = [each["source"] for each in session.summary["metadata"]]
    assert sources == ["INVITE", "INVITE", "INVITE", "BYE"]
    heard = [senders(entry) for entry in session.summary["metadata_history"][:3]]
    assert heard == [2, 0, 2]
    assert stage.told(stream) == []


def senders(entry: dict[str, dict[str, dict[str, list[str]]]]) -> int:
    """Count who sends a stream, by an entry of the metadata history."""
    return sum(len(each["send"]) for each in entry["participants"].values())


def test_one_party_is_paused_and_the_other_goes_on(many_srs_stage: ManySrsStage) -> None:
    stage = many_srs_stage
    with stage.spoken_call(stage.connect(stage.srs.uri)) as spoken:
        stream, talking = stage.wait_recording(spoken.caller), spoken.talking
        talking.go_on()
        begin = pause(stage, stream, talking, "--track", "inbound_track")
        assert state_of(stage, stream) is RECORDING
        wait_agreed(stage, stream, "1")
        assert "paused caller" in stage.shown(stream)
        talking.go_on(25)
        end, since = resume(stage, stream, talking)
        talking.go_on()
    stream = stage.wait_stream(spoken.caller, STOPPED)
    session = stage.wait_session(stream)
    assert Silence(begin, end).is_in(session, ["1"])
    callee = numbers_in(session.track("2").raw)
    assert callee == list(range(callee[0], talking.sent[1]))
    assert has_from(session, since, talking)
    hold_to_good_behaviour(session, {"1": ["recvonly", "inactive", "recvonly"], "2": ["recvonly"]})
    assert [senders(entry) for entry in session.summary["metadata_history"][:3]] == [2, 1, 2]


def test_pause_before_the_srs_answered_lets_nothing_through_from_the_start(
    many_srs_stage: ManySrsStage,
) -> None:
    stage = many_srs_stage
    srs, start = stage.recorder("--delay", "3000")
    with stage.spoken_call(start) as spoken:
        stream, talking = stage.wait_stream(spoken.caller, INVITING), spoken.talking
        assert stage.stack.store.orders.pause(stream.sid).accepted
        assert state_of(stage, stream) is INVITING
        stage.wait_stream(spoken.caller, PAUSED)
        wait_agreed(stage, stream, "1", "2")
        talking.go_on()
        end, since = resume(stage, stream, talking)
        talking.go_on()
    stream = stage.wait_stream(spoken.caller, STOPPED)
    session = stage.wait_session(stream, srs)
    assert Silence((0, 0), end).is_in(session)
    assert has_from(session, since, talking)
    expected = ["recvonly", "inactive", "recvonly"]
    hold_to_good_behaviour(session, {"1": expected, "2": expected})


@pytest.mark.parametrize(
    ("keying", "track", "labels"),
    [
        ("sdes", "both_tracks", ("1", "2")),
        ("dtls", "both_tracks", ("1", "2")),
        ("dtls", "inbound_track", ("1",)),
    ],
)
def test_protected_media_goes_on_after_a_pause(
    any_many_srs_stage: ManySrsStage, keying: str, track: str, labels: tuple[str, ...]
) -> None:
    # rtpengine logs errors until the handshake is done.
    stage = any_many_srs_stage
    srs = stage.recorder_alone(*stage.ca.listen())
    start = stage.connect(srs.secure_uri, options=[*stage.ca.trust(), "--keying", keying])
    with stage.spoken_call(start) as spoken:
        stream, talking = stage.wait_recording(spoken.caller), spoken.talking
        talking.go_on()
        begin = pause(stage, stream, talking, "--track", track)
        wait_agreed(stage, stream, *labels)
        talking.go_on(25)
        end, since = resume(stage, stream, talking)
        talking.go_on()
    stream = stage.wait_stream(spoken.caller, STOPPED)
    session = stage.wait_session(stream, srs)
    assert Silence(begin, end).is_in(session, labels)
    assert has_from(session, since, talking)
    expected = ["recvonly", "inactive", "recvonly"]
    hold_to_good_behaviour(session, dict.fromkeys(labels, expected))


def test_what_rtpengine_transcodes_is_paused_too(many_srs_stage: ManySrsStage) -> None:
    stage = many_srs_stage
    start = stage.connect(stage.srs.uri, options=["--codecs", "PCMU", "--digits", "keep"])
    with stage.spoken_call(start) as spoken:
        stream, talking = stage.wait_recording(spoken.caller), spoken.talking
        talking.go_on()
        pause(stage, stream, talking)
        assert state_of(stage, stream) is PAUSED
        wait_agreed(stage, stream, "1", "2")
        talking.go_on(50)
        resume(stage, stream, talking)
        talking.go_on(25)
    session = stage.wait_session(stage.wait_stream(spoken.caller, STOPPED))
    expected = ["recvonly", "inactive", "recvonly"]
    hold_to_good_behaviour(session, {"1": expected, "2": expected})
    for side, track in enumerate(session.tracks):
        assert track.codec == "PCMU"
        assert 25 < track.packets <= talking.sent[side] - 50


def test_media_by_ipv6_is_paused_too(stage: Stage) -> None:
    srs = stage.recorder_alone(listen="[::1]:0")
    caller, callee = (stage.phone(name, host="::1") for name in ("alice", "bob"))
    caller.invite(stage.number(stage.connect(srs.uri), dial(callee)))
    answer(caller, callee)
    with Talk(caller, callee) as talking:
        stream = stage.wait_recording(caller)
        talking.go_on()
        begin = pause(stage, stream, talking)
        wait_agreed(stage, stream, "1", "2")
        talking.go_on(25)
        end, since = resume(stage, stream, talking)
        talking.go_on()
    hang_up(caller, callee)
    session = stage.wait_recorded(caller, srs=srs)
    assert Silence(begin, end).is_in(session)
    assert has_from(session, since, talking)
    stage.wait_call_over(caller)


# The end


def test_stop_while_paused_ends_without_another_packet(many_srs_stage: ManySrsStage) -> None:
    stage = many_srs_stage
    with stage.spoken_call(stage.connect(stage.srs.uri)) as spoken:
        stream, talking = stage.wait_recording(spoken.caller), spoken.talking
        talking.go_on()
        begin = pause(stage, stream, talking)
        wait_agreed(stage, stream, "1", "2")
        talking.go_on()
        stage.stack.cli("stream", "stop", stream.sid, "--wait")
        refused = stage.stack.cli("stream", "resume", stream.sid, code=1)
        assert "is stopped" in refused.stderr
        talking.go_on()
        end = talking.sent
    session = stage.wait_session(stream)
    assert Silence(begin, end).is_in(session)
    hold_to_good_behaviour(session, {label: ["recvonly", "inactive"] for label in ("1", "2")})


def test_hang_up_while_paused_ends_the_recording(many_srs_stage: ManySrsStage) -> None:
    stage = many_srs_stage
    with stage.spoken_call(stage.connect(stage.srs.uri)) as spoken:
        stream, talking = stage.wait_recording(spoken.caller), spoken.talking
        talking.go_on()
        begin = pause(stage, stream, talking)
        talking.go_on(25)
        end = talking.sent
    stream = stage.wait_stream(spoken.caller, STOPPED)
    session = stage.wait_session(stream)
    assert Silence(begin, end).is_in(session)
    hold_to_good_behaviour(session, {label: ["recvonly", "inactive"] for label in ("1", "2")})


# The call changes, and owners fall


def reoffer(who: Phone, other: Phone, sdp: str) -> None:
    """Change the call's media by a re-INVITE."""
    who.request("INVITE", sdp=sdp)
    again = other.expect("INVITE")
    other.reply(again, 200, "OK", sdp=other.sdp())
    who.ack(who.expect(200))
    other.expect("ACK")


def test_call_that_is_held_and_changed_while_paused_stays_cut_off(
    many_srs_stage: ManySrsStage,
) -> None:
    stage = many_srs_stage
    with stage.spoken_call(stage.connect(stage.srs.uri)) as spoken:
        stream, talking = stage.wait_recording(spoken.caller), spoken.talking
        caller, callee = spoken.caller, spoken.callee
        talking.go_on()
        begin = pause(stage, stream, talking)
        wait_agreed(stage, stream, "1", "2")
        offers: list[tuple[Phone, Phone, Callable[[], str]]] = [
            (caller, callee, lambda: caller.sdp(direction="sendonly")),
            (callee, caller, lambda: callee.sdp(direction="sendonly")),
            (caller, callee, caller.sdp),
        ]
        for who, other, write in offers:
            count = replays(stage, stream)
            reoffer(who, other, write())
            poll(lambda count=count: replays(stage, stream) > count)  # type: ignore[misc]
            talking.go_on()
        assert state_of(stage, stream) is PAUSED
        end, since = resume(stage, stream, talking)
        talking.go_on()
    stream = stage.wait_stream(caller, STOPPED)
    session = stage.wait_session(stream)
    assert Silence(begin, end).is_in(session)
    assert has_from(session, since, talking)
    expected = ["recvonly", "inactive", "recvonly"]
    hold_to_good_behaviour(session, {"1": expected, "2": expected})


def replays(stage: Stage, stream: Stream) -> int:
    """Count how often the call was offered again, as the stream's history tells."""
    found = stage.stack.store.stream(stream.sid)
    assert found is not None
    return sum(moment.event == "CallReoffered" for moment in found.history)


def test_client_killed_while_paused_stays_cut_off_and_can_be_resumed(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        caller, callee = stage.pair()
        caller.invite(stage.number(RECORD, dial(callee)))
        answer(caller, callee)
        with Talk(caller, callee) as talking:
            stream = stage.wait_recording(caller)
            talking.go_on()
            begin = pause(stage, stream, talking)
            wait_agreed(stage, stream, "1", "2")
            old = stage.stack.pids("src")
            kill(old)
            poll(lambda: (new := stage.stack.pids("src")) and new[0] != old[0])
            poll(lambda: len(controllers(stage)) == 2 and all_shards_are_owned(stage), 30)
            stage.wait_stream(caller, PAUSED)
            talking.go_on()
            end, since = resume(stage, stream, talking)
            talking.go_on()
        hang_up(caller, callee)
        session: Session = stage.wait_recorded(caller)
        assert Silence(begin, end).is_in(session)
        assert has_from(session, since, talking)
        stage.wait_call_over(caller)


def test_srs_of_the_tests_counts_what_comes_while_inactive(
    many_srs_stage: ManySrsStage,
) -> None:
    """The proofs above must be able to fail."""
    stage = many_srs_stage
    srs: ReferenceSrs = stage.recorder_alone("--reinvite-after", "0.3")
    with stage.spoken_call(stage.connect(srs.uri)) as spoken:
        stage.wait_recording(spoken.caller)
        begin = spoken.talking.sent
        spoken.talking.go_on(25)
        end = spoken.talking.sent
    session = stage.wait_session(stage.wait_stream(spoken.caller, STOPPED), srs)
    with pytest.raises(AssertionError):
        Silence(begin, end).is_in(session)
