"""A sound file for rtpengine to play."""

import math
import struct
import wave
from pathlib import Path

RATE_HZ = 8000


def write_tone(file: Path, seconds: float, hz: float = 1000.0) -> Path:
    """Write a WAV file of one tone, which rtpengine may read."""
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE_HZ)
        samples = (math.sin(math.tau * hz * n / RATE_HZ) for n in range(int(RATE_HZ * seconds)))
        sound.writeframes(b"".join(struct.pack("<h", int(8000 * each)) for each in samples))
    return file
