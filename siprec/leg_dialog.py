"""What an SRS is told in the dialog of a leg that records, and what comes of it. Pure.

What the SRS should know is held against what it does know, after each event: whatever was lost on
the way, and whatever changed meanwhile, the next request follows from that. So one request is
open at a time, and changes that come while it is are told together.
"""

import zlib
from dataclasses import replace

from siprec import events as e
from siprec.alerts import AlertLevel
from siprec.connector import MetadataBy
from siprec.errors import SdpError
from siprec.leg_end import (
    BAD_ANSWER,
    CHALLENGED,
    FLOW_FAILED,
    FLOW_TRIES,
    GONE,
    UNREACHABLE,
    At,
    Fault,
    LegOutcome,
    challenged,
    drop_late,
    forgotten,
    wind_down,
)
from siprec.leg_gate import gate, labels_of
from siprec.leg_growth import fit, give_up_growing, grow, growing, grown_in_doubt, take_grown
from siprec.model import Ask, Leg, Question, StreamState
from siprec.sdp import check_answer, grown_offer, muted_offer
from siprec.session_timer import running, timer_of_answer

NO_ANSWER = 408
TOO_SMALL = 422
GLARE = 491
# What an SRS says that does not know UPDATE, or not with metadata alone.
NO_UPDATE = (400, 405, 415, 488, 501)
# tm ends our request at `answer_ms`; a reply that was lost on the way to us is given up then.
ASK_GRACE_MS = 3_000
# It ends our OPTIONS after 4 s.
QUESTION_MS = 4_000 + ASK_GRACE_MS
# A 2xx is repeated for so long until its ACK comes: 64 times T1 (RFC 3261 §13.3.1.4).
ACK_MS = 32_000
# Changes of the metadata alone are told this far apart.
UPDATE_GAP_MS = 1_000
# An SRS that puts us off is asked again so often, at the latest after so long.
RETRIES = 3
RETRY_AFTER_MS = 60_000
REFRESH_AGAIN_MS = 10_000


def converge(leg: Leg, at: At) -> LegOutcome:
    """Give the next step from what the SRS knows to what it should; nothing when they agree."""
    at = replace(at, picture=fit(leg, at.picture))
    leg, commands = gate(leg, at)
    if leg.state is not StreamState.RECORDING:
        return LegOutcome(leg, commands)
    leg, further = grow(leg, at)
    commands = (*commands, *further)
    asked = _next_ask(leg, at)
    if asked is not None:
        leg = _asking(leg, asked)
        commands = (*commands, e.SendAsked(cseq=asked.cseq))
    leg, further = _check(leg, at)
    return LegOutcome(replace(leg, deadline_ms=_due_ms(leg, at)), (*commands, *further))


def _check(leg: Leg, at: At) -> LegOutcome:
    """Ask the SRS whether it knows the dialog, when it is time and no other answer will tell."""
    if not _has_come(leg.options_ms, at):
        return LegOutcome(leg)
    leg = replace(leg, options_ms=at.now_ms + at.plan.check_ms)
    if _is_asking(leg):
        return LegOutcome(leg)
    question = Question(cseq=leg.cseq + 1, until_ms=at.now_ms + QUESTION_MS)
    leg = replace(leg, cseq=question.cseq, question=question)
    return LegOutcome(leg, (e.SendOptions(cseq=question.cseq),))


def _is_asking(leg: Leg) -> bool:
    """Tell whether the SRS has yet to answer a request or an offer: there is one at a time."""
    waits = (leg.asked, leg.question, leg.ack_until_ms)
    return any(each is not None for each in waits)


def request_of(leg: Leg, command: e.SendAsked | e.SendOptions) -> Leg | None:
    """Give the leg for the request that a command is to send; None: it was overtaken.

    What has happened since the command was given may have ended the dialog, or the wait.
    """
    asked = leg.asked if isinstance(command, e.SendAsked) else leg.question
    is_up = leg.state in (StreamState.CONNECTING, StreamState.RECORDING)
    if not is_up or asked is None or asked.cseq != command.cseq:
        return None
    return replace(leg, cseq=command.cseq)


