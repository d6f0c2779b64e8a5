"""Pause and resume of a leg: the gate in rtpengine, and what the SRS is told. Pure.

The gate closes before the SRS is told, and opens only when it has agreed (RFC 7866 §7.1.1.1). What
is wished is held against what is so, after each event: whatever was lost on the way, and whatever
was wished meanwhile, the next step follows from that. One re-INVITE is open at a time.
"""

import zlib
from dataclasses import replace

from siprec import events as e
from siprec.errors import SdpError
from siprec.leg_end import (
    CHALLENGED,
    FLOW_FAILED,
    FLOW_TRIES,
    UNREACHABLE,
    At,
    Fault,
    LegOutcome,
    challenged,
    drop_late,
    wind_down,
)
from siprec.model import AlertLevel, Ask, Leg, StreamState
from siprec.sdp import check_answer, muted_offer

NO_ANSWER = 408
GLARE = 491
GONE = 481
# tm ends our re-INVITE at `answer_ms`; a reply that was lost on the way to us is given up then.
ASK_GRACE_MS = 3_000


def converge(leg: Leg, at: At) -> LegOutcome:
    """Give the next step from what is to what is wished; nothing when they agree."""
    leg, commands = _gate(leg, at)
    if leg.state is not StreamState.RECORDING:
        return LegOutcome(leg, commands)
    if _must_tell(leg, at):
        leg, asked = _ask(leg, at)
        commands = (*commands, asked)
    asked_ms = None if leg.asked is None else leg.asked.until_ms
    waits = (leg.options_ms, leg.retry_ms, asked_ms)
    due_ms = min((each for each in waits if each is not None), default=None)
    return LegOutcome(replace(leg, deadline_ms=due_ms), commands)


def _gate(leg: Leg, at: At) -> LegOutcome:
    """Cut off what is to be silent, and what the SRS has agreed, or is just told, to be so."""
    told = () if leg.asked is None else leg.asked.muted
    closed = tuple(label for label in _labels(leg) if label in {*at.muted, *leg.muted, *told})
    if closed == leg.gated:
        return LegOutcome(leg)
    return LegOutcome(replace(leg, gated=closed, is_gating=True), (e.AnswerFork(),))


def _labels(leg: Leg) -> list[str]:
    return [] if leg.offer is None else [media.label for media in leg.offer.media]


def _must_tell(leg: Leg, at: At) -> bool:
    is_told = leg.muted == at.muted and not leg.is_doubtful
    if is_told or leg.refused == at.muted:
        return False
    return not leg.is_gating and leg.asked is None and leg.retry_ms is None


def _ask(leg: Leg, at: At) -> tuple[Leg, e.LegCommand]:
    cseq = leg.cseq + 1
    offer = None if leg.offer is None else muted_offer(leg.offer, at.muted)
    until_ms = at.now_ms + at.plan.answer_ms + ASK_GRACE_MS
    asked = Ask(cseq=cseq, muted=at.muted, until_ms=until_ms)
    return replace(leg, offer=offer, cseq=cseq, asked=asked), e.SendReinvite()


def wish(leg: Leg, event: e.Paused | e.Resumed, at: At) -> LegOutcome:
    """Take a new wish: what the SRS refused before may be asked again."""
    return LegOutcome(replace(leg, refused=None))


def gate_set(leg: Leg, event: e.ForkAnswered, at: At) -> LegOutcome:
    """rtpengine has opened or closed the gate."""
    return LegOutcome(replace(leg, is_gating=False))


def agreed(leg: Leg, event: e.SrsAnswered, at: At) -> LegOutcome:
    """Take the 2xx to our re-INVITE; any other 2xx in the dialog is late or repeated."""
    asked = leg.asked
    if asked is None or event.attempt != leg.attempt or event.cseq != asked.cseq:
        return drop_late(leg, event, at)
    target = event.remote_target or leg.remote_target
    leg = replace(_answered(leg), remote_target=target, heard_ms=at.now_ms)
    if leg.offer is None or event.sdp is None:
        return _disagreed(_doubted(leg, asked), asked, "answered without SDP", at)
    try:
        checked = check_answer(leg.offer, event.sdp)
    except SdpError as error:
        fault = Fault(error.code, f"the SRS {leg.srs}: {error}")
        return wind_down(leg, at, bye=True, fault=fault)
    moved = replace(leg, muted=asked.muted, is_doubtful=False)
    if checked.sdp == leg.answer:
        return LegOutcome(moved)
    return LegOutcome(replace(moved, answer=checked.sdp, is_gating=True), (e.AnswerFork(),))


