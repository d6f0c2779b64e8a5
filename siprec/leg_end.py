"""How a leg ends: what the events of the ending do. siprec.transitions names the handlers."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from siprec import events as e
from siprec.alerts import AlertLevel
from siprec.model import Leg, Picture, Plan, StreamState
from siprec.sids import make_fork_tag

CANCEL_MS = 8_000
STOP_MS = 8_000
AUTH_TRIES = 3
FLOW_TRIES = 2

UNREACHABLE = 32011
BAD_ANSWER = 32102

# The TLS proxy's answer when the connection to the SRS is gone (RFC 5626).
FLOW_FAILED = 430
CHALLENGED = (401, 407)
# The SRS does not know the dialog.
GONE = 481

S = StreamState

NOTHING_CHANGED = Picture()


class LegOutcome(NamedTuple):
    """A leg after an event, and the commands that follow from it, in order."""

    leg: Leg
    commands: tuple[e.LegCommand, ...] = ()


@dataclass(frozen=True, slots=True)
class At:
    """Where and when a leg's event happens: the stream's sid and plan, the time in ms.

    `muted` are the labels that are to be silent, `picture` what the metadata is to say.
    """

    sid: str
    plan: Plan
    now_ms: int
    muted: tuple[str, ...] = ()
    picture: Picture = NOTHING_CHANGED


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a leg ends. `is_hopeless`: another SRS would fail in the same way."""

    code: int
    text: str
    is_hopeless: bool = False


def wind_down(
    leg: Leg, at: At, *, bye: bool, fault: Fault | None = None, heard_ms: int | None = None
) -> LegOutcome:
    """End the leg: release the fork, say BYE when there is a dialog, keep the first error.

    heard_ms: up to when its SRS surely recorded, if it did; None: until now.
    """
    if leg.recording_ms is not None:
        leg = replace(leg, heard_ms=at.now_ms if heard_ms is None else heard_ms)
    moved = replace(
        leg,
        state=S.STOPPING,
        bye_done=not bye,
        cseq=leg.cseq + (1 if bye else 0),
        deadline_ms=at.now_ms + STOP_MS,
    )
    commands: list[e.LegCommand] = [e.ReleaseFork(fork_tag=leg.fork_tag)]
    if leg.next_fork:
        commands.append(e.ReleaseFork(fork_tag=leg.next_fork))
        moved = replace(moved, next_fork="", next_offer=None)
    if bye:
        commands.append(e.SendBye())
    if fault is not None:
        moved = replace(
            moved,
            error_code=fault.code,
            error_text=fault.text,
            is_hopeless=fault.is_hopeless,
        )
        commands.append(e.RaiseAlert(code=fault.code, text=fault.text))
    return LegOutcome(moved, tuple(commands))


def release_others(leg: Leg, at: At) -> tuple[e.LegCommand, ...]:
    """Release every fork that the leg ever had but the one in use: an owner that fell may not."""
    tags = [make_fork_tag(at.sid, leg.number, count) for count in range(1, leg.forks + 1)]
    return tuple(e.ReleaseFork(fork_tag=tag) for tag in tags if tag != leg.fork_tag)


def settle(leg: Leg, at: At) -> LegOutcome:
    """End the leg when nothing of it is left to wait for."""
    if not (leg.bye_done and leg.fork_done):
        return LegOutcome(leg)
    final = S.STOPPED if leg.error_code is None else S.FAILED
    return LegOutcome(replace(leg, state=final, deadline_ms=None, ended_ms=at.now_ms))


def ignore(leg: Leg, event: e.LegEvent, at: At) -> LegOutcome:
    """Do nothing."""
    return LegOutcome(leg)


def dialog_of(leg: Leg, answer: e.SrsAnswered) -> Leg:
    """Take over what a 2xx says of the dialog (RFC 3261 §12.1.2)."""
    return replace(
        leg,
        to_tag=answer.to_tag,
        remote_target=answer.remote_target,
        route_set=answer.route_set,
        cseq=max(leg.cseq, answer.cseq),
        # What the INVITE took counts for it alone: BYE may be challenged as well.
        auth_tries=0,
        flow_tries=0,
    )


def is_outdated(leg: Leg, challenge: e.Challenge) -> bool:
    """Tell whether a reply is to a request that was sent anew: it may have been sent twice."""
    return 0 < challenge.cseq < leg.cseq


def challenged(leg: Leg, challenge: e.Challenge, at: At) -> Leg | None:
    """Give the leg with its next request authenticated; None when that cannot help."""
    is_ours = challenge.cseq == leg.cseq
    if not (at.plan.has_digest and challenge.lines and is_ours and leg.auth_tries < AUTH_TRIES):
        return None
    return replace(
        leg,
        challenges=challenge.lines,
        challenged_cseq=challenge.cseq,
        auth_tries=leg.auth_tries + 1,
        cseq=leg.cseq + 1,
    )


def drop_late(leg: Leg, event: e.SrsAnswered, at: At) -> LegOutcome:
    """Answered though we gave up: ACK and BYE follow (RFC 3261 §15)."""
    if event.attempt == leg.attempt and event.to_tag == leg.to_tag:
        return LegOutcome(leg)
    return LegOutcome(leg, (e.DropLateAnswer(answer=event),))


def stop_before_invite(leg: Leg, event: e.LegEvent, at: At) -> LegOutcome:
    """Stop while there is no dialog."""
    return wind_down(leg, at, bye=False)


def stop(leg: Leg, event: e.LegEvent, at: At) -> LegOutcome:
    """Stop a dialog."""
    return wind_down(leg, at, bye=True)