def _next_ask(leg: Leg, at: At) -> Ask | None:
    """Give what is to be asked of the SRS now."""
    if leg.is_gating or _is_asking(leg) or leg.retry_ms is not None:
        return None
    must_mute = _must_mute(leg, at)
    must_refresh = leg.timer is not None and _has_come(leg.timer.refresh_ms, at)
    must_tell = _must_tell(leg, at)
    if leg.next_offer is not None:
        until_ms = at.now_ms + at.plan.answer_ms + ASK_GRACE_MS
        return growing(leg, at, is_refresh=must_refresh, until_ms=until_ms)
    if not (must_mute or must_refresh or (must_tell and _update_ms(leg) <= at.now_ms)):
        return None
    is_full = must_tell and leg.told is None
    wants_update = at.plan.metadata_by is MetadataBy.UPDATE and not leg.no_update
    return Ask(
        cseq=leg.cseq + 1,
        muted=at.muted if must_mute else leg.muted,
        picture=at.picture if must_mute or must_tell else None,
        is_full=is_full,
        # What names labels travels with the SDP that defines them (RFC 7866 §9.1).
        by_update=wants_update and not must_mute and not is_full,
        is_refresh=must_refresh,
        until_ms=at.now_ms + at.plan.answer_ms + ASK_GRACE_MS,
    )


def _must_mute(leg: Leg, at: At) -> bool:
    is_known = leg.muted == at.muted and not leg.is_doubtful
    return not is_known and leg.refused != at.muted


def _must_tell(leg: Leg, at: At) -> bool:
    if leg.next_fork:
        # The video that is to come has a request of its own.
        return False
    return leg.told != at.picture and leg.untold != at.picture


def _update_ms(leg: Leg) -> int:
    """Tell when the metadata may be told again. Who asks for a snapshot gets it at once."""
    return 0 if leg.told is None else leg.told_ms + UPDATE_GAP_MS


def _asking(leg: Leg, asked: Ask) -> Leg:
    offer = leg.offer
    if offer is None or asked.by_update:
        return replace(leg, cseq=asked.cseq, asked=asked)
    if asked.grows and leg.next_offer is not None:
        grown = grown_offer(leg.next_offer, offer, asked.muted, leg.dropped)
        return replace(leg, next_offer=grown, cseq=asked.cseq, asked=asked)
    offer = muted_offer(offer, asked.muted, leg.dropped)
    return replace(leg, offer=offer, cseq=asked.cseq, asked=asked)


def _due_ms(leg: Leg, at: At) -> int | None:
    """Tell when something is due next."""
    waits = [leg.options_ms, leg.retry_ms, leg.ack_until_ms]
    if leg.timer is not None:
        waits.append(leg.timer.expires_ms)
    waits += [each.until_ms for each in (leg.asked, leg.question) if each is not None]
    if leg.retry_ms is None and not leg.is_gating and not _is_asking(leg):
        waits.append(None if leg.timer is None else leg.timer.refresh_ms)
        waits.append(_update_ms(leg) if _must_tell(leg, at) else None)
    return min((each for each in waits if each is not None), default=None)


def wish(leg: Leg, event: e.Paused | e.Resumed | e.Pictured, at: At) -> LegOutcome:
    """Take a new wish: what the SRS refused before may be asked again."""
    return LegOutcome(replace(leg, refused=None, untold=None))


def give_snapshot(leg: Leg, event: e.SnapshotRequested, at: At) -> LegOutcome:
    """Tell the SRS all there is (RFC 7866 §9.2)."""
    return LegOutcome(replace(leg, told=None, untold=None))


def offered(leg: Leg, event: e.OfferGiven, at: At) -> LegOutcome:
    """Wait for the ACK that brings the answer: until then nothing else is offered."""
    return LegOutcome(replace(leg, ack_until_ms=at.now_ms + ACK_MS))


def refreshed(leg: Leg, event: e.SrsRefreshed, at: At) -> LegOutcome:
    """Start the session timer anew."""
    timer = running(event.interval_s, is_ours=event.is_ours, now_ms=at.now_ms)
    return LegOutcome(replace(leg, timer=timer, heard_ms=at.now_ms))


