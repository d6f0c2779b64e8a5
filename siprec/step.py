"""A stream and its legs: the one place where a stream changes.

Each leg goes its way by the table in siprec.transitions. What a leg's end means to the stream is
decided here: another SRS takes over, the other legs go on, or the stream has failed.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from siprec import events as e
from siprec.alerts import AlertLevel
from siprec.connector import OnHold
from siprec.leg_end import NOTHING_CHANGED, UNREACHABLE, At, LegOutcome
from siprec.leg_gate import labels_of
from siprec.leg_setup import fork
from siprec.model import Leg, Moment, Picture, Plan, Side, Stream, StreamOrder, StreamState
from siprec.transitions import TABLE

HISTORY = 60
ENDED_LEGS = 8
"""So many legs that have ended are kept of a stream."""

STEADY_MS = 10_000
"""When one that recorded for so long fails, all others are tried, whatever happened before.

SRSs that take each session and hang up at once would be called for ever else.
"""

S = StreamState

# The state of a stream is the first of these that a leg is in.
_ADVANCE = (S.RECORDING, S.CONNECTING, S.INVITING, S.FORKING, S.STOPPING, S.CANCELLING)
# A leg or a stream in one of these may come to record, or does.
RUNNING = (S.FORKING, S.INVITING, S.CONNECTING, S.RECORDING, S.PAUSED)
STARTED = "Started"
"""The first moment of a stream, and of each of its legs."""

# Routine, as long as it leads nowhere.
_ROUTINE = (e.DeadlinePassed, e.SrsOptionsAnswered)


class Outcome(NamedTuple):
    """A stream after an event, and the commands that follow from it, in order."""

    stream: Stream
    commands: tuple[e.Command, ...] = ()


class IllegalTransition(RuntimeError):
    """A handler led to a state that the table does not allow: a defect of ours."""

    def __init__(self, sid: str, event: e.LegEvent, before: Leg, after: Leg) -> None:
        name = type(event).__name__
        super().__init__(
            f"{sid} leg {before.number}: {name} led from {before.state} to {after.state}"
        )


def begin(
    *,
    sid: str,
    call_sid: str,
    account_sid: str,
    order: StreamOrder,
    plan: Plan,
    now_ms: int,
    picture: Picture = NOTHING_CHANGED,
) -> Outcome:
    """Start a stream toward the SRSs of its plan. The caller saves it and carries out commands.

    Without any SRS the stream has failed at once.
    """
    stream = Stream(
        sid=sid,
        call_sid=call_sid,
        account_sid=account_sid,
        order=order,
        plan=plan,
        picture=plan.fit(picture),
        created_ms=now_ms,
        unrecorded_ms=now_ms,
    )
    if not plan.srs:
        text = "no SRS of the connector takes recordings now: all are drained or full"
        alert = e.RaiseAlert(code=UNREACHABLE, text=text)
        failed = replace(stream, error_code=UNREACHABLE, error_text=text)
        ended = _end_unrecorded(Outcome(failed, (alert,)), now_ms)
        return _conclude(stream, ended, STARTED, "", now_ms)
    begun = Outcome(stream)
    for uri in plan.srs if plan.is_parallel else plan.srs[:1]:
        begun = _add_leg(begun, uri, now_ms + plan.total_ms, now_ms)
    return _conclude(stream, begun, STARTED, "", now_ms)


def step(stream: Stream, event: e.Event, now_ms: int) -> Outcome:
    """Apply an event to a stream at a time (ms since the epoch).

    Pure. The caller saves the stream before it carries out the commands, in their order.

    Raises:
        IllegalTransition: the table is wrong; nothing was changed.
    """
    begun = stream
    if isinstance(event, e.Stopped | e.CallOver):
        begun = replace(stream, is_stopped=True, lost_ms=None, unrecorded_ms=None)
    elif isinstance(event, e.Paused | e.Resumed):
        begun = replace(stream, paused=_paused(stream, event))
    elif isinstance(event, e.Pictured):
        begun = replace(stream, picture=stream.plan.fit(event.picture))
    outcome = Outcome(begun)
    leg_event = event.event if isinstance(event, e.LegHappened) else event
    for leg in _concerned(stream, event, now_ms):
        outcome = _step_leg(outcome, leg, leg_event, now_ms)
    outcome = _end_unrecorded(outcome, now_ms)
    is_over = stream.state.is_final
    if not outcome.commands and outcome.stream == (begun if is_over else stream):
        return Outcome(stream)
    return _conclude(stream, outcome, type(leg_event).__name__, _detail(leg_event), now_ms)


def _paused(stream: Stream, event: e.Paused | e.Resumed) -> tuple[Side, ...]:
    named = set(event.sides)
    wished = {*stream.paused, *named} if isinstance(event, e.Paused) else {*stream.paused} - named
    return tuple(side for side in stream.order.track.sides if side in wished)


def _muted(stream: Stream) -> tuple[str, ...]:
    """Give the labels that are to be inactive: who is paused, and on hold if that is wished."""
    labels = {label for side in stream.paused for label in (side.label, side.video_label)}
    if stream.plan.hold is OnHold.INACTIVE:
        labels |= {*stream.picture.quiet}
    return tuple(label for label in _labels(stream) if label in labels)


def _labels(stream: Stream) -> list[str]:
    """List the labels that the stream's m-lines may have, in their order."""
    sides = stream.order.track.sides
    video = [side.video_label for side in sides] if stream.plan.video else []
    return [*(side.label for side in sides), *video]


