"""What the SRS hears: whose sound on which label, bit by bit, and from when to when."""

import pytest

from tests.scenarios.sounds import FRAME_BYTES, place_in
from tests.scenarios.srs import Recorded
from tests.scenarios.studio import CALLEE_SOUND, CALLER_SOUND, Studio

pytestmark = [pytest.mark.daemon, pytest.mark.usefixtures("no_errors")]

# A frame comes every 20 ms; the rest is the way from the SRS's answer to rtpengine, on a
# machine that does other things too.
_FIRST_WITHIN_S = 0.25
_BYE_WITHIN_S = 0.5


def assert_is_sound(track: Recorded, sent: bytes) -> None:
    """Check that a track is part of what was sent, every frame of it and nothing else."""
    assert place_in(track.raw, sent) is not None, f"label {track.label} is not what was sent"
    assert len(track.raw) == track.packets * FRAME_BYTES
    assert set(track.payload_types) == {8}


def test_both_tracks_are_bit_exact_and_labelled(studio: Studio) -> None:
    call = studio.call("both-tracks")
    stream = call.recording("both")
    studio.hear(stream, 1.0)
    ended = call.hang_up()
    session = studio.session(stream)
    assert ended.ended_ms is not None
    assert session.ended_s - ended.ended_ms / 1000 < _BYE_WITHIN_S
    assert session.labels == ["1", "2"]
    caller, callee = session.tracks
    assert (caller.name, callee.name) == ("Ann", "Bob")
    assert_is_sound(caller, CALLER_SOUND)
    assert_is_sound(callee, CALLEE_SOUND)
    for track in (caller, callee):
        assert 0 < track.first_packet_s - session.answered_s < _FIRST_WITHIN_S
    assert call.alerts() == []


@pytest.mark.parametrize(
    ("case", "name", "speaker", "sound"),
    [
        ("inbound-track", "caller only", "Ann", CALLER_SOUND),
        ("outbound-track", "callee only", "Bob", CALLEE_SOUND),
    ],
    ids=["inbound", "outbound"],
)
def test_single_track_carries_one_party(
    studio: Studio, case: str, name: str, speaker: str, sound: bytes
) -> None:
    call = studio.call(case)
    stream = call.recording(name)
    studio.hear(stream, 0.5)
    call.hang_up()
    (track,) = studio.session(stream).tracks
    assert track.name == speaker
    assert_is_sound(track, sound)


def test_two_streams_reach_two_recorders(studio: Studio) -> None:
    call = studio.call("two-streams")
    first, second = call.recording("first"), call.recording("second")
    studio.hear(first, 0.5)
    studio.hear(second, 0.5, studio.second)
    call.hang_up()
    for session in (studio.session(first), studio.session(second, studio.second)):
        caller, callee = session.tracks
        assert_is_sound(caller, CALLER_SOUND)
        assert_is_sound(callee, CALLEE_SOUND)
    assert studio.second.session_of(first.sid) is None


def test_stop_ends_media_while_the_call_goes_on(studio: Studio) -> None:
    call = studio.call("two-streams")
    first, second = call.recording("first"), call.recording("second")
    studio.hear(first, 0.5)
    studio.stack.cli("stream", "stop", first.sid, "--wait")
    stopped = studio.session(first)
    packets = stopped.packets
    assert call.call().is_live
    # The other stream proves that the parties still speak.
    sound = studio.second.session_of(second.sid)
    assert sound is not None
    studio.hear(second, sound.track("1").seconds_so_far + 1.0, studio.second)
    call.hang_up()
    again = studio.srs.session_of(first.sid)
    assert again is not None
    assert again.packets == packets
    for track in (*stopped.tracks, *studio.session(second, studio.second).tracks):
        assert_is_sound(track, CALLER_SOUND if track.label == "1" else CALLEE_SOUND)
