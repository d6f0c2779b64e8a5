"""Compiled documents, and how a proxy follows one. Loads no XML: SIP workers use this alone.

A document becomes a `Program` once, when it is set (siprec.twiml.compile_document); it is
stored as a record. For each call the proxy goes through it with `advance()`.
"""

from dataclasses import dataclass
from enum import StrEnum

from siprec.model import CallbackMethod, StreamOrder


class Verb(StrEnum):
    """What a step does. The values are stored."""

    START = "start"
    STOP = "stop"
    DIAL = "dial"
    PAUSE = "pause"
    REJECT = "reject"
    REDIRECT = "redirect"
    HANGUP = "hangup"


class TargetKind(StrEnum):
    """What `<Dial>` calls: a number through the gateway, or a SIP URI."""

    NUMBER = "number"
    SIP = "sip"


class RejectReason(StrEnum):
    """Why `<Reject>` refuses a call."""

    REJECTED = "rejected"
    BUSY = "busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One `<Number>` or `<Sip>` of a `<Dial>`."""

    kind: TargetKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a document is fetched, and how."""

    url: str
    method: CallbackMethod = CallbackMethod.POST


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One instruction. Only the fields of its verb count.

    START: `order`. STOP: `name`. DIAL: `targets`, `timeout_s`. PAUSE: `length_s`.
    REJECT: `reason`. REDIRECT: `source`. `line` is where it stands in the document.
    """

    do: Verb
    line: int = 0
    order: StreamOrder | None = None
    name: str = ""
    targets: tuple[Target, ...] = ()
    timeout_s: int = 30
    length_s: int = 1
    reason: RejectReason = RejectReason.REJECTED
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A compiled document. A record: siprec.record stores it."""

    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DialOut:
    """Ring all targets together; when none answers within `timeout_s`, advance again."""

    targets: tuple[Target, ...]
    timeout_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Let the caller wait, then advance again."""

    length_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Answer the INVITE with this final status: the document is at its end."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Follow another document from here on, which is fetched first."""

    source: Source


Action = DialOut | Wait | Refuse | Fetch


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """What to do now, and where to go on afterwards.

    `pending` are the streams to start at the answer; `unknown_stops` are names that `<Stop>`
    gave though no stream of that name was pending.
    """

    action: Action
    position: int
    pending: tuple[StreamOrder, ...]
    unknown_stops: tuple[str, ...] = ()


_BUSY = Refuse(status=486, reason="Busy Here")
_DECLINE = Refuse(status=603, reason="Decline")
_AT_END = Refuse(status=480, reason="Temporarily Unavailable")


def advance(program: Program, position: int, pending: tuple[StreamOrder, ...]) -> Advance:
    """Follow the document from `position` to the next step that acts on the call.

    Begin at position 0 with nothing pending; after a failed dial or a wait, call again with
    the position and the pending orders of the last result. Two pending orders may share a
    name: the second is refused when the streams start.
    """
    unknown: list[str] = []
    for here in range(position, len(program.steps)):
        step = program.steps[here]
        if step.order is not None:
            pending = (*pending, step.order)
        elif step.do is Verb.STOP:
            left = tuple(order for order in pending if order.name != step.name)
            if len(left) == len(pending):
                unknown.append(step.name)
            pending = left
        else:
            return Advance(
                action=_action(step),
                position=here + 1,
                pending=pending,
                unknown_stops=tuple(unknown),
            )
    return Advance(
        action=_AT_END,
        position=len(program.steps),
        pending=pending,
        unknown_stops=tuple(unknown),
    )


def _action(step: Step) -> Action:
    match step.do:
        case Verb.DIAL:
            return DialOut(targets=step.targets, timeout_s=step.timeout_s)
        case Verb.PAUSE:
            return Wait(length_s=step.length_s)
        case Verb.REDIRECT if step.source is not None:
            return Fetch(source=step.source)
        case Verb.REJECT if step.reason is RejectReason.BUSY:
            return _BUSY
        case _:
            return _DECLINE
