"""The tone of a recorded call, as both parties hear it and its recorder does not."""

import select
from collections.abc import Iterator

import pytest

from tests.rtpengine.sound_file import write_tone
from tests.scenarios.conftest import STAGE
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.stage import RECORD, Stage, dial
from tests.scenarios.talk import talk

pytestmark = pytest.mark.daemon

WITHIN_S = 10.0
# Between two packets of a tone there are 20 ms.
SILENCE_S = 0.5


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Give a stack that plays a tone of one second every two seconds."""
    folder = tmp_path_factory.mktemp("tones")
    tone = write_tone(folder / "tone.wav", 1.0)
    settings = {**STAGE, "awareness": {"tone": str(tone), "tone_interval_s": 2}}
    with Stage(folder, settings=settings) as made:
        yield made
        assert made.new_errors() == []


def hears(phone: Phone, within_s: float = WITHIN_S) -> bool:
    """Tell whether a packet comes to the phone."""
    readable = select.select([phone.rtp], [], [], within_s)[0]
    return bool(readable and phone.rtp.recv(2048))


def falls_silent(phone: Phone) -> bool:
    """Tell whether a tone ends, at the latest with its file."""
    return any(not hears(phone, SILENCE_S) for _ in range(200))


def test_both_hear_the_tone_and_the_recorder_only_their_voices(stage: Stage) -> None:
    alice, bob = stage.pair()
    alice.invite(stage.number(RECORD, dial(bob)))
    answer(alice, bob)
    stage.wait_recording(alice)
    for _ in range(2):
        assert all(hears(phone) for phone in (alice, bob))
        assert all(falls_silent(phone) for phone in (alice, bob))
    sid = stage.wait_call(alice).sid
    stage.stack.cli("stream", "pause", "all", "--call", sid, "--wait")
    assert all(falls_silent(phone) for phone in (alice, bob))
    assert not hears(alice, 3.0)
    stage.stack.cli("stream", "resume", "all", "--call", sid, "--wait")
    assert all(hears(phone) for phone in (alice, bob))
    stage.stack.cli("stream", "stop", "all", "--call", sid, "--wait")
    assert all(falls_silent(phone) for phone in (alice, bob))
    assert not hears(bob, 3.0)
    talk(alice, bob)
    hang_up(alice, bob)
    session = stage.wait_recorded(alice)
    assert [track.summary["packets"] for track in session.tracks] == [0, 0]


def test_unrecorded_call_hears_none(stage: Stage) -> None:
    alice, bob = stage.pair()
    alice.invite(stage.number(dial(bob)))
    answer(alice, bob)
    stage.wait_call(alice)
    assert not hears(alice, 1.0)
    hang_up(alice, bob)
