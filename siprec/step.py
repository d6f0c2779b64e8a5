"""Run the transition table: the one place where a stream changes."""

from dataclasses import replace

from siprec import events as e
from siprec.model import Leg, Moment, Stream, StreamOrder, StreamState
from siprec.transitions import TABLE, Outcome, fork

HISTORY = 60


class IllegalTransition(RuntimeError):
    """A handler led to a state that the table does not allow: a defect of ours."""

    def __init__(self, stream: Stream, event: e.Event, to: StreamState) -> None:
        super().__init__(f"{stream.sid}: {type(event).__name__} led from {stream.state} to {to}")


def begin(
    *, sid: str, call_sid: str, account_sid: str, order: StreamOrder, srs_uri: str, now_ms: int
) -> Outcome:
    """Start a stream toward `srs_uri`. The caller saves it and carries the commands out."""
    stream = Stream(
        sid=sid,
        call_sid=call_sid,
        account_sid=account_sid,
        order=order,
        leg=Leg(srs_uri=srs_uri),
        created_ms=now_ms,
    )
    begun = fork(stream, now_ms)
    return Outcome(_remember(begun.stream, "Started", now_ms, ""), begun.commands)


def step(stream: Stream, event: e.Event, now_ms: int) -> Outcome:
    """Apply an event to a stream at a time (ms since the epoch).

    Pure. The caller saves the stream before it carries out the commands, in their order.

    Raises:
        IllegalTransition: the table is wrong; nothing was changed.
    """
    transition = TABLE[stream.state][type(event)]
    outcome = transition.handler(stream, event, now_ms)
    moved = outcome.stream
    if moved.state != stream.state and moved.state not in transition.to:
        raise IllegalTransition(stream, event, moved.state)
    if moved == stream and not outcome.commands:
        return outcome
    detail = _detail(event)
    return Outcome(_remember(moved, type(event).__name__, now_ms, detail), outcome.commands)


def _remember(stream: Stream, event: str, now_ms: int, detail: str) -> Stream:
    moment = Moment(at_ms=now_ms, event=event, state=stream.state, detail=detail)
    return replace(stream, history=(*stream.history[-(HISTORY - 1) :], moment))


def _detail(event: e.Event) -> str:
    """Say what of an event is worth keeping; never SDP, keys or parameters."""
    match event:
        case e.SrsRefused(status=status, reason=reason):
            return f"{status} {reason}"
        case e.SrsByeAnswered(status=status):
            return str(status)
        case e.ForkRefused(text=text) | e.ForkAnswerRefused(text=text):
            return text
        case e.SrsUnreachable(text=text):
            return text
        case e.SrsHungUp(reason=reason) | e.CallOver(reason=reason):
            return reason
        case _:
            return ""
