"""How a leg comes to record: what the events up to there do. siprec.transitions names the handlers.

RFC 3261 §13 and §22, RFC 3264.
"""

from dataclasses import replace

from siprec import events as e
from siprec.alerts import AlertLevel
from siprec.connector import OnSecureCall
from siprec.errors import SdpError, SipUriError
from siprec.leg_dialog import TOO_SMALL, asked_interval_s
from siprec.leg_end import (
    BAD_ANSWER,
    CHALLENGED,
    FLOW_FAILED,
    FLOW_TRIES,
    UNREACHABLE,
    At,
    Fault,
    LegOutcome,
    challenged,
    dialog_of,
    drop_late,
    is_outdated,
    release_others,
    wind_down,
)
from siprec.leg_growth import forget_growth
from siprec.leg_target import target_of
from siprec.model import Leg, StreamState
from siprec.sdp import check_answer, muted_offer
from siprec.session_timer import timer_of_answer
from siprec.sids import make_fork_tag, make_leg_call_id

FORK_MS = 3_000
FORK_RETRY_MS = 250
FORK_TRIES = 4
CONNECT_MS = 3_000
# tm ends the INVITE at its limit; its reply gets this much time to arrive.
INVITE_GRACE_MS = 1_000

AUTHENTICATION = 32106
NO_MEDIA = 31953
NOT_SECURE = 32209

# What every SRS would answer to the same request: it is the request that is wrong, or 6xx,
# which speaks for all (RFC 3261 §21.6).
SAME_EVERYWHERE = frozenset((400, 413, 414, 416))

S = StreamState


def fork(leg: Leg, at: At) -> LegOutcome:
    """Ask for a fork under a tag never used before."""
    tag = make_fork_tag(at.sid, leg.number, leg.forks)
    moved = replace(
        leg, state=S.FORKING, fork_tag=tag, fork_done=False, deadline_ms=at.now_ms + FORK_MS
    )
    return LegOutcome(moved, (e.RequestFork(),))


def _fork_again(leg: Leg, at: At) -> LegOutcome:
    # After a takeover most of the time may be gone: one attempt is always made.
    give_up_ms = max(leg.give_up_ms, at.now_ms + FORK_MS + at.plan.answer_ms)
    again = replace(leg, forks=leg.forks + 1, attempt=leg.attempt + 1, give_up_ms=give_up_ms)
    asked = fork(again, at)
    return LegOutcome(asked.leg, (e.ReleaseFork(fork_tag=leg.fork_tag), *asked.commands))


def _invite(leg: Leg, at: At) -> LegOutcome:
    moved = replace(
        leg,
        offer=None if leg.offer is None else muted_offer(leg.offer, at.muted),
        muted=at.muted,
        state=S.INVITING,
        call_id=make_leg_call_id(at.sid, leg.number, leg.attempt),
        from_tag=f"{at.sid[2:]}-{leg.number}-{leg.attempt}",
        to_tag="",
        cseq=1,
        remote_cseq=0,
        remote_target="",
        route_set=(),
        challenges=(),
        challenged_cseq=0,
    )
    return _send_invite(moved, at)


def _send_invite(leg: Leg, at: At) -> LegOutcome:
    due_ms = min(at.now_ms + at.plan.answer_ms + INVITE_GRACE_MS, leg.give_up_ms)
    invited = replace(leg, deadline_ms=due_ms, told=at.picture, told_ms=at.now_ms)
    return LegOutcome(invited, (e.SendInvite(),))


def offer_to_srs(leg: Leg, event: e.ForkOffered, at: At) -> LegOutcome:
    """Invite the SRS to what rtpengine offers.

    RFC 7866 §12.2: what is encrypted anew MUST have another key than the call. rtpengine copies
    the key of the call when no other suite is allowed; the operator may want that, as for an
    SRC that replicates packets, but such a key never goes in the clear.
    """
    is_allowed = at.plan.on_secure_call is OnSecureCall.ALLOW and target_of(leg).transport == "tls"
    if is_allowed or not event.offer.has_call_key:
        return _invite(replace(leg, offer=event.offer), at)
    text = f"the media to {leg.srs} would have the key of the call: allow a further suite, or DTLS"
    return wind_down(leg, at, bye=False, fault=Fault(NOT_SECURE, text))


