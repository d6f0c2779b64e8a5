"""Voices come out of espeak-ng and sox as SIPp needs them."""

from pathlib import Path

import pytest

from siprec_control import demo_voices
from siprec_control.demo_match import match
from siprec_control.demo_voices import (
    CALLEE,
    CALLER,
    LENGTH_S,
    RATE_HZ,
    DemoFailed,
    read_wav,
    speak,
)


def test_voices_have_one_length_and_are_not_alike(tmp_path: Path) -> None:
    spoken = [speak(voice, tmp_path) for voice in (CALLER, CALLEE)]
    (ann,), (bob,) = (read_wav(one.wav) for one in spoken)
    for one, samples in zip(spoken, (ann, bob), strict=True):
        assert len(samples) == one.alaw.stat().st_size == LENGTH_S * RATE_HZ
        # They speak to the end of the call.
        assert max(map(abs, samples[11 * RATE_HZ : 12 * RATE_HZ])) > 1_000
    assert match(ann, ann).correlation == pytest.approx(1.0)
    assert abs(match(ann, bob).correlation) < 0.1


def test_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_voices, "ESPEAK", "/nowhere/espeak-ng")
    with pytest.raises(DemoFailed, match=r"^/nowhere/espeak-ng: .*deploy/setup\.sh"):
        speak(CALLER, tmp_path)


def test_refusal_of_sox_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DemoFailed, match=r"espeak-ng|sox"):
        speak(CALLER, tmp_path / "nowhere")


def test_file_that_is_no_wav_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    with pytest.raises(DemoFailed, match=r"broken\.wav cannot be read"):
        read_wav(broken)
