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
from siprec.model import AlertLevel, Ask, Leg
from siprec.sdp import check_answer, muted_offer

GLARE = 491
GONE = 481
# tm ends our re-INVITE before; a reply that was lost on the way to us is given up then.
ASK_MS = 20_000


def converge(leg: Leg, at: At) -> LegOutcome:
    """Give the next step from what is to what is wished; nothing when they agree."""
    commands: list[e.LegCommand] = []
    closed = tuple(label for label in _labels(leg) if label in at.muted or label in leg.muted)
    if closed != leg.gated:
        leg = replace(leg, gated=closed, is_gating=True)
        commands.append(e.AnswerFork())
    must_tell = leg.muted != at.muted and leg.refused != at.muted
    if must_tell and not leg.is_gating and leg.asked is None and leg.retry_ms is None:
        leg, asked = _ask(leg, at)
        commands.append(asked)
    asked_ms = None if leg.asked is None else leg.asked.until_ms
    waits = (leg.options_ms, leg.retry_ms, asked_ms)
    due_ms = min((each for each in waits if each is not None), default=None)
    return LegOutcome(replace(leg, deadline_ms=due_ms), tuple(commands))


def _labels(leg: Leg) -> list[str]:
    return [] if leg.offer is None else [media.label for media in leg.offer.media]


def _ask(leg: Leg, at: At) -> tuple[Leg, e.LegCommand]:
    cseq = leg.cseq + 1
    offer = None if leg.offer is None else muted_offer(leg.offer, at.muted)
    asked = Ask(cseq=cseq, muted=at.muted, until_ms=at.now_ms + ASK_MS)
    return replace(leg, offer=offer, cseq=cseq, asked=asked), e.SendReinvite()


def wish(leg: Leg, event: e.Paused | e.Resumed, at: At) -> LegOutcome:
    """Take a new wish: what the SRS refused before may be asked again."""
    return LegOutcome(replace(leg, refused=None))


def gate_set(leg: Leg, event: e.ForkAnswered, at: At) -> LegOutcome:
    """rtpengine has opened or closed the gate."""
    return LegOutcome(replace(leg, is_gating=False))


def agreed(leg: Leg, event: e.SrsAnswered, at: At) -> LegOutcome:
    """Take the 2xx to our re-INVITE; any other 2xx in the dialog is late or repeated."""
    if leg.asked is None or event.attempt != leg.attempt or event.cseq != leg.asked.cseq:
        return drop_late(leg, event, at)
    moved = replace(
        leg,
        asked=None,
        muted=leg.asked.muted,
        remote_target=event.remote_target or leg.remote_target,
    )
    if leg.offer is None or event.sdp is None:
        return LegOutcome(moved)
    try:
        checked = check_answer(leg.offer, event.sdp)
    except SdpError as error:
        return wind_down(
            moved, at, bye=True, fault=Fault(error.code, f"the SRS {leg.srs}: {error}")
        )
    # While all is muted the answer that media goes by is that from before.
    answer = checked.sdp if checked.accepted else moved.answer
    is_moved = answer != moved.answer and bool(checked.accepted)
    moved = replace(moved, answer=answer, is_gating=moved.is_gating or is_moved)
    return LegOutcome(moved, (e.AnswerFork(),) if is_moved else ())


def disagreed(leg: Leg, event: e.SrsRefused, at: At) -> LegOutcome:
    """Take a refusal of our re-INVITE, or its timeout: the gate stays as it is."""
    asked, cseq = leg.asked, event.challenge.cseq
    if asked is None or event.attempt != leg.attempt or cseq != asked.cseq:
        return LegOutcome(leg)
    if event.status in CHALLENGED and (again := challenged(leg, event.challenge, at)) is not None:
        return LegOutcome(
            replace(again, asked=replace(asked, cseq=again.cseq)), (e.SendReinvite(),)
        )
    moved = replace(leg, asked=None)
    if event.status == GONE:
        text = f"the SRS {leg.srs} does not know the session any more (481)"
        return wind_down(moved, at, bye=False, fault=Fault(UNREACHABLE, text))
    if event.status == FLOW_FAILED and leg.flow_tries < FLOW_TRIES:
        return LegOutcome(replace(moved, flow_tries=leg.flow_tries + 1))
    if event.status == GLARE:
        return LegOutcome(replace(moved, retry_ms=at.now_ms + _glare_ms(leg)))
    return _refused(moved, asked, f"answered {event.status} {event.reason}".strip())


def _refused(leg: Leg, asked: Ask, why: str) -> LegOutcome:
    what = "the pause" if asked.muted else "the end of the pause"
    stays = "its media stays cut off" if leg.gated else "its media goes on"
    text = f"the SRS {leg.srs} does not agree to {what} ({why}): {stays}"
    alert = e.RaiseAlert(code=UNREACHABLE, text=text, level=AlertLevel.WARNING)
    return LegOutcome(replace(leg, refused=asked.muted), (alert,))


def _glare_ms(leg: Leg) -> int:
    """RFC 3261 §14.1: who made the Call-ID waits 2.1 to 4 s, in steps of 10 ms."""
    return 2_100 + 10 * (zlib.crc32(f"{leg.call_id} {leg.cseq}".encode()) % 191)


def due(leg: Leg, event: e.DeadlinePassed, at: At) -> LegOutcome:
    """Do what has come to its time: the end of a glare, of an answer, or a question."""
    if _has_come(leg.retry_ms, at):
        return LegOutcome(replace(leg, retry_ms=None))
    if leg.asked is not None and _has_come(leg.asked.until_ms, at):
        return _refused(replace(leg, asked=None), leg.asked, "no answer")
    moved = replace(leg, cseq=leg.cseq + 1, options_ms=at.now_ms + at.plan.check_ms)
    return LegOutcome(moved, (e.SendOptions(),))


def _has_come(due_ms: int | None, at: At) -> bool:
    return due_ms is not None and due_ms <= at.now_ms


def ask_again(leg: Leg, event: e.OwnerChanged, at: At) -> LegOutcome:
    """After a takeover nobody knows what became of a re-INVITE and of the gate: do both again."""
    moved = replace(leg, asked=None, retry_ms=None, is_gating=True)
    return LegOutcome(moved, (e.AnswerFork(),))