def retry_or_give_up_fork(leg: Leg, event: e.ForkRefused, at: At) -> LegOutcome:
    """Wait a little for a fork that may come, or end."""
    if event.retryable and leg.forks < FORK_TRIES:
        return LegOutcome(replace(leg, deadline_ms=at.now_ms + FORK_RETRY_MS))
    # Other faults are the SRS's own: an edge that does not exist, say.
    fault = Fault(event.code, event.text, is_hopeless=event.code == NO_MEDIA)
    return wind_down(leg, at, bye=False, fault=fault)


def fork_deadline(leg: Leg, event: e.DeadlinePassed, at: At) -> LegOutcome:
    """Ask again, as often as it is worth."""
    if leg.forks < FORK_TRIES:
        return _fork_again(leg, at)
    text = "rtpengine gave no fork of the call's media in time"
    return wind_down(leg, at, bye=False, fault=Fault(NO_MEDIA, text, True))


def start_over(leg: Leg, event: e.OwnerChanged, at: At) -> LegOutcome:
    """Ask for another fork: the reply to the last request may be lost."""
    again = _fork_again(leg, at)
    return LegOutcome(again.leg, (*release_others(leg, at), *again.commands))


def abandon_and_start_over(leg: Leg, event: e.OwnerChanged, at: At) -> LegOutcome:
    """Begin anew: the reply to the INVITE may be lost."""
    again = _fork_again(leg, at)
    cancel = e.SendCancel(call_id=leg.call_id, cseq=leg.cseq)
    return LegOutcome(again.leg, (cancel, *again.commands))


def take_answer(leg: Leg, event: e.SrsAnswered, at: At) -> LegOutcome:
    """Take the 2xx to our INVITE."""
    if event.attempt != leg.attempt:
        return drop_late(leg, event, at)
    timer = timer_of_answer(event.session_expires, asked_interval_s(leg, at), at.now_ms)
    answered = replace(dialog_of(leg, event), timer=timer)
    if event.sdp is None:
        fault = Fault(BAD_ANSWER, f"the SRS {leg.srs} answered without SDP")
        return wind_down(answered, at, bye=True, fault=fault)
    return _connect(answered, event.sdp, at)


def reanswered(leg: Leg, event: e.SrsReanswered, at: At) -> LegOutcome:
    """Take the new answer of an SRS that re-INVITEd."""
    return _connect(replace(leg, ack_until_ms=None), event.sdp, at)


def _connect(leg: Leg, sdp: str, at: At) -> LegOutcome:
    if leg.offer is None:
        raise ValueError(f"{leg.call_id}: an answer without an offer")
    try:
        checked = check_answer(leg.offer, sdp)
    except SdpError as error:
        fault = Fault(error.code, f"the SRS {leg.srs}: {error}")
        return wind_down(leg, at, bye=True, fault=fault)
    moved = replace(
        leg,
        state=S.CONNECTING,
        answer=checked.sdp,
        dropped=checked.refused,
        deadline_ms=at.now_ms + CONNECT_MS,
    )
    commands: list[e.LegCommand] = [e.AnswerFork()]
    if checked.refused:
        text = f"the SRS {leg.srs} refused the m-line of label {', '.join(checked.refused)}"
        commands.append(e.RaiseAlert(code=BAD_ANSWER, text=text, level=AlertLevel.WARNING))
    return LegOutcome(moved, tuple(commands))


