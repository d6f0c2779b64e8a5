"""Sounds as raw A-law (8 kHz): frames that are known one by one, and pure tones.

`python -m tests.scenarios.sounds HZ FILE` writes one second of a tone, for SIPp to play; in
µ-law when the file is named so (`.ulaw`).
"""

import hashlib
import math
import sys
from pathlib import Path

RATE_HZ = 8000
FRAME_BYTES = 160


def frames(seed: str, count: int = 500) -> bytes:
    """Make `count` frames of 20 ms that differ from each other and from those of other seeds."""
    return b"".join(_frame(seed, number) for number in range(count))


def _frame(seed: str, number: int) -> bytes:
    return hashlib.shake_128(f"{seed}:{number}".encode()).digest(FRAME_BYTES)


def place_in(recorded: bytes, sent: bytes) -> int | None:
    """Find the frame at which `recorded` begins in `sent`, which is played over and over.

    None when it is not, byte by byte and without a gap, what was sent.
    """
    if len(recorded) % FRAME_BYTES or not recorded:
        return None
    at = sent.find(recorded[:FRAME_BYTES])
    if at < 0 or at % FRAME_BYTES:
        return None
    loops = 1 + (at + len(recorded)) // len(sent)
    return at // FRAME_BYTES if (sent * loops)[at : at + len(recorded)] == recorded else None


def gaps(recorded: bytes, sent: bytes) -> list[tuple[int, int]]:
    """List the gaps in a recording of `sent`: after how many frames, and how many are missing.

    A frame that was never sent counts as a gap of its own.
    """
    total = len(sent) // FRAME_BYTES
    places = {
        sent[at : at + FRAME_BYTES]: at // FRAME_BYTES for at in range(0, len(sent), FRAME_BYTES)
    }
    cuts = range(0, len(recorded), FRAME_BYTES)
    found = [places.get(recorded[at : at + FRAME_BYTES], -1) for at in cuts]
    steps = ((found[n] - found[n - 1] - 1) % total for n in range(1, len(found)))
    return [(n, step) for n, step in enumerate(steps, 1) if step]


def tone(hz: float, seconds: float = 1.0, level: float = 0.5, *, is_ulaw: bool = False) -> bytes:
    """Make a pure tone; `level` is the amplitude, at most 1."""
    step = 2 * math.pi * hz / RATE_HZ
    samples = range(round(RATE_HZ * seconds))
    encode = _ulaw if is_ulaw else _alaw
    return bytes(encode(round(32767 * level * math.sin(step * n))) for n in samples)


def _alaw(sample: int) -> int:
    """Encode one 16 bit sample, ITU-T G.711."""
    mask, magnitude = (0xD5, sample >> 3) if sample >= 0 else (0x55, -(sample >> 3) - 1)
    segment = max(0, magnitude.bit_length() - 5)
    return (segment << 4 | (magnitude >> max(segment, 1)) & 0x0F) ^ mask


def _ulaw(sample: int) -> int:
    """Encode one 16 bit sample, ITU-T G.711; the bias of 33 is in steps of 14 bit samples."""
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    biased = min((magnitude >> 2) + 33, 0x1FFF)
    segment = biased.bit_length() - 6
    return 0xFF ^ (sign | segment << 4 | (biased >> (segment + 1)) & 0x0F)


if __name__ == "__main__":
    _file = Path(sys.argv[2])
    _file.write_bytes(tone(float(sys.argv[1]), is_ulaw=_file.suffix == ".ulaw"))
