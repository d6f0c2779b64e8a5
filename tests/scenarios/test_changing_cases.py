"""Cases of sipp-scenarios/ in which a call changes: one recording, and the right voices in it."""

import pytest

from siprec_srs.g711 import LAWS
from tests.scenarios.by_hand import BOB, TALK_S, callee, heard, place, sound
from tests.scenarios.polling import poll
from tests.scenarios.sipp import Sipp
from tests.scenarios.sounds import FRAME_BYTES, place_in
from tests.scenarios.srs import Session
from tests.scenarios.studio import CALLEE_SOUND, CALLER_SOUND, Studio

pytestmark = [pytest.mark.daemon, pytest.mark.usefixtures("no_errors")]

PCMU, PCMA = 0, 8
# Half a second, and so is what SIPp has played before anything changes.
PART = 25 * FRAME_BYTES


class Changing:
    """A recorded call of a case with a caller and a callee of its own."""

    def __init__(self, studio: Studio, case: str, *more: str) -> None:
        self._studio = studio
        self.callee = callee(studio, f"{case}/callee.xml")
        self.call = place(
            studio,
            "both-tracks",
            caller=f"{case}/caller.xml",
            callees={BOB: self.callee.port},
            more=more,
        )

    def recorded(self) -> None:
        """Wait until it is recorded, and some sound is at the SRS."""
        self.stream = sound(self._studio, self.call)

    def tell(self, who: Sipp, step: str) -> None:
        """Tell an end to go on to its next step, and wait until it has."""
        who.tell(self.call.call().sip_call_id)
        who.wait_logged(step)

    def talk_on(self) -> None:
        """Wait until the SRS has heard more of both parties."""
        session = self._studio.srs.session_of(self.stream.sid)
        assert session is not None
        so_far = max(track.seconds_so_far for track in session.tracks)
        self._studio.hear(self.stream, so_far + 2 * TALK_S)

    def over(self, callee: str = "Bob", *, stragglers: int = 0) -> Session:
        """Hang up; both ends must have gone by the case, and there was one recording, no alert.

        `callee` is who the callee was in the end; `stragglers` as in `Studio.session`.
        """
        self.call.hang_up()
        self.callee.done()
        assert [s.sid for s in self.call.streams()] == [self.stream.sid]
        assert self.call.alerts() == []
        session = self._studio.session(self.stream, stragglers=stragglers)
        assert session.labels == ["1", "2"]
        assert [track.name for track in session.tracks] == ["Ann", callee]
        return session


def is_transcoded(recorded: bytes, sent: bytes) -> bool:
    """Tell whether PCMU frames are a part of PCMA that is played over and over."""
    law, codes = LAWS["PCMA"], bytes(range(256))
    alaw = memoryview(law.decode(codes)).cast("h")
    ulaw = memoryview(LAWS["PCMU"].decode(codes)).cast("h")
    nearest = bytes(min(codes, key=lambda code: abs(ulaw[code] - level)) for level in alaw)
    return place_in(recorded, sent.translate(nearest)) is not None


def test_hold_by_the_callee_leaves_one_recording(studio: Studio) -> None:
    case = Changing(studio, "callee-holds")
    case.recorded()
    case.tell(case.callee, "held")
    case.tell(case.callee, "goes on")
    case.talk_on()
    heard(case.over())


def test_hold_by_update_from_either_side_leaves_one_recording(studio: Studio) -> None:
    case = Changing(studio, "update")
    case.recorded()
    case.tell(case.call.caller, "held")
    case.callee.tell(case.call.call().sip_call_id)
    case.call.caller.wait_logged("goes on")
    case.talk_on()
    heard(case.over())


def test_codec_change_leaves_the_recorder_its_own(studio: Studio) -> None:
    case = Changing(studio, "codec-change")
    case.recorded()
    case.tell(case.call.caller, "PCMA now")
    case.talk_on()
    # What rtpengine is transcoding when it is told to stop may still leave it.
    tracks = case.over(stragglers=2).tracks
    for track, sent in zip(tracks, (CALLER_SOUND, CALLEE_SOUND), strict=True):
        assert track.codec == "PCMU"
        # Until the answer is given again to rtpengine, some milliseconds, it forks the new codec.
        assert track.payload_types[PCMU] >= 50
        assert track.payload_types.get(PCMA, 0) <= 5
        assert place_in(track.raw[:PART], sent) is not None
        assert is_transcoded(track.raw[-PART:], sent)


def test_media_that_moves_is_followed(studio: Studio) -> None:
    echo_port, _ = studio.stack.ports.take_range(4)
    case = Changing(studio, "media-moves", "-rtp_echo", "-mp", str(echo_port))
    stream = case.stream = case.call.recording("both")

    def is_callee_heard() -> bool:
        session = studio.srs.session_of(stream.sid)
        return session is not None and session.track("2").seconds_so_far >= TALK_S

    poll(is_callee_heard)
    before = studio.srs.session_of(stream.sid)
    assert before is not None
    assert before.track("1").packets == 0
    case.tell(case.call.caller, "moved")
    studio.hear(stream, 2 * TALK_S)
    for track in case.over().tracks:
        assert place_in(track.raw, CALLEE_SOUND) is not None


def test_late_offer_is_recorded(studio: Studio) -> None:
    call = place(studio, "both-tracks", caller="late-offer/caller.xml")
    stream = sound(studio, call)
    call.hang_up()
    heard(studio.session(stream))
    assert call.alerts() == []


def test_acknowledged_early_media_is_recorded_from_the_answer_on(studio: Studio) -> None:
    case = Changing(studio, "prack")
    case.callee.wait_logged("early media")
    case.callee.tell(case.call.caller.wait_logged("early media").split()[-1])
    case.recorded()
    heard(case.over())


def test_video_that_is_refused_leaves_the_voices(studio: Studio) -> None:
    case = Changing(studio, "video-refused")
    case.recorded()
    heard(case.over())


def test_video_that_is_added_leaves_the_voices(studio: Studio) -> None:
    case = Changing(studio, "video-added")
    case.recorded()
    case.tell(case.call.caller, "video")
    case.talk_on()
    heard(case.over())


def test_callee_that_becomes_another_is_recorded_on(studio: Studio) -> None:
    case = Changing(studio, "identity-changed")
    case.recorded()
    case.callee.tell(case.call.call().sip_call_id)
    case.call.caller.wait_logged("told")
    case.talk_on()
    heard(case.over("Carol"))


def test_second_of_two_early_dialogs_is_recorded_when_it_answers(studio: Studio) -> None:
    case = Changing(studio, "forked-call")
    case.recorded()
    heard(case.over())
