"""Likeness of recordings and voices, with signals that are known."""

import random
from math import pi, sin

import pytest

from siprec_control.demo_match import is_silent, match
from siprec_control.demo_voices import RATE_HZ


def babble(seed: int, length_s: float = 4.0) -> list[int]:
    """Make something like speech: syllables of noise and tone of random length and loudness."""
    chance = random.Random(seed)
    samples: list[int] = []
    while len(samples) < length_s * RATE_HZ:
        loudness, pitch_hz = chance.choice((0, 2000, 8000)), chance.uniform(100, 900)
        for i in range(chance.randrange(400, 2000)):
            tone = sin(2 * pi * pitch_hz * i / RATE_HZ)
            samples.append(int(loudness * (tone + chance.uniform(-0.3, 0.3))))
    return samples


ANN, BOB = babble(1), babble(2)


@pytest.mark.parametrize("at", [0, 160, 7_777, 16_000])
def test_piece_of_a_voice_is_found_where_it_is(at: int) -> None:
    found = match(ANN[at : at + 2 * RATE_HZ], ANN)
    assert found.correlation == pytest.approx(1.0)
    assert found.offset_s == at / RATE_HZ


def test_recording_that_begins_before_the_voice_is_found() -> None:
    found = match([0] * 1_234 + ANN, ANN)
    assert found.correlation == pytest.approx(1.0)
    assert found.offset_s == -1_234 / RATE_HZ


def test_quieter_copy_is_the_same_voice() -> None:
    assert match([sample // 4 for sample in ANN], ANN).correlation > 0.99


def test_other_voice_is_not_alike() -> None:
    assert abs(match(BOB, ANN).correlation) < 0.2


def test_mixture_is_like_neither_alone() -> None:
    mixed = [one + other for one, other in zip(ANN, BOB, strict=False)]
    assert 0.3 < match(mixed, ANN).correlation < 0.95


@pytest.mark.parametrize("recorded", [[], [0] * RATE_HZ, [8] * RATE_HZ])
def test_silence_is_like_nothing(recorded: list[int]) -> None:
    assert is_silent(recorded)
    assert abs(match(recorded, ANN).correlation) < 0.3
    assert not is_silent(ANN)