def cancel(leg: Leg, event: e.LegEvent, at: At) -> LegOutcome:
    """Stop before the SRS answered: CANCEL, then wait for its final reply (RFC 3261 §9.1)."""
    moved = replace(leg, state=S.CANCELLING, deadline_ms=at.now_ms + CANCEL_MS)
    commands = (
        e.SendCancel(call_id=leg.call_id, cseq=leg.cseq),
        e.ReleaseFork(fork_tag=leg.fork_tag),
    )
    return LegOutcome(moved, commands)


def answered_while_cancelling(leg: Leg, event: e.SrsAnswered, at: At) -> LegOutcome:
    """Hang up a dialog whose 2xx crossed our CANCEL."""
    if event.attempt != leg.attempt:
        return drop_late(leg, event, at)
    dialog = dialog_of(leg, event)
    moved = replace(dialog, state=S.STOPPING, cseq=dialog.cseq + 1, deadline_ms=at.now_ms + STOP_MS)
    return LegOutcome(moved, (e.SendBye(),))


def cancelled(leg: Leg, event: e.SrsRefused | e.SrsUnreachable, at: At) -> LegOutcome:
    """Take the final reply to a cancelled INVITE."""
    if event.attempt != leg.attempt:
        return LegOutcome(leg)
    return settle(replace(leg, state=S.STOPPING, bye_done=True), at)


def give_up_waiting(leg: Leg, event: e.DeadlinePassed, at: At) -> LegOutcome:
    """End although not all answers came."""
    return settle(replace(leg, bye_done=True, fork_done=True), at)


def hung_up(leg: Leg, event: e.SrsHungUp, at: At) -> LegOutcome:
    """Take the BYE of the SRS. With an error as its reason another SRS may go on."""
    reason = f" ({event.reason})" if event.reason else ""
    fault = Fault(UNREACHABLE, f"the SRS {leg.srs} hung up{reason}", not event.is_error)
    return wind_down(leg, at, bye=False, fault=fault)


def died(leg: Leg, event: e.SrsDied, at: At) -> LegOutcome:
    """Leave an SRS that shows no life; the BYE is for the case that it has any."""
    fault = Fault(UNREACHABLE, f"the SRS {leg.srs} died: {event.text}")
    heard_ms = max(event.since_ms, leg.heard_ms or 0)
    return wind_down(leg, at, bye=True, fault=fault, heard_ms=heard_ms)


def options_answered(leg: Leg, event: e.SrsOptionsAnswered, at: At) -> LegOutcome:
    """Note that the SRS lives, or leave one that does not know the dialog."""
    if event.attempt != leg.attempt:
        return LegOutcome(leg)
    if event.status == GONE:
        return forgotten(leg, at)
    heard_ms = at.now_ms if event.status < 300 else leg.heard_ms
    return LegOutcome(replace(leg, question=None, heard_ms=heard_ms))


def forgotten(leg: Leg, at: At) -> LegOutcome:
    """Leave an SRS that does not know the dialog: 481 ends it (RFC 5057 §5.1)."""
    fault = Fault(UNREACHABLE, f"the SRS {leg.srs} does not know the session any more (481)")
    # It may have forgotten the session, and all that came, right after it last answered.
    return wind_down(leg, at, bye=False, fault=fault, heard_ms=leg.heard_ms)


def fork_released(leg: Leg, event: e.ForkReleased, at: At) -> LegOutcome:
    """Note that the fork is gone."""
    return settle(replace(leg, fork_done=True), at)


def fork_released_early(leg: Leg, event: e.ForkReleased, at: At) -> LegOutcome:
    """Note that the fork is gone, before the SRS said anything."""
    return LegOutcome(replace(leg, fork_done=True))


def bye_answered(leg: Leg, event: e.SrsByeAnswered, at: At) -> LegOutcome:
    """Take the reply to our BYE."""
    # The dialog of an attempt given up has a BYE of its own.
    is_other = event.status >= 300 and is_outdated(leg, event.challenge)
    if event.attempt != leg.attempt or is_other:
        return LegOutcome(leg)
    if event.status in CHALLENGED and (again := challenged(leg, event.challenge, at)) is not None:
        return LegOutcome(again, (e.SendBye(),))
    if event.status == FLOW_FAILED and leg.flow_tries < FLOW_TRIES:
        moved = replace(leg, flow_tries=leg.flow_tries + 1, cseq=leg.cseq + 1, bye_repeated=True)
        return LegOutcome(moved, (e.SendBye(),))
    done = bye_done(leg, event, at)
    if event.status < 300 or leg.error_code is not None:
        return done
    if event.status == GONE and leg.bye_repeated:
        # The first BYE has ended the dialog.
        return done
    # It may have died long ago: while media flows nothing tells.
    text = f"the SRS {leg.srs} answered our BYE with {event.status}"
    if event.status == 408:
        text = f"the SRS {leg.srs} did not answer our BYE"
    warning = f"{text}: what it recorded may be incomplete"
    alert = e.RaiseAlert(code=UNREACHABLE, text=warning, level=AlertLevel.WARNING)
    return LegOutcome(done.leg, (alert,))


def bye_done(leg: Leg, event: e.LegEvent, at: At) -> LegOutcome:
    """Note that the dialog is over."""
    return settle(replace(leg, bye_done=True), at)


def finish_again(leg: Leg, event: e.OwnerChanged, at: At) -> LegOutcome:
    """Do again what of the ending may not have been done."""
    commands: list[e.LegCommand] = [*release_others(leg, at)]
    if not leg.fork_done:
        commands.append(e.ReleaseFork(fork_tag=leg.fork_tag))
    if not leg.bye_done:
        commands.append(e.SendBye())
    moved = replace(leg, deadline_ms=at.now_ms + STOP_MS, bye_repeated=not leg.bye_done)
    return LegOutcome(moved, tuple(commands))
