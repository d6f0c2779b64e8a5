"""Pause and resume, proved by RTP: both sides talk all the time, and each packet has a number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from siprec.alerts import AlertLevel
from siprec.model import Stream, StreamState
from tests.scenarios.many_srs import ManySrsStage
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.srs import ReferenceSrs, Session
from tests.scenarios.stage import RECORD, Stage, dial
from tests.scenarios.talk import Talk, numbers_in
from tests.scenarios.test_faults import all_shards_are_owned, controllers, kill

pytestmark = pytest.mark.daemon

RECORDING, PAUSED = StreamState.RECORDING, StreamState.PAUSED
STOPPED, INVITING = StreamState.STOPPED, StreamState.INVITING

UNREACHABLE = 32011
QUICK = ("--answer-s", "1", "--options-s", "0")
Sent = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Silence:
    """What was sent while a pause was in force: packets of caller and callee from, and up to."""

    begin: Sent
    end: Sent

    def is_in(self, session: Session, labels: Sequence[str] = ("1", "2")) -> bool:
        """Tell whether the SRS has none of it, but all that was sent well before."""
        for label in labels:
            heard = numbers_in(session.track(label).raw)
            side = int(label) - 1
            assert self.begin[side] + 10 <= self.end[side]
            assert not [n for n in heard if self.begin[side] <= n < self.end[side]]
        return True


def has_from(session: Session, since: Sent, talking: Talk) -> bool:
    """Tell whether the SRS has each packet from there to the end of the call."""
    for side, track in enumerate(session.tracks):
        heard = numbers_in(track.raw)
        assert heard == sorted(set(heard))
        assert heard[heard.index(since[side]) :] == list(range(since[side], talking.sent[side]))
    return True


def pause(stage: Stage, stream: Stream, talking: Talk, *options: str) -> Sent:
    """Pause until it is so; give the packets that are sent next."""
    stage.stack.cli("stream", "pause", stream.sid, "--wait", *options)
    return talking.sent


def resume(stage: Stage, stream: Stream, talking: Talk, *options: str) -> tuple[Sent, Sent]:
    """Resume until it is so; give what is sent next before and after that."""
    before = talking.sent
    stage.stack.cli("stream", "resume", stream.sid, "--wait", *options)
    return before, talking.sent


def state_of(stage: Stage, stream: Stream) -> StreamState:
    found = stage.stack.store.stream(stream.sid)
    assert found is not None
    return found.state


def wait_agreed(stage: Stage, stream: Stream, *labels: str, number: int = 1) -> None:
    """Wait until the SRS of a leg has agreed that these are inactive, and nothing is open."""

    def is_agreed() -> bool:
        found = stage.stack.store.stream(stream.sid)
        leg = None if found is None else found.leg(number)
        return leg is not None and (leg.muted, leg.asked) == (labels, None)

    poll(is_agreed, why=lambda: f"{stage.stack.store.stream(stream.sid)}\n{stage.stack.log}")


def hold_to_good_behaviour(session: Session, directions: dict[str, list[str]]) -> None:
    """Check what an SRS wants of a session that was paused: directions, metadata, versions."""
    assert session.ended_by == "src-bye"
    assert session.problems == []
    assert session.metadata_errors == []
    assert all(each["valid"] for each in session.summary["metadata"])
    for label, expected in directions.items():
        track = session.track(label)
        assert [direction for _, direction in track.summary["directions"]] == expected
        assert track.summary["packets_while_inactive"] == 0


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