def agreed(leg: Leg, event: e.SrsAnswered, at: At) -> LegOutcome:
    """Take the 2xx to our request; any other 2xx in the dialog is late or repeated."""
    asked = leg.asked
    if asked is None or event.attempt != leg.attempt or event.cseq != asked.cseq:
        return drop_late(leg, event, at)
    asked_s = asked_interval_s(leg, at)
    leg = replace(
        _answered(leg),
        remote_target=event.remote_target or leg.remote_target,
        heard_ms=at.now_ms,
        timer=timer_of_answer(event.session_expires, asked_s, at.now_ms),
        retries=0,
    )
    if asked.by_update:
        return LegOutcome(_told(leg, asked, at))
    if asked.grows:
        return take_grown(leg, event.sdp, asked, at)
    if leg.offer is None or event.sdp is None:
        return _disagreed(_doubted(leg, asked), asked, "answered without SDP", at)
    try:
        checked = check_answer(leg.offer, event.sdp)
    except SdpError as error:
        fault = Fault(error.code, f"the SRS {leg.srs}: {error}")
        return wind_down(leg, at, bye=True, fault=fault)
    moved = replace(
        _told(leg, asked, at), muted=asked.muted, is_doubtful=False, dropped=checked.refused
    )
    if checked.sdp == leg.answer:
        return LegOutcome(moved)
    # The gate is as it was: what is paused stays so while rtpengine is told of the new answer.
    return LegOutcome(replace(moved, answer=checked.sdp), (e.AnswerFork(),))


def asked_interval_s(leg: Leg, at: At) -> int:
    """Give the session timer that our requests ask for, in seconds; 0: none."""
    return max(at.plan.session_s, leg.min_se_s) if at.plan.session_s else 0


def _told(leg: Leg, asked: Ask, at: At) -> Leg:
    if asked.picture is None:
        return leg
    return replace(leg, told=asked.picture, told_ms=at.now_ms)


def refused(leg: Leg, event: e.SrsRefused, at: At) -> LegOutcome:
    """Take a refusal of our request, or its timeout: the gate stays as it is."""
    asked, cseq = leg.asked, event.challenge.cseq
    if asked is None or event.attempt != leg.attempt or cseq != asked.cseq:
        return LegOutcome(leg)
    if event.status in CHALLENGED and (again := challenged(leg, event.challenge, at)) is not None:
        return _once_more(again, asked)
    is_timeout = event.is_timeout or event.status == NO_ANSWER
    if event.status == GONE:
        return forgotten(leg, at)
    if is_timeout and asked.is_refresh:
        return _expired(leg, at)
    if event.status == FLOW_FAILED and leg.flow_tries < FLOW_TRIES:
        # Over another connection.
        return LegOutcome(replace(leg, asked=None, flow_tries=leg.flow_tries + 1))
    if event.status == TOO_SMALL and event.min_se_s > asked_interval_s(leg, at):
        return _once_more(replace(leg, cseq=leg.cseq + 1, min_se_s=event.min_se_s), asked)
    moved = _answered(leg)
    if asked.grows and is_timeout:
        return grown_in_doubt(leg, event.reason, at)
    if event.status == GLARE:
        return LegOutcome(replace(moved, retry_ms=at.now_ms + _glare_ms(leg)))
    if asked.by_update and event.status in NO_UPDATE:
        return LegOutcome(replace(moved, no_update=True))
    if event.retry_after_s and leg.retries < RETRIES:
        retry_ms = at.now_ms + min(event.retry_after_s * 1000, RETRY_AFTER_MS)
        return LegOutcome(replace(moved, retry_ms=retry_ms, retries=leg.retries + 1))
    if asked.grows:
        return give_up_growing(moved, f"answered {event.status} {event.reason}".strip(), at)
    if is_timeout:
        return _disagreed(_doubted(moved, asked), asked, event.reason, at)
    return _disagreed(moved, asked, f"answered {event.status} {event.reason}".strip(), at)


def _once_more(leg: Leg, asked: Ask) -> LegOutcome:
    """Send the request again, with what its answer asked for."""
    asked = replace(asked, cseq=leg.cseq)
    return LegOutcome(replace(leg, asked=asked), (e.SendAsked(cseq=asked.cseq),))


