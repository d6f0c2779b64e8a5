"""Whose voice is on a recording? Correlation of samples, in plain Python.

First the loudness curves of recording and voice are slid over each other until they fit best,
then the samples themselves, one by one, around that place.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from operator import mul

from siprec_control.demo_voices import RATE_HZ

# As far as a recording may begin before the voice, and what of it must overlap.
LEAD_S = 0.5
OVERLAP_S = 1.0

_HOP = 80
_PROBE = RATE_HZ // 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """How well a recording fits a voice.

    `correlation` is 1 for the same samples at any volume, about 0 for another voice and for
    silence. `offset_s` is the place in the voice at which the recording begins.
    """

    correlation: float
    offset_s: float


def match(recorded: Sequence[int], voice: Sequence[int]) -> Match:
    """Find the place in `voice` (samples of 8 kHz) that a recording fits best."""
    coarse = _best_hop(_loudness(recorded), _loudness(voice)) * _HOP
    probe_at = _loudest(recorded)
    probe = recorded[probe_at : probe_at + _PROBE]
    around = range(coarse - _HOP, coarse + _HOP + 1)
    best = max(around, key=lambda at: _correlation(probe, _cut(voice, at + probe_at, len(probe))))
    fits = _correlation(recorded, _cut(voice, best, len(recorded)))
    return Match(correlation=fits, offset_s=best / RATE_HZ)


def is_silent(recorded: Sequence[int]) -> bool:
    """Tell whether nobody is to be heard: less than a thousandth of full scale on average."""
    return sum(map(abs, recorded)) < 32 * max(1, len(recorded))


def _loudness(samples: Sequence[int]) -> list[float]:
    curve = [float(sum(map(abs, samples[i : i + _HOP]))) for i in range(0, len(samples), _HOP)]
    mean = sum(curve) / max(1, len(curve))
    return [value - mean for value in curve]


def _best_hop(recorded: list[float], voice: list[float]) -> int:
    lead, overlap = (int(seconds * RATE_HZ) // _HOP for seconds in (LEAD_S, OVERLAP_S))
    offsets = range(-lead, max(1, len(voice) - overlap))

    def fit(offset: int) -> float:
        begin = max(0, -offset)
        return _correlation(recorded[begin:], voice[offset + begin :])

    return max(offsets, key=fit)


def _loudest(samples: Sequence[int]) -> int:
    starts = range(0, max(1, len(samples) - _PROBE), _PROBE)
    return max(starts, key=lambda at: sum(map(abs, samples[at : at + _PROBE])))


def _cut(samples: Sequence[int], at: int, length: int) -> "array[int]":
    """Cut a piece out; before the start and behind the end is silence."""
    piece = array("h", bytes(2 * min(length, max(0, -at))))
    piece.extend(samples[max(0, at) : max(0, at + length)])
    piece.extend([0] * (length - len(piece)))
    return piece


def _correlation(one: Sequence[float], other: Sequence[float]) -> float:
    length = min(len(one), len(other))
    one, other = one[:length], other[:length]
    power = float(sum(map(mul, one, one))) * float(sum(map(mul, other, other)))
    return sum(map(mul, one, other)) / sqrt(power) if power else 0.0
