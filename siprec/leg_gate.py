"""The gate of a leg: what rtpengine is told not to send. Pure.

It closes before the SRS is told, and opens only when it has agreed (RFC 7866 §7.1.1.1).
"""

from dataclasses import replace

from siprec import events as e
from siprec.leg_end import At, LegOutcome
from siprec.leg_growth import forget_growth
from siprec.model import Leg


def gate(leg: Leg, at: At) -> LegOutcome:
    """Cut off what is to be silent, and what the SRS has agreed, or is just told, to be so."""
    told = () if leg.asked is None else leg.asked.muted
    closed = tuple(label for label in labels_of(leg) if label in {*at.muted, *leg.muted, *told})
    if closed == leg.gated:
        return LegOutcome(leg)
    return LegOutcome(replace(leg, gated=closed, is_gating=True), (e.AnswerFork(),))


def labels_of(leg: Leg) -> tuple[str, ...]:
    """List the labels of what the SRS agreed on, or is offered."""
    return () if leg.offer is None else leg.offer.labels


def gate_set(leg: Leg, event: e.ForkAnswered, at: At) -> LegOutcome:
    """rtpengine has opened or closed the gate."""
    return LegOutcome(replace(leg, is_gating=False))


def gate_again(leg: Leg, event: e.OwnerChanged, at: At) -> LegOutcome:
    """Set the gate again after a takeover. The answer to a request of ours may still come."""
    leg, released = forget_growth(leg, at)
    return LegOutcome(replace(leg, is_gating=True), (e.AnswerFork(), *released))
