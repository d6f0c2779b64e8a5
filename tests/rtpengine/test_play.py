"""Sound files that a real rtpengine plays into a call: who hears them, and who does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rtpengine_ng.client import ask
from rtpengine_ng.errors import NgRefused
from rtpengine_ng.messages import (
    parse_fork_offer,
    play_media,
    stop_media,
    subscribe_answer,
    subscribe_request,
)
from tests.rtpengine.media import AnsweredCall, RtpEndpoint, recorder_answer
from tests.rtpengine.sound_file import write_tone

pytestmark = pytest.mark.daemon

PACKETS = 25
SECONDS = PACKETS * 0.02


@pytest.fixture
def recorders(call: AnsweredCall) -> Iterator[list[RtpEndpoint]]:
    """Give two recorders, of the caller's voice and of the callee's."""
    both = [RtpEndpoint("recorder-1"), RtpEndpoint("recorder-2")]
    tags = [call.caller.tag, call.callee.tag]
    parse_fork_offer(ask(call.ng, subscribe_request(call.call_id, tags, "fork-1")), tags)
    ask(call.ng, subscribe_answer(call.call_id, "fork-1", recorder_answer(*both)))
    yield both
    for each in both:
        each.close()


def test_tone_is_heard_by_its_party_beside_the_peer_and_by_no_recorder(
    call: AnsweredCall, recorders: list[RtpEndpoint], tmp_path: Path
) -> None:
    file = write_tone(tmp_path / "tone.wav", SECONDS)
    call.talk(1, "first")
    assert all(len(each.receive(1)) == 1 for each in recorders)
    reply = ask(call.ng, play_media(call.call_id, call.caller.tag, str(file)))
    assert reply["duration"] == SECONDS * 1000
    said = call.caller.send(10, "during"), call.callee.send(10, "during")
    heard = call.caller.receive(PACKETS + 10)
    assert set(said[1]) < set(heard)
    assert call.caller.hears_nothing()
    assert call.callee.receive(10) == said[0]
    assert call.callee.hears_nothing()
    for recorder, voice in zip(recorders, said, strict=True):
        assert recorder.receive(10) == voice
        assert recorder.hears_nothing()


def test_tone_is_cut_short_and_stopping_twice_is_no_fault(
    call: AnsweredCall, tmp_path: Path
) -> None:
    file = write_tone(tmp_path / "long.wav", 60)
    call.talk(1, "first")
    ask(call.ng, play_media(call.call_id, call.caller.tag, str(file)))
    call.caller.receive(3)
    for _ in range(2):
        assert ask(call.ng, stop_media(call.call_id, call.caller.tag))["result"] == "ok"
    said = call.callee.send(1, "last")[0]
    assert call.caller.hears(said)
    assert call.caller.hears_nothing()


def test_file_that_is_not_there_is_refused(call: AnsweredCall, tmp_path: Path) -> None:
    with pytest.raises(NgRefused, match="Failed to start media playback"):
        ask(call.ng, play_media(call.call_id, call.caller.tag, str(tmp_path / "none.wav")))


def test_call_that_is_over_is_told_apart(call: AnsweredCall, tmp_path: Path) -> None:
    for command in (play_media("none", "tag", "/tone.wav"), stop_media("none", "tag")):
        with pytest.raises(NgRefused) as caught:
            ask(call.ng, command)
        assert caught.value.unknown_call


def test_fork_is_never_played_to() -> None:
    """Its recorder would hear the tone as a party's voice."""
    with pytest.raises(ValueError, match="not the tag of a party"):
        play_media("call-1", "fork-1", "/tone.wav")
    with pytest.raises(ValueError, match="not the tag of a party"):
        stop_media("call-1", "fork-1")
    with pytest.raises(ValueError, match="no file"):
        play_media("call-1", "tag", "")