def _concerned(stream: Stream, event: e.Event, now_ms: int) -> Iterable[Leg]:
    """Give the legs that an event concerns. One that is forgotten can only hang up."""
    match event:
        case e.LegHappened(leg=number):
            return (stream.leg(number) or Leg(number=number, state=S.STOPPED),)
        case e.DeadlinePassed():
            return [leg for leg in stream.legs if _is_due(leg.deadline_ms, now_ms)]
        case _:
            return stream.legs


def _is_due(deadline_ms: int | None, now_ms: int) -> bool:
    return deadline_ms is not None and deadline_ms <= now_ms


def _step_leg(outcome: Outcome, leg: Leg, event: e.LegEvent, now_ms: int) -> Outcome:
    """Let a leg take its event, and the stream the consequences."""
    stream = outcome.stream
    transition = TABLE[leg.state][type(event)]
    at = At(stream.sid, stream.plan, now_ms, _muted(stream), stream.picture)
    moved, commands = transition.apply(leg, event, at)
    if moved.state != leg.state and moved.state not in transition.to:
        raise IllegalTransition(stream.sid, event, leg, moved)
    outcome = _with_leg(outcome, LegOutcome(moved, commands), event)
    if moved.state is S.RECORDING and leg.state is not S.RECORDING:
        return _recorded(outcome, moved, now_ms)
    if moved.error_code is not None and leg.error_code is None:
        return _leg_failed(outcome, moved, now_ms)
    return outcome


def _with_leg(outcome: Outcome, moved: LegOutcome, event: e.LegEvent | None = None) -> Outcome:
    leg, commands = moved
    legs = tuple(leg if each.number == leg.number else each for each in outcome.stream.legs)
    addressed = (
        _about_srs(command, leg, event)
        if isinstance(command, e.RaiseAlert)
        else e.ForLeg(leg=leg.number, command=command)
        for command in commands
    )
    return Outcome(replace(outcome.stream, legs=legs), (*outcome.commands, *addressed))


def _about_srs(alert: e.RaiseAlert, leg: Leg, event: e.LegEvent | None) -> e.RaiseAlert:
    """Let an alert say of which SRS it tells, and what that answered."""
    match event:
        case e.SrsRefused(status=status, reason=reason):
            return replace(alert, srs=leg.srs, sip_status=status, sip_reason=reason or None)
        case e.SrsByeAnswered(status=status) | e.SrsOptionsAnswered(status=status):
            return replace(alert, srs=leg.srs, sip_status=status)
        case _:
            return replace(alert, srs=leg.srs)