def refused(leg: Leg, event: e.SrsRefused, at: At) -> LegOutcome:
    """Take a refusal: authenticate, follow a redirection, connect anew, or end."""
    if event.attempt != leg.attempt or is_outdated(leg, event.challenge):
        return LegOutcome(leg)
    if event.status in CHALLENGED:
        if (again := challenged(leg, event.challenge, at)) is not None:
            return _send_invite(again, at)
        text = f"the SRS {leg.srs} does not accept our credentials ({event.status})"
        return wind_down(leg, at, bye=False, fault=Fault(AUTHENTICATION, text))
    if event.status == TOO_SMALL and event.min_se_s > asked_interval_s(leg, at):
        return _send_invite(replace(leg, cseq=leg.cseq + 1, min_se_s=event.min_se_s), at)
    if event.status == FLOW_FAILED and leg.flow_tries < FLOW_TRIES:
        return _invite(replace(leg, flow_tries=leg.flow_tries + 1, attempt=leg.attempt + 1), at)
    text = f"the SRS {leg.srs} answered {event.status} {event.reason}"
    if event.is_timeout:
        text = f"the SRS {leg.srs} did not answer in time"
    if 300 <= event.status < 400 and event.contact and not leg.redirect:
        aside = replace(leg, redirect=event.contact, attempt=leg.attempt + 1)
        try:
            target_of(aside)
        except SipUriError as error:
            return wind_down(leg, at, bye=False, fault=Fault(UNREACHABLE, f"{text}: {error}"))
        return _invite(aside, at)
    is_hopeless = event.status in SAME_EVERYWHERE or event.status >= 600
    return wind_down(leg, at, bye=False, fault=Fault(UNREACHABLE, text, is_hopeless))


def unreachable(leg: Leg, event: e.SrsUnreachable, at: At) -> LegOutcome:
    """The INVITE could not be sent."""
    if event.attempt != leg.attempt:
        return LegOutcome(leg)
    text = f"the SRS {leg.srs} cannot be reached: {event.text}"
    return wind_down(leg, at, bye=False, fault=Fault(event.code, text))


def no_answer(leg: Leg, event: e.DeadlinePassed, at: At) -> LegOutcome:
    """The INVITE took too long."""
    fault = Fault(UNREACHABLE, f"the SRS {leg.srs} did not answer in time")
    ended = wind_down(leg, at, bye=False, fault=fault)
    return LegOutcome(
        ended.leg, (e.SendCancel(call_id=leg.call_id, cseq=leg.cseq), *ended.commands)
    )


def record(leg: Leg, event: e.ForkAnswered, at: At) -> LegOutcome:
    """Media flows."""
    since = at.now_ms if leg.recording_ms is None else leg.recording_ms
    due_ms = at.now_ms + at.plan.check_ms if at.plan.check_ms else None
    moved = replace(leg, state=S.RECORDING, options_ms=due_ms, is_gating=False)
    return LegOutcome(replace(moved, recording_ms=since, heard_ms=at.now_ms))


def answer_refused(leg: Leg, event: e.ForkAnswerRefused, at: At) -> LegOutcome:
    """The SRS's answer is of no use to rtpengine."""
    fault = Fault(BAD_ANSWER, f"rtpengine did not take the answer of {leg.srs}: {event.text}")
    return wind_down(leg, at, bye=True, fault=fault)


def connect_deadline(leg: Leg, event: e.DeadlinePassed, at: At) -> LegOutcome:
    """The fork was not started in time."""
    fault = Fault(NO_MEDIA, "rtpengine did not start the fork in time", True)
    return wind_down(leg, at, bye=True, fault=fault)


def fork_lost(leg: Leg, event: e.ForkLost, at: At) -> LegOutcome:
    """rtpengine forgot the fork."""
    fault = Fault(NO_MEDIA, "rtpengine lost the fork of this stream", True)
    return wind_down(leg, at, bye=True, fault=fault)


def answer_again(leg: Leg, event: e.LegEvent, at: At) -> LegOutcome:
    """Replay the answer in force: rtpengine forgets it on a re-offer of the call."""
    return LegOutcome(leg, (e.AnswerFork(),))


def connect_again(leg: Leg, event: e.OwnerChanged, at: At) -> LegOutcome:
    """Give rtpengine the answer again after a takeover."""
    # The takeover itself took longer than rtpengine may: its time begins anew.
    leg, released = forget_growth(leg, at)
    moved = replace(leg, deadline_ms=at.now_ms + CONNECT_MS)
    return LegOutcome(moved, (e.AnswerFork(), *released))