def _expired(leg: Leg, at: At) -> LegOutcome:
    """Leave an SRS that lets the session expire (RFC 4028 §10)."""
    fault = Fault(UNREACHABLE, f"the SRS {leg.srs} did not answer the refresh of the session")
    return wind_down(leg, at, bye=True, fault=fault, heard_ms=leg.heard_ms)


def _answered(leg: Leg) -> Leg:
    """Note that the request is over: the next one has all its tries."""
    return replace(leg, asked=None, auth_tries=0, flow_tries=0)


def _doubted(leg: Leg, asked: Ask) -> Leg:
    """Note that the SRS may have done what it was told or not: the gate takes it for silent."""
    told = leg.told if asked.picture is None else None
    if asked.by_update:
        return replace(leg, asked=None, told=told)
    labels = {*leg.muted, *asked.muted}
    muted = tuple(label for label in labels_of(leg) if label in labels)
    return replace(leg, asked=None, muted=muted, is_doubtful=True, told=told)


def _disagreed(leg: Leg, asked: Ask, why: str, at: At) -> LegOutcome:
    """Go on without what the SRS did not take, and tell people."""
    leg = _refresh_later(leg, asked, at)
    is_outdated = asked.muted != at.muted or asked.picture not in (None, at.picture)
    if is_outdated:
        # Something else is wished meanwhile, and told next.
        return LegOutcome(leg)
    if asked.muted == leg.muted and not leg.is_doubtful:
        if asked.picture is None:
            return LegOutcome(leg)
        text = f"the SRS {leg.srs} does not take what changed in the call ({why})"
        text += ": its metadata is not up to date"
    else:
        what = "the end of the pause" if set(asked.muted) < set(leg.muted) else "the pause"
        text = f"the SRS {leg.srs} does not agree to {what} ({why}): what was paused stays cut off"
    alert = e.RaiseAlert(code=UNREACHABLE, text=text, level=AlertLevel.WARNING)
    untold = leg.untold if asked.picture is None else asked.picture
    return LegOutcome(replace(leg, refused=asked.muted, untold=untold), (alert,))


def _refresh_later(leg: Leg, asked: Ask, at: At) -> Leg:
    """Refresh a session that can expire again soon; one that cannot needs no further try."""
    timer = leg.timer
    if timer is None or not asked.is_refresh:
        return leg
    again_ms = None if timer.expires_ms is None else at.now_ms + REFRESH_AGAIN_MS
    return replace(leg, timer=replace(timer, refresh_ms=again_ms))


def _glare_ms(leg: Leg) -> int:
    """RFC 3261 §14.1: who made the Call-ID waits 2.1 to 4 s, in steps of 10 ms."""
    return 2_100 + 10 * (zlib.crc32(f"{leg.call_id} {leg.cseq}".encode()) % 191)


def due(leg: Leg, event: e.DeadlinePassed, at: At) -> LegOutcome:
    """Note what has come to its time: the end of a session, of a glare, or of a wait."""
    if leg.timer is not None and _has_come(leg.timer.expires_ms, at):
        text = f"the SRS {leg.srs} let the session expire: nobody refreshed it"
        fault = Fault(UNREACHABLE, text)
        return wind_down(leg, at, bye=True, fault=fault, heard_ms=leg.heard_ms)
    if _has_come(leg.retry_ms, at):
        leg = replace(leg, retry_ms=None)
    if leg.asked is not None and _has_come(leg.asked.until_ms, at):
        if leg.asked.grows:
            return grown_in_doubt(leg, "did not answer", at)
        leg = _doubted(leg, leg.asked)
    if leg.question is not None and _has_come(leg.question.until_ms, at):
        leg = replace(leg, question=None)
    if not _has_come(leg.ack_until_ms, at):
        return LegOutcome(leg)
    # RFC 3261 §13.3.1.4 would have a BYE now. What was agreed before goes on, and OPTIONS tell
    # whether the SRS still knows the dialog: a recording is not ended for that.
    text = f"the SRS {leg.srs} asked for an offer and did not answer it: no ACK with SDP came"
    alert = e.RaiseAlert(code=BAD_ANSWER, text=text, level=AlertLevel.WARNING)
    return LegOutcome(replace(leg, ack_until_ms=None), (alert,))


def _has_come(due_ms: int | None, at: At) -> bool:
    return due_ms is not None and due_ms <= at.now_ms