def _recorded(outcome: Outcome, leg: Leg, now_ms: int) -> Outcome:
    """Note that somebody records; say how long nobody did."""
    stream, commands = outcome
    since_ms = now_ms if stream.recording_ms is None else stream.recording_ms
    if stream.lost_ms is not None:
        gap_ms = now_ms - stream.lost_ms
        stream = replace(stream, gap_ms=stream.gap_ms + gap_ms)
        text = f"the SRS {leg.srs} goes on with the recording after a gap of {gap_ms / 1000:.1f} s"
        level = AlertLevel.WARNING
        alert = e.RaiseAlert(code=UNREACHABLE, text=text, level=level, srs=leg.srs)
        commands = (*commands, alert)
    stream = replace(stream, recording_ms=since_ms, lost_ms=None, unrecorded_ms=None)
    return Outcome(stream, commands)


def _leg_failed(outcome: Outcome, leg: Leg, now_ms: int) -> Outcome:
    """Let another SRS take over from a leg that failed, or let the stream fail.

    A stream that was stopped has no leg left that could fail.
    """
    stream, commands = outcome
    give_up_ms = leg.give_up_ms
    if leg.recording_ms is not None:
        give_up_ms = now_ms + stream.plan.total_ms
        if not any(_records(each) for each in stream.legs):
            # One that is found dead late may have been outlived by another.
            lost_ms = max(each.heard_ms or 0 for each in stream.legs)
            stream = replace(stream, lost_ms=lost_ms, unrecorded_ms=now_ms)
    if any(each.state in RUNNING for each in stream.legs):
        return Outcome(stream, commands)
    earlier = () if _was_steady(leg) else stream.tried
    stream = replace(stream, tried=(*earlier, leg.srs))
    uri = None if leg.is_hopeless or now_ms >= give_up_ms else _next_srs(stream)
    if uri is not None:
        return _add_leg(Outcome(stream, commands), uri, give_up_ms, now_ms)
    failed = replace(stream, error_code=leg.error_code, error_text=leg.error_text)
    return Outcome(failed, commands)


def _records(leg: Leg) -> bool:
    """Tell whether media flows, be it that the SRS has just moved it."""
    return leg.recording_ms is not None and leg.state in (S.RECORDING, S.CONNECTING)


def _was_steady(leg: Leg) -> bool:
    if leg.recording_ms is None or leg.heard_ms is None:
        return False
    return leg.heard_ms - leg.recording_ms >= STEADY_MS


def _next_srs(stream: Stream) -> str | None:
    """Give the best SRS not tried yet. One that did record gets a second chance, as the last."""
    if stream.plan.is_parallel:
        return None
    fresh = [uri for uri in stream.plan.srs if uri not in stream.tried]
    if fresh:
        return fresh[0]
    recorded = stream.tried[0]
    did_record = stream.lost_ms is not None and stream.tried.count(recorded) == 1
    return recorded if did_record else None


def _add_leg(outcome: Outcome, uri: str, give_up_ms: int, now_ms: int) -> Outcome:
    stream, commands = outcome
    number = max((leg.number for leg in stream.legs), default=0) + 1
    leg = Leg(number=number, srs=uri, began_ms=now_ms, give_up_ms=give_up_ms)
    ended = [each for each in stream.legs if each.state.is_final]
    forgotten = ended[: max(0, len(ended) - ENDED_LEGS)]
    kept = tuple(each for each in stream.legs if each not in forgotten)
    added = Outcome(replace(stream, legs=(*kept, leg)), commands)
    at = At(stream.sid, stream.plan, now_ms, picture=stream.picture)
    return _with_leg(added, fork(leg, at))


def _end_unrecorded(outcome: Outcome, now_ms: int) -> Outcome:
    """End the call when nobody has recorded it for too long, or nobody will."""
    stream, commands = outcome
    if not _is_due(_end_call_due_ms(stream), now_ms):
        return outcome
    why = stream.error_text or "nobody records it"
    text = f"the connector {stream.order.connector_name} requires a recording: {why}"
    stream = replace(stream, unrecorded_ms=None)
    return Outcome(stream, (*commands, e.EndCall(text=text)))


