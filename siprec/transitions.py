"""The life of a stream: what each event does in each state.

`TABLE` names a handler for every (state, event) pair; docs/states.md is drawn from it. A handler
is pure: stream, event and time in, stream and commands out. `siprec.step` runs it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from siprec import events as e
from siprec.errors import SiprecError
from siprec.model import AlertLevel, Leg, Stream, StreamState
from siprec.sdp import check_answer
from siprec.sids import make_fork_tag, make_leg_call_id

FORK_MS = 3_000
FORK_RETRY_MS = 250
FORK_TRIES = 4
INVITE_MS = 12_000
CONNECT_MS = 3_000
CANCEL_MS = 8_000
STOP_MS = 8_000
REDIRECTS = 1

UNREACHABLE = 32011
BAD_ANSWER = 32102
AUTHENTICATION = 32106
NO_MEDIA = 31953

S = StreamState


class Outcome(NamedTuple):
    """A stream after an event, and the commands that follow from it, in order."""

    stream: Stream
    commands: tuple[e.Command, ...] = ()


# The event's class is fixed by the table, so each handler names the one it takes.
Handler = Callable[[Stream, Any, int], Outcome]


@dataclass(frozen=True, slots=True)
class Transition:
    """A handler, and the states that it may lead to."""

    handler: Handler
    to: tuple[StreamState, ...]


def fork(stream: Stream, now_ms: int) -> Outcome:
    """Ask for a fork under a tag never used before."""
    leg = replace(stream.leg, fork_tag=make_fork_tag(stream.sid, stream.leg.forks), fork_done=False)
    moved = replace(stream, state=S.FORKING, leg=leg, deadline_ms=now_ms + FORK_MS)
    return Outcome(moved, (e.RequestFork(),))


def _fork_again(stream: Stream, now_ms: int) -> Outcome:
    old_tag = stream.leg.fork_tag
    leg = replace(stream.leg, forks=stream.leg.forks + 1, attempt=stream.leg.attempt + 1)
    asked = fork(replace(stream, leg=leg), now_ms)
    return Outcome(asked.stream, (e.ReleaseFork(fork_tag=old_tag), *asked.commands))


def _invite(stream: Stream, leg: Leg, now_ms: int) -> Outcome:
    dialog = replace(
        leg,
        call_id=make_leg_call_id(stream.sid, leg.attempt),
        from_tag=f"{stream.sid[2:]}{leg.attempt}",
        to_tag="",
        cseq=1,
        remote_cseq=0,
        remote_target="",
        route_set=(),
    )
    moved = replace(stream, state=S.INVITING, leg=dialog, deadline_ms=now_ms + INVITE_MS)
    return Outcome(moved, (e.SendInvite(),))


def _wind_down(stream: Stream, now_ms: int, *, bye: bool, code: int | None, text: str) -> Outcome:
    """End the leg: release the fork, say BYE when there is a dialog, keep the first error."""
    leg = replace(stream.leg, bye_done=not bye, cseq=stream.leg.cseq + (1 if bye else 0))
    moved = replace(stream, state=S.STOPPING, leg=leg, deadline_ms=now_ms + STOP_MS)
    commands: list[e.Command] = [e.ReleaseFork(fork_tag=leg.fork_tag)]
    if bye:
        commands.append(e.SendBye())
    if code is not None:
        moved = replace(moved, error_code=code, error_text=text)
        commands.append(e.RaiseAlert(code=code, text=text))
    return Outcome(moved, tuple(commands))


def _settle(stream: Stream, now_ms: int) -> Outcome:
    """End the stream when nothing of the leg is left to wait for."""
    if not (stream.leg.bye_done and stream.leg.fork_done):
        return Outcome(stream)
    final = S.STOPPED if stream.error_code is None else S.FAILED
    return Outcome(replace(stream, state=final, deadline_ms=None, ended_ms=now_ms))


def _ignore(stream: Stream, event: e.Event, now_ms: int) -> Outcome:
    return Outcome(stream)


def _offer_to_srs(stream: Stream, event: e.ForkOffered, now_ms: int) -> Outcome:
    return _invite(stream, replace(stream.leg, offer=event.offer), now_ms)


def _retry_or_give_up_fork(stream: Stream, event: e.ForkRefused, now_ms: int) -> Outcome:
    if event.retryable and stream.leg.forks < FORK_TRIES:
        return Outcome(replace(stream, deadline_ms=now_ms + FORK_RETRY_MS))
    return _wind_down(stream, now_ms, bye=False, code=NO_MEDIA, text=event.text)


def _fork_deadline(stream: Stream, event: e.DeadlinePassed, now_ms: int) -> Outcome:
    if stream.leg.forks < FORK_TRIES:
        return _fork_again(stream, now_ms)
    text = "rtpengine gave no fork of the call's media in time"
    return _wind_down(stream, now_ms, bye=False, code=NO_MEDIA, text=text)


def _stop_before_invite(stream: Stream, event: e.Event, now_ms: int) -> Outcome:
    return _wind_down(stream, now_ms, bye=False, code=None, text="")


def _start_over(stream: Stream, event: e.OwnerChanged, now_ms: int) -> Outcome:
    # An owner that fell while it started over may not have released the forks before.
    older = (make_fork_tag(stream.sid, count) for count in range(1, stream.leg.forks))
    again = _fork_again(stream, now_ms)
    released = (e.ReleaseFork(fork_tag=tag) for tag in older)
    return Outcome(again.stream, (*released, *again.commands))


def _abandon_and_start_over(stream: Stream, event: e.OwnerChanged, now_ms: int) -> Outcome:
    again = _fork_again(stream, now_ms)
    return Outcome(again.stream, (e.SendCancel(call_id=stream.leg.call_id), *again.commands))


def _take_answer(stream: Stream, event: e.SrsAnswered, now_ms: int) -> Outcome:
    if event.attempt != stream.leg.attempt:
        return _drop_late(stream, event, now_ms)
    answered = replace(stream, leg=_dialog_of(stream.leg, event))
    if event.sdp is None:
        text = "the SRS answered without SDP"
        return _wind_down(answered, now_ms, bye=True, code=BAD_ANSWER, text=text)
    return _connect(answered, event.sdp, now_ms)


def _connect(stream: Stream, sdp: str, now_ms: int) -> Outcome:
    offer = stream.leg.offer
    if offer is None:
        raise ValueError(f"{stream.sid}: an answer without an offer")
    try:
        checked = check_answer(offer, sdp)
    except SiprecError as error:
        return _wind_down(stream, now_ms, bye=True, code=BAD_ANSWER, text=str(error))
    moved = replace(
        stream,
        state=S.CONNECTING,
        leg=replace(stream.leg, answer=checked.sdp),
        deadline_ms=now_ms + CONNECT_MS,
    )
    commands: list[e.Command] = [e.AnswerFork()]
    if checked.refused:
        text = f"the SRS refused the m-line of label {', '.join(checked.refused)}"
        commands.append(e.RaiseAlert(code=BAD_ANSWER, text=text, level=AlertLevel.WARNING))
    return Outcome(moved, tuple(commands))


def _dialog_of(leg: Leg, answer: e.SrsAnswered) -> Leg:
    return replace(
        leg,
        to_tag=answer.to_tag,
        remote_target=answer.remote_target,
        route_set=answer.route_set,
        cseq=max(leg.cseq, answer.cseq),
    )


def _drop_late(stream: Stream, event: e.SrsAnswered, now_ms: int) -> Outcome:
    """Answered though we gave up: tm has sent the ACK, BYE follows (RFC 3261 §15)."""
    if event.attempt == stream.leg.attempt and event.to_tag == stream.leg.to_tag:
        return Outcome(stream)
    return Outcome(stream, (e.DropLateAnswer(answer=event),))


def _answered_while_cancelling(stream: Stream, event: e.SrsAnswered, now_ms: int) -> Outcome:
    if event.attempt != stream.leg.attempt:
        return _drop_late(stream, event, now_ms)
    leg = _dialog_of(stream.leg, event)
    leg = replace(leg, cseq=leg.cseq + 1)
    moved = replace(stream, state=S.STOPPING, leg=leg, deadline_ms=now_ms + STOP_MS)
    return Outcome(moved, (e.SendBye(),))


def _refused(stream: Stream, event: e.SrsRefused, now_ms: int) -> Outcome:
    if event.attempt != stream.leg.attempt:
        return Outcome(stream)
    leg = stream.leg
    if 300 <= event.status < 400 and event.contact and leg.redirects < REDIRECTS:
        aside = replace(
            leg, srs_uri=event.contact, redirects=leg.redirects + 1, attempt=leg.attempt + 1
        )
        return _invite(stream, aside, now_ms)
    code = AUTHENTICATION if event.status in (401, 407) else UNREACHABLE
    text = f"the SRS {leg.srs_uri} answered {event.status} {event.reason}"
    return _wind_down(stream, now_ms, bye=False, code=code, text=text)


def _unreachable(stream: Stream, event: e.SrsUnreachable, now_ms: int) -> Outcome:
    if event.attempt != stream.leg.attempt:
        return Outcome(stream)
    text = f"the SRS {stream.leg.srs_uri} cannot be reached: {event.text}"
    return _wind_down(stream, now_ms, bye=False, code=UNREACHABLE, text=text)


def _no_answer(stream: Stream, event: e.DeadlinePassed, now_ms: int) -> Outcome:
    text = f"the SRS {stream.leg.srs_uri} did not answer in time"
    ended = _wind_down(stream, now_ms, bye=False, code=UNREACHABLE, text=text)
    return Outcome(ended.stream, (e.SendCancel(call_id=stream.leg.call_id), *ended.commands))


def _cancel(stream: Stream, event: e.Event, now_ms: int) -> Outcome:
    """Stop before the SRS answered: CANCEL, then wait for its final reply (RFC 3261 §9.1)."""
    moved = replace(stream, state=S.CANCELLING, deadline_ms=now_ms + CANCEL_MS)
    commands = (
        e.SendCancel(call_id=stream.leg.call_id),
        e.ReleaseFork(fork_tag=stream.leg.fork_tag),
    )
    return Outcome(moved, commands)


def _cancelled(stream: Stream, event: e.SrsRefused | e.SrsUnreachable, now_ms: int) -> Outcome:
    if event.attempt != stream.leg.attempt:
        return Outcome(stream)
    leg = replace(stream.leg, bye_done=True)
    return _settle(replace(stream, state=S.STOPPING, leg=leg), now_ms)


def _give_up_waiting(stream: Stream, event: e.DeadlinePassed, now_ms: int) -> Outcome:
    leg = replace(stream.leg, bye_done=True, fork_done=True)
    return _settle(replace(stream, leg=leg), now_ms)


def _record(stream: Stream, event: e.ForkAnswered, now_ms: int) -> Outcome:
    since = now_ms if stream.recording_ms is None else stream.recording_ms
    return Outcome(replace(stream, state=S.RECORDING, recording_ms=since, deadline_ms=None))


def _answer_refused(stream: Stream, event: e.ForkAnswerRefused, now_ms: int) -> Outcome:
    text = f"rtpengine did not take the SRS's answer: {event.text}"
    return _wind_down(stream, now_ms, bye=True, code=BAD_ANSWER, text=text)


def _connect_deadline(stream: Stream, event: e.DeadlinePassed, now_ms: int) -> Outcome:
    text = "rtpengine did not start the fork in time"
    return _wind_down(stream, now_ms, bye=True, code=NO_MEDIA, text=text)


def _answer_again(stream: Stream, event: e.Event, now_ms: int) -> Outcome:
    """Replay the answer in force: rtpengine forgets it on a re-offer of the call."""
    return Outcome(stream, (e.AnswerFork(),))


def _connect_again(stream: Stream, event: e.OwnerChanged, now_ms: int) -> Outcome:
    # The takeover itself took longer than rtpengine may: its time begins anew.
    return Outcome(replace(stream, deadline_ms=now_ms + CONNECT_MS), (e.AnswerFork(),))


def _reanswered(stream: Stream, event: e.SrsReanswered, now_ms: int) -> Outcome:
    return _connect(stream, event.sdp, now_ms)


def _stop(stream: Stream, event: e.Event, now_ms: int) -> Outcome:
    return _wind_down(stream, now_ms, bye=True, code=None, text="")


def _hung_up(stream: Stream, event: e.SrsHungUp, now_ms: int) -> Outcome:
    reason = f" ({event.reason})" if event.reason else ""
    text = f"the SRS {stream.leg.srs_uri} hung up{reason}"
    return _wind_down(stream, now_ms, bye=False, code=UNREACHABLE, text=text)


def _fork_lost(stream: Stream, event: e.ForkLost, now_ms: int) -> Outcome:
    text = "rtpengine lost the fork of this stream"
    return _wind_down(stream, now_ms, bye=True, code=NO_MEDIA, text=text)


def _fork_released(stream: Stream, event: e.ForkReleased, now_ms: int) -> Outcome:
    return _settle(replace(stream, leg=replace(stream.leg, fork_done=True)), now_ms)


def _fork_released_early(stream: Stream, event: e.ForkReleased, now_ms: int) -> Outcome:
    return Outcome(replace(stream, leg=replace(stream.leg, fork_done=True)))


def _bye_answered(stream: Stream, event: e.SrsByeAnswered, now_ms: int) -> Outcome:
    # The dialog of an attempt given up has a BYE of its own.
    if event.attempt != stream.leg.attempt:
        return Outcome(stream)
    done = _bye_done(stream, event, now_ms)
    if event.status < 300 or stream.error_code is not None:
        return done
    # It may have died long ago: while media flows nothing tells.
    text = f"the SRS {stream.leg.srs_uri} answered our BYE with {event.status}"
    if event.status == 408:
        text = f"the SRS {stream.leg.srs_uri} did not answer our BYE"
    warning = f"{text}: what it recorded may be incomplete"
    alert = e.RaiseAlert(code=UNREACHABLE, text=warning, level=AlertLevel.WARNING)
    return Outcome(done.stream, (alert,))


def _bye_done(stream: Stream, event: e.Event, now_ms: int) -> Outcome:
    return _settle(replace(stream, leg=replace(stream.leg, bye_done=True)), now_ms)


def _finish_again(stream: Stream, event: e.OwnerChanged, now_ms: int) -> Outcome:
    leg = stream.leg
    commands: list[e.Command] = []
    if not leg.fork_done:
        commands.append(e.ReleaseFork(fork_tag=leg.fork_tag))
    if not leg.bye_done:
        commands.append(e.SendBye())
    return Outcome(replace(stream, deadline_ms=now_ms + STOP_MS), tuple(commands))


IGNORED = Transition(_ignore, ())
LATE = Transition(_drop_late, ())


def _row(**handled: Transition) -> Mapping[type[e.Event], Transition]:
    """Complete a row: an event that is not named is ignored, a late answer is hung up."""
    row: dict[type[e.Event], Transition] = dict.fromkeys(e.Event.__args__, IGNORED)
    row[e.SrsAnswered] = LATE
    row |= {getattr(e, name): transition for name, transition in handled.items()}
    return row


TABLE: Mapping[StreamState, Mapping[type[e.Event], Transition]] = {
    S.FORKING: _row(
        ForkOffered=Transition(_offer_to_srs, (S.INVITING,)),
        ForkRefused=Transition(_retry_or_give_up_fork, (S.FORKING, S.STOPPING)),
        DeadlinePassed=Transition(_fork_deadline, (S.FORKING, S.STOPPING)),
        Stopped=Transition(_stop_before_invite, (S.STOPPING,)),
        CallOver=Transition(_stop_before_invite, (S.STOPPING,)),
        OwnerChanged=Transition(_start_over, (S.FORKING,)),
    ),
    S.INVITING: _row(
        SrsAnswered=Transition(_take_answer, (S.CONNECTING, S.STOPPING)),
        SrsRefused=Transition(_refused, (S.INVITING, S.STOPPING)),
        SrsUnreachable=Transition(_unreachable, (S.STOPPING,)),
        DeadlinePassed=Transition(_no_answer, (S.STOPPING,)),
        Stopped=Transition(_cancel, (S.CANCELLING,)),
        CallOver=Transition(_cancel, (S.CANCELLING,)),
        OwnerChanged=Transition(_abandon_and_start_over, (S.FORKING,)),
    ),
    S.CONNECTING: _row(
        ForkAnswered=Transition(_record, (S.RECORDING,)),
        ForkAnswerRefused=Transition(_answer_refused, (S.STOPPING,)),
        SrsReanswered=Transition(_reanswered, (S.CONNECTING, S.STOPPING)),
        SrsHungUp=Transition(_hung_up, (S.STOPPING,)),
        DeadlinePassed=Transition(_connect_deadline, (S.STOPPING,)),
        Stopped=Transition(_stop, (S.STOPPING,)),
        CallOver=Transition(_stop, (S.STOPPING,)),
        CallReoffered=Transition(_answer_again, ()),
        OwnerChanged=Transition(_connect_again, ()),
    ),
    S.RECORDING: _row(
        SrsReanswered=Transition(_reanswered, (S.CONNECTING, S.STOPPING)),
        SrsHungUp=Transition(_hung_up, (S.STOPPING,)),
        ForkLost=Transition(_fork_lost, (S.STOPPING,)),
        ForkAnswerRefused=Transition(_answer_refused, (S.STOPPING,)),
        Stopped=Transition(_stop, (S.STOPPING,)),
        CallOver=Transition(_stop, (S.STOPPING,)),
        CallReoffered=Transition(_answer_again, ()),
        # A re-offer may have been saved and its replay not sent.
        OwnerChanged=Transition(_answer_again, ()),
    ),
    S.CANCELLING: _row(
        SrsAnswered=Transition(_answered_while_cancelling, (S.STOPPING,)),
        SrsRefused=Transition(_cancelled, (S.STOPPING, S.STOPPED)),
        SrsUnreachable=Transition(_cancelled, (S.STOPPING, S.STOPPED)),
        ForkReleased=Transition(_fork_released_early, ()),
        DeadlinePassed=Transition(_give_up_waiting, (S.STOPPED,)),
        OwnerChanged=Transition(_cancel, (S.CANCELLING,)),
    ),
    S.STOPPING: _row(
        SrsByeAnswered=Transition(_bye_answered, (S.STOPPING, S.STOPPED, S.FAILED)),
        SrsHungUp=Transition(_bye_done, (S.STOPPING, S.STOPPED, S.FAILED)),
        ForkReleased=Transition(_fork_released, (S.STOPPING, S.STOPPED, S.FAILED)),
        DeadlinePassed=Transition(_give_up_waiting, (S.STOPPED, S.FAILED)),
        OwnerChanged=Transition(_finish_again, (S.STOPPING,)),
    ),
    S.STOPPED: _row(),
    S.FAILED: _row(),
}
