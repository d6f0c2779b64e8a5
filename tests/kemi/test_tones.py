"""The tone of recorded calls, heard out of a real rtpengine: begun, repeated, held back, ended."""

import select
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from siprec.changes import CallFile
from siprec.model import Side, Stream, StreamState
from siprec.settings import AwarenessSettings
from siprec_kemi.src import tones as module
from siprec_kemi.src.tones import Tones
from tests.control.processes import wait_until
from tests.kemi.recording import WITHIN_S, NgLoop, call_of, proxied_call
from tests.kemi.strict_ksr import StrictKsr
from tests.rtpengine.daemon import Rtpengine
from tests.rtpengine.media import AnsweredCall
from tests.rtpengine.sound_file import write_tone
from tests.siprec.streams import NOW_MS, stream_in

pytestmark = pytest.mark.daemon

LONG_S = 60.0
INTERVAL_S = 15
BOTH = (Side.CALLER, Side.CALLEE)


class Rig:
    """A call in rtpengine, a stream of it, and the tones of its controller. The time is `now_s`."""

    def __init__(
        self, media: AnsweredCall, tone: Path | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.media = media
        self.file: CallFile | None = CallFile(0x2A, call_of(media, NOW_MS))
        self.ahead_s = 0.0
        monkeypatch.setattr(module, "monotonic_s", lambda: time.monotonic() + self.ahead_s)
        self.loop = NgLoop()
        self.tones = Tones(
            AwarenessSettings(tone=str(tone) if tone else None, tone_interval_s=INTERVAL_S),
            file_of=lambda sid: self.file,
            register=self.loop.sockets.append,
        )
        media.talk(1, "first")

    def put(self, state: StreamState, paused: tuple[Side, ...] = ()) -> Stream:
        """Let the call have one stream in that state."""
        stream = replace(stream_in(state), paused=paused)
        if self.file is not None:
            self.file.streams = {stream.sid: stream}
        return stream

    def change(self, state: StreamState, paused: tuple[Side, ...] = ()) -> None:
        """Let the tones know of it."""
        self.tones.learn([self.put(state, paused)])

    def settle(self) -> None:
        """Turn as a controller does, until nothing is open any more."""
        give_up_s = time.monotonic() + WITHIN_S
        sockets = self.loop.sockets
        while any(socket.next_due() is not None for socket in sockets):
            assert time.monotonic() < give_up_s, "rtpengine does not answer"
            for socket in select.select(sockets, [], [], 0.05)[0]:
                self.tones.take(socket.receive())
            self.tones.care()

    def pass_time(self, seconds: float) -> None:
        """Let time pass, for the tones alone."""
        self.ahead_s += seconds
        self.tones.care()
        self.settle()

    def is_silent(self) -> bool:
        """Tell whether neither party hears anything, what is on its way apart."""
        parties = ((self.media.caller, self.media.callee), (self.media.callee, self.media.caller))
        for hears, says in parties:
            assert hears.hears(says.send(1, "still there")[0])
        return all(party.hears_nothing() for party, _ in parties)

    def is_heard(self) -> bool:
        """Tell whether both parties hear the tone."""
        return all(len(each.receive(3)) == 3 for each in (self.media.caller, self.media.callee))


@pytest.fixture
def call(rtpengine: Rtpengine) -> Iterator[AnsweredCall]:
    answered = proxied_call(rtpengine.ng, uuid4().hex)
    yield answered
    answered.close()


@pytest.fixture
def rig(call: AnsweredCall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    made = Rig(call, write_tone(tmp_path / "tone.wav", LONG_S), monkeypatch)
    yield made
    made.loop.close()


def test_tone_begins_when_recording_does_and_ends_with_it(rig: Rig) -> None:
    rig.change(StreamState.INVITING)
    assert rig.is_silent()
    rig.change(StreamState.RECORDING)
    rig.settle()
    assert rig.is_heard()
    rig.change(StreamState.STOPPING)
    rig.settle()
    assert rig.is_silent()
    rig.change(StreamState.STOPPED)
    assert rig.loop.sockets[0].next_due() is None


def test_tone_is_silent_while_paused_and_begins_anew_after(rig: Rig) -> None:
    rig.change(StreamState.RECORDING)
    rig.change(StreamState.RECORDING, paused=BOTH)
    rig.settle()
    # rtpengine may send one more packet after it has said that it stops.
    wait_until(rig.is_silent)
    rig.pass_time(INTERVAL_S + 1)
    assert rig.is_silent()
    rig.change(StreamState.RECORDING, paused=(Side.CALLER,))
    rig.settle()
    assert rig.is_heard()


def test_tone_is_repeated_at_the_interval_and_not_at_every_change(rig: Rig, tmp_path: Path) -> None:
    write_tone(tmp_path / "tone.wav", 0.06)
    rig.change(StreamState.RECORDING)
    rig.settle()
    assert rig.is_heard()
    assert rig.is_silent()
    rig.change(StreamState.RECORDING)
    rig.settle()
    assert rig.is_silent()
    due_s = rig.tones.next_due_s()
    assert due_s is not None
    for _ in range(2):
        rig.pass_time(INTERVAL_S + 0.1)
        assert rig.is_heard()
        assert rig.is_silent()
    rig.pass_time(1)
    assert rig.is_silent()


def test_tone_of_a_call_taken_over_waits_for_the_interval(rig: Rig) -> None:
    assert rig.file is not None
    rig.put(StreamState.INVITING)
    rig.tones.adopt([rig.file])
    assert rig.tones.next_due_s() is None
    rig.put(StreamState.RECORDING)
    for _ in range(2):
        rig.tones.adopt([rig.file])
    assert rig.is_silent()
    rig.pass_time(INTERVAL_S + 0.1)
    assert rig.is_heard()


def test_tone_of_a_call_given_away_is_no_longer_ours(rig: Rig) -> None:
    assert rig.file is not None
    rig.put(StreamState.RECORDING)
    rig.tones.adopt([rig.file])
    rig.file = None
    rig.pass_time(INTERVAL_S + 0.1)
    rig.pass_time(INTERVAL_S + 0.1)
    assert rig.is_silent()
    assert rig.tones.next_due_s() is None


def test_call_that_is_over_is_left_alone(rig: Rig) -> None:
    rig.change(StreamState.RECORDING)
    rig.settle()
    assert rig.file is not None
    rig.file.call = replace(rig.file.call, ended_ms=NOW_MS)
    rig.change(StreamState.STOPPING)
    assert rig.loop.sockets[0].next_due() is None


def test_call_that_rtpengine_forgot_is_no_fault(rig: Rig, ksr: StrictKsr) -> None:
    rig.media.ask("delete")
    rig.change(StreamState.RECORDING)
    rig.settle()
    assert ksr.named("log") == []


def test_file_that_is_not_there_is_logged(
    call: AnsweredCall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ksr: StrictKsr
) -> None:
    rig = Rig(call, tmp_path / "none.wav", monkeypatch)
    rig.change(StreamState.RECORDING)
    rig.settle()
    assert all("Failed to start media playback" in str(text) for _, text in ksr.named("log"))
    assert len(ksr.named("log")) == 2
    rig.loop.close()


def test_rtpengine_without_an_address_is_logged(rig: Rig, ksr: StrictKsr) -> None:
    assert rig.file is not None
    rig.file.call = replace(rig.file.call, rtpengine="nowhere.example:1")
    rig.change(StreamState.RECORDING)
    assert all("is not an IP address" in str(text) for _, text in ksr.named("log"))
    assert len(ksr.named("log")) == 2


def test_without_a_tone_nothing_is_played(
    call: AnsweredCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(call, None, monkeypatch)
    rig.change(StreamState.RECORDING)
    assert rig.file is not None
    rig.tones.adopt([rig.file])
    assert (rig.loop.sockets, rig.tones.next_due_s()) == ([], None)