def _end_call_due_ms(stream: Stream) -> int | None:
    if stream.plan.end_call_ms is None or stream.unrecorded_ms is None:
        return None
    # Nothing is tried any more: why wait?
    wait_ms = 0 if stream.error_code is not None else stream.plan.end_call_ms
    return stream.unrecorded_ms + wait_ms


def _conclude(before: Stream, outcome: Outcome, event: str, detail: str, now_ms: int) -> Outcome:
    """Derive what follows from the legs: state, deadline, end; remember what happened."""
    stream, commands = outcome
    state = _state_of(stream)
    due = [leg.deadline_ms for leg in stream.legs if leg.deadline_ms is not None]
    if (end_call_ms := _end_call_due_ms(stream)) is not None:
        due.append(end_call_ms)
    moved = replace(
        stream,
        state=state,
        is_silent=_silent_since(stream, state),
        deadline_ms=None if state.is_final else min(due, default=None),
        ended_ms=now_ms if state.is_final and stream.ended_ms is None else stream.ended_ms,
    )
    is_routine = event in {kind.__name__ for kind in _ROUTINE} and moved.state is before.state
    if is_routine and _shape(moved) == _shape(before):
        return Outcome(moved, commands)
    return Outcome(_remember(moved, before, event, detail, now_ms), commands)


def _shape(stream: Stream) -> list[tuple[int, StreamState, int]]:
    return [(leg.number, leg.state, leg.forks) for leg in stream.legs]


def _state_of(stream: Stream) -> StreamState:
    states = {leg.state for leg in stream.legs}
    for state in _ADVANCE:
        if state in states:
            return S.PAUSED if state is S.RECORDING and _is_silent(stream) else state
    return S.STOPPED if stream.error_code is None else S.FAILED


def _silent_since(stream: Stream, state: StreamState) -> bool:
    """Tell whether the stream is paused since it last was, or recorded.

    Another SRS that takes over, or rtpengine being told again, changes nothing of that.
    """
    if state is S.PAUSED:
        return True
    if state is not S.RECORDING or not stream.is_silent:
        return stream.is_silent
    return all(leg.is_gating or {*labels_of(leg)} <= {*leg.gated} for leg in _fed(stream))


def _is_silent(stream: Stream) -> bool:
    """Tell whether rtpengine has agreed to send nothing to any SRS."""
    return all({*labels_of(leg)} <= {*leg.gated} and not leg.is_gating for leg in _fed(stream))


def _fed(stream: Stream) -> list[Leg]:
    """Give the legs that rtpengine has an answer of."""
    return [leg for leg in stream.legs if leg.answer and not leg.fork_done]


def _remember(stream: Stream, before: Stream, event: str, detail: str, now_ms: int) -> Stream:
    """Add a line for each leg that moved or began, or one for the stream."""
    known = {leg.number: leg for leg in before.legs}
    happened = Moment(at_ms=now_ms, event=event, state=stream.state, detail=detail)
    moments = tuple(
        replace(happened, leg=leg.number, state=leg.state)
        if leg.number in known
        else Moment(at_ms=now_ms, event=STARTED, state=leg.state, leg=leg.number)
        for leg in stream.legs
        if known.get(leg.number) != leg
    )
    return replace(stream, history=(*stream.history, *(moments or (happened,)))[-HISTORY:])


def _detail(event: e.LegEvent) -> str:
    """Say what of an event is worth keeping; never SDP, keys or parameters."""
    match event:
        case e.SrsRefused(is_timeout=True, reason=reason):
            return reason
        case e.SrsRefused(status=status, reason=reason):
            return f"{status} {reason}"
        case e.SrsByeAnswered(status=status) | e.SrsOptionsAnswered(status=status):
            return str(status)
        case e.ForkRefused(text=text) | e.ForkAnswerRefused(text=text):
            return text
        case e.SrsUnreachable(text=text) | e.SrsDied(text=text):
            return text
        case e.SrsHungUp(reason=reason) | e.CallOver(reason=reason):
            return reason
        case e.Paused(sides=sides) | e.Resumed(sides=sides):
            return ", ".join(sides)
        case e.SrsRefreshed(interval_s=interval_s):
            return f"{interval_s} s"
        case _:
            return ""
