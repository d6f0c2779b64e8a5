"""Speech on an m-line held against who is said to send there."""

import pytest

from siprec_srs.known import Participant
from siprec_srs.speech import Turn, attribute

ALICE = Participant(aor="sip:alice@example.com", name="Alice")
BOB = Participant(aor="sip:bob@example.com", name="")


def _speech(start: float, seconds: float) -> dict[int, int]:
    first = round(start * 10)
    return {tenth: 800 for tenth in range(first, first + round(seconds * 10))}


def test_silence_says_nothing() -> None:
    assert attribute({}, [(0.0, [ALICE])])[1] is None


@pytest.mark.parametrize(
    ("start", "seconds", "agrees"),
    [
        (100.0, 10.0, True),
        # Hold was told a little late, and so was its end.
        (109.0, 1.9, True),
        (119.2, 1.0, True),
        (112.0, 0.2, True),
        (112.0, 0.3, False),
        (98.0, 0.5, False),
        (99.5, 0.5, True),
    ],
)
def test_speech_agrees_when_somebody_is_said_to_send(
    start: float, seconds: float, agrees: bool
) -> None:
    turns: list[Turn] = [(100.0, [ALICE]), (110.0, []), (120.0, [ALICE])]
    assert attribute(_speech(start, seconds), turns)[1] is agrees


def test_speech_belongs_to_the_turn_it_came_in() -> None:
    turns: list[Turn] = [(100.0, [ALICE]), (110.0, [BOB])]
    periods, agrees = attribute(_speech(108.0, 3.0), turns)
    assert agrees is True
    assert [(turn["participants"][0]["aor"], turn["speech_s"]) for turn in periods] == [
        (ALICE.aor, 2.0),
        (BOB.aor, 1.0),
    ]
    assert periods[0]["to"] == periods[1]["from"] == "1970-01-01T00:01:50.000Z"
    assert periods[1]["to"] is None


def test_speech_without_any_metadata_agrees_with_nothing() -> None:
    assert attribute(_speech(100.0, 1.0), []) == ([], False)