def refused(leg: Leg, event: e.SrsRefused, at: At) -> LegOutcome:
    """Take a refusal of our re-INVITE, or its timeout: the gate stays as it is."""
    asked, cseq = leg.asked, event.challenge.cseq
    if asked is None or event.attempt != leg.attempt or cseq != asked.cseq:
        return LegOutcome(leg)
    if event.status in CHALLENGED and (again := challenged(leg, event.challenge, at)) is not None:
        repeated = replace(again, asked=replace(asked, cseq=again.cseq))
        return LegOutcome(repeated, (e.SendReinvite(),))
    if event.status == GONE:
        text = f"the SRS {leg.srs} does not know the session any more (481)"
        fault = Fault(UNREACHABLE, text)
        return wind_down(leg, at, bye=False, fault=fault, heard_ms=leg.heard_ms)
    if event.status == FLOW_FAILED and leg.flow_tries < FLOW_TRIES:
        # Over another connection.
        return LegOutcome(replace(leg, asked=None, flow_tries=leg.flow_tries + 1))
    moved = _answered(leg)
    if event.status == GLARE:
        return LegOutcome(replace(moved, retry_ms=at.now_ms + _glare_ms(leg)))
    if event.is_timeout or event.status == NO_ANSWER:
        return _disagreed(_doubted(moved, asked), asked, event.reason, at)
    return _disagreed(moved, asked, f"answered {event.status} {event.reason}".strip(), at)


def _answered(leg: Leg) -> Leg:
    """Note that the re-INVITE is over: the next request has all its tries."""
    return replace(leg, asked=None, auth_tries=0, flow_tries=0)


def _doubted(leg: Leg, asked: Ask) -> Leg:
    """Note that the SRS may have done what it was told or not: the gate takes it for silent."""
    labels = {*leg.muted, *asked.muted}
    muted = tuple(label for label in _labels(leg) if label in labels)
    return replace(leg, asked=None, muted=muted, is_doubtful=True)


def _disagreed(leg: Leg, asked: Ask, why: str, at: At) -> LegOutcome:
    if asked.muted != at.muted:
        # Something else is wished meanwhile, and told next.
        return LegOutcome(leg)
    what = "the end of the pause" if set(asked.muted) < set(leg.muted) else "the pause"
    text = f"the SRS {leg.srs} does not agree to {what} ({why}): what was paused stays cut off"
    alert = e.RaiseAlert(code=UNREACHABLE, text=text, level=AlertLevel.WARNING)
    return LegOutcome(replace(leg, refused=asked.muted), (alert,))


def _glare_ms(leg: Leg) -> int:
    """RFC 3261 §14.1: who made the Call-ID waits 2.1 to 4 s, in steps of 10 ms."""
    return 2_100 + 10 * (zlib.crc32(f"{leg.call_id} {leg.cseq}".encode()) % 191)


def due(leg: Leg, event: e.DeadlinePassed, at: At) -> LegOutcome:
    """Do what has come to its time: the end of a glare, of an answer, or a question."""
    if _has_come(leg.retry_ms, at):
        leg = replace(leg, retry_ms=None)
    if leg.asked is not None and _has_come(leg.asked.until_ms, at):
        leg = _doubted(leg, leg.asked)
    if not _has_come(leg.options_ms, at):
        return LegOutcome(leg)
    asked = replace(leg, options_ms=at.now_ms + at.plan.check_ms)
    if leg.asked is not None:
        # Its answer will tell as well.
        return LegOutcome(asked)
    return LegOutcome(replace(asked, cseq=leg.cseq + 1), (e.SendOptions(),))


def _has_come(due_ms: int | None, at: At) -> bool:
    return due_ms is not None and due_ms <= at.now_ms


def gate_again(leg: Leg, event: e.OwnerChanged, at: At) -> LegOutcome:
    """Set the gate again after a takeover. The answer to a re-INVITE may still come."""
    return LegOutcome(replace(leg, is_gating=True), (e.AnswerFork(),))
