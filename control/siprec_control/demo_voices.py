"""Two voices for the demo that nobody mixes up: made by espeak-ng, coded by sox."""

import subprocess
import sys
import wave
from array import array
from dataclasses import dataclass
from pathlib import Path

RATE_HZ = 8000
LENGTH_S = 16

ESPEAK = "/usr/bin/espeak-ng"
SOX = "/usr/bin/sox"


class DemoFailed(Exception):
    """The demo cannot go on. The message says why, for the person who started it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """Who speaks, how, and what. `pitch` is 0..99, `speed` in words per minute."""

    stem: str
    name: str
    accent: str
    pitch: int
    speed: int
    text: str


CALLER = Voice(
    stem="caller",
    name="Ann",
    accent="en-us+f3",
    pitch=75,
    speed=160,
    text="Good evening, this is Ann. I would like to order two pizzas, one with mushrooms and"
    " one with olives. Please bring them to the harbour at seven, we are on the blue boat."
    " Do you take cards? And could you add a bottle of water?",
)
CALLEE = Voice(
    stem="callee",
    name="Bob",
    accent="en-gb+m3",
    pitch=25,
    speed=145,
    text="Hello, Bob's kitchen speaking. Everything is baked fresh tonight. The olives have run"
    " out, sorry; may I offer artichokes instead? Seven works well for us. Cards are fine,"
    " and the delivery costs nothing.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A voice as it is sent: the 8 kHz A-law file for SIPp, and the same as WAV."""

    voice: Voice
    alaw: Path
    wav: Path


def speak(voice: Voice, folder: Path) -> Spoken:
    """Make the files of a voice in `folder`, `LENGTH_S` long, silent after the last word.

    Raises:
        DemoFailed: espeak-ng or sox is missing or refused.
    """
    said, alaw, wav = (folder / f"{voice.stem}{end}" for end in ("-said.wav", ".alaw", ".wav"))
    speech = ["-v", voice.accent, "-p", str(voice.pitch), "-s", str(voice.speed)]
    _run(ESPEAK, *speech, "-w", str(said), voice.text)
    raw = ["-t", "raw", "-r", str(RATE_HZ), "-c", "1", "-e", "a-law"]
    # 0.8: filtering may overshoot.
    length = ["pad", "0", str(LENGTH_S), "trim", "0", str(LENGTH_S)]
    _run(SOX, "-v", "0.8", str(said), *raw, str(alaw), "rate", *length)
    _run(SOX, *raw, str(alaw), "-e", "signed-integer", "-b", "16", str(wav))
    said.unlink()
    return Spoken(voice=voice, alaw=alaw, wav=wav)


def read_wav(path: Path) -> list["array[int]"]:
    """Read a 16-bit WAV file of 8 kHz: one array of samples a channel.

    Raises:
        DemoFailed: missing, or another kind of file.
    """
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getsampwidth(), file.getframerate()) != (2, RATE_HZ):
                raise DemoFailed(f"{path} is not 16 bit at {RATE_HZ} Hz")
            channels = file.getnchannels()
            mixed = array("h", file.readframes(file.getnframes()))
    except (OSError, wave.Error, EOFError) as error:
        raise DemoFailed(f"{path} cannot be read: {error}") from error
    if sys.byteorder == "big":
        mixed.byteswap()
    return [mixed[channel::channels] for channel in range(channels)]


def _run(program: str, *arguments: str) -> None:
    try:
        subprocess.run([program, *arguments], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or b""
        why = said.decode(errors="replace").strip() or str(error)
        raise DemoFailed(f"{program}: {why} (deploy/setup.sh installs it)") from error
