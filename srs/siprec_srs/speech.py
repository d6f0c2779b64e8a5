"""Whether speech on an m-line comes when the metadata says that somebody sends there."""

from typing import Any

from siprec_srs.known import Participant
from siprec_srs.summary import iso
from siprec_srs.wav import RATE_HZ

# The metadata of a change comes after the media has changed, or a little before.
_SLACK_S = 1.0
_UNEXPLAINED_MAX_S = 0.2

Turn = tuple[float, list[Participant]]
Speech = dict[int, int]


def attribute(speech: Speech, turns: list[Turn]) -> tuple[list[dict[str, Any]], bool | None]:
    """Say who spoke when, and whether that is what the metadata says.

    speech: samples above -45 dBFS by tenth of a second since the epoch. turns: in order.
    Returns the periods, and None when there was no speech.
    """
    periods = [_period(turn, _end(turns, index), speech) for index, turn in enumerate(turns)]
    if not speech:
        return periods, None
    strange = sum(n for tenth, n in speech.items() if not _is_explained(tenth / 10, turns))
    return periods, strange <= _UNEXPLAINED_MAX_S * RATE_HZ


def _end(turns: list[Turn], index: int) -> float | None:
    return turns[index + 1][0] if index + 1 < len(turns) else None


def _period(turn: Turn, end: float | None, speech: Speech) -> dict[str, Any]:
    start, speakers = turn
    samples = sum(
        n for tenth, n in speech.items() if tenth >= int(start * 10) and not _is_after(tenth, end)
    )
    return {
        "participants": [{"aor": who.aor, "name": who.name} for who in speakers],
        "from": iso(start),
        "to": iso(end) if end is not None else None,
        "speech_s": round(samples / RATE_HZ, 2),
    }


def _is_after(tenth: int, end: float | None) -> bool:
    return end is not None and tenth >= int(end * 10)


def _is_explained(at: float, turns: list[Turn]) -> bool:
    """Tell whether somebody sent then, or just before, or just after."""
    return any(
        speakers and start - _SLACK_S <= at and (end is None or at <= end + _SLACK_S)
        for index, (start, speakers) in enumerate(turns)
        for end in [_end(turns, index)]
    )
