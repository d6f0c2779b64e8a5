"""Streams that are paused and resumed, step by step."""

from collections.abc import Iterable
from dataclasses import replace

from siprec import events as e
from siprec.leg_growth import offer_of
from siprec.model import Leg, Plan, Stream, StreamState, Track
from siprec.sdp.session import parse
from siprec.step import Outcome
from tests.siprec.streams import (
    CHALLENGE,
    LATER_MS,
    PLAN,
    answer_to,
    answered,
    follow,
    on_leg,
    stream_in,
)

BOTH = Track.BOTH.sides
PAUSE, RESUME = e.Paused(sides=BOTH), e.Resumed(sides=BOTH)
PAUSE_CALLER, RESUME_CALLER = e.Paused(sides=BOTH[:1]), e.Resumed(sides=BOTH[:1])
PAUSE_CALLEE = e.Paused(sides=BOTH[1:])
ALL = ("1", "2")
GATE_SET = e.ForkAnswered()


def asked(events: Iterable[e.Event | e.LegEvent] = (PAUSE, GATE_SET), plan: Plan = PLAN) -> Outcome:
    """Give a stream that recorded, whose re-INVITE is on its way after these events."""
    return follow(stream_in(StreamState.RECORDING, plan), events, LATER_MS)


def agree(
    stream: Stream, *, sdp: str | None = "", number: int = 1, remote_target: str = "sip:192.0.2.9"
) -> e.LegHappened:
    """Give the 2xx to the re-INVITE of a leg; it does what it was asked, unless told otherwise."""
    leg = leg_of(stream, number)
    if leg.asked is None:
        raise AssertionError("nothing is asked")
    offer = offer_of(leg)
    if offer is None:
        raise AssertionError("nothing is offered")
    ok = answered(leg.attempt, leg=number, sdp=answer_to(offer) if sdp == "" else sdp)
    to_us = replace(ok, cseq=leg.asked.cseq, to_tag=leg.to_tag, remote_target=remote_target)
    return on_leg(number, to_us)[0]


def refuse(
    stream: Stream, status: int, *, number: int = 1, is_timeout: bool = False
) -> e.LegHappened:
    """Give a final reply ≥ 300 to the re-INVITE of a leg."""
    leg = leg_of(stream, number)
    if leg.asked is None:
        raise AssertionError("nothing is asked")
    lines = (CHALLENGE,) if status == 401 else ()
    event = e.SrsRefused(
        attempt=leg.attempt,
        status=status,
        reason="no answer" if is_timeout else "No",
        challenge=e.Challenge(lines=lines, cseq=leg.asked.cseq),
        is_timeout=is_timeout,
    )
    return on_leg(number, event)[0]


def paused(plan: Plan = PLAN) -> Stream:
    """Give a stream that was paused, and whose SRS agreed."""
    stream = asked(plan=plan).stream
    return follow(stream, [agree(stream), GATE_SET], LATER_MS).stream


def leg_of(stream: Stream, number: int = 1) -> Leg:
    """Give a leg of the stream."""
    leg = stream.leg(number)
    if leg is None:
        raise AssertionError(f"no leg {number}")
    return leg


def gate(stream: Stream, number: int = 1) -> tuple[tuple[str, ...], bool]:
    """Tell what of a leg is cut off, and whether that is only on its way."""
    leg = leg_of(stream, number)
    return leg.gated, leg.is_gating


def directions(leg: Leg) -> list[str]:
    """Give the direction of each m-line that we last offered."""
    return [] if leg.offer is None else [media.direction for media in parse(leg.offer.sdp).media]


def version(leg: Leg) -> int:
    """Give the version in `o=` of what we last offered."""
    if leg.offer is None:
        raise AssertionError("nothing was offered")
    return int(leg.offer.sdp.splitlines()[1].split()[2])
