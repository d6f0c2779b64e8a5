"""What can happen to a stream (past tense) and what is then to be done (imperative).

The controller turns inbox entries, rtpengine replies, SIP messages and time into events, and
carries the commands out. A command may be carried out twice after a crash and must not matter.
"""

from dataclasses import dataclass

from siprec.model import AlertLevel
from siprec.sdp import Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkOffered:
    """rtpengine answered `subscribe request`; `offer` is what the SRS is to be sent."""

    offer: Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkRefused:
    """rtpengine refused, was silent, or offered nothing usable. `retryable`: may work soon."""

    text: str
    retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkAnswered:
    """rtpengine took the SRS's answer: media flows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkAnswerRefused:
    """rtpengine did not take the SRS's answer."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkReleased:
    """The fork and its ports are gone, or were not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkLost:
    """rtpengine no longer knows the fork of a stream that records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsAnswered:
    """A 2xx to the INVITE of `attempt`. `sdp` is None when it had no usable body part."""

    attempt: int
    from_tag: str
    to_tag: str
    cseq: int
    remote_target: str
    route_set: tuple[str, ...] = ()
    sdp: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsRefused:
    """A final reply ≥ 300 to the INVITE of `attempt`, or 408 of our own when there was none.

    `contact` is the first Contact URI of a 3xx.
    """

    attempt: int
    status: int
    reason: str
    contact: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsUnreachable:
    """The INVITE of `attempt` could not be sent: no such name, no route."""

    attempt: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsReanswered:
    """The SRS re-INVITEd with SDP that fits what is offered: its media has a new answer."""

    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsHungUp:
    """The SRS sent BYE; `reason` is its Reason header."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsByeAnswered:
    """The BYE of `attempt` has its final reply, or timed out (`status` 408)."""

    attempt: int
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Somebody stopped the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOver:
    """The call ended."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReoffered:
    """The call's media was renegotiated: rtpengine needs the answer in force again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlinePassed:
    """The state waited as long as it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerChanged:
    """Another controller took the shard over: replies to what was sent may be lost."""


Event = (
    ForkOffered
    | ForkRefused
    | ForkAnswered
    | ForkAnswerRefused
    | ForkReleased
    | ForkLost
    | SrsAnswered
    | SrsRefused
    | SrsUnreachable
    | SrsReanswered
    | SrsHungUp
    | SrsByeAnswered
    | Stopped
    | CallOver
    | CallReoffered
    | DeadlinePassed
    | OwnerChanged
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFork:
    """Send `subscribe request` with the leg's fork tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFork:
    """Send `subscribe answer` with the leg's answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFork:
    """Unsubscribe and delete the fork of that tag."""

    fork_tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendInvite:
    """Send the SIPREC INVITE of the leg's attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendCancel:
    """Cancel the INVITE with that Call-ID."""

    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendBye:
    """Send BYE with the final metadata in the leg's dialog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DropLateAnswer:
    """Send BYE in the dialog that a 2xx we no longer want has made (tm has sent the ACK)."""

    answer: SrsAnswered


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseAlert:
    """Tell people."""

    code: int
    text: str
    level: AlertLevel = AlertLevel.ERROR


Command = (
    RequestFork
    | AnswerFork
    | ReleaseFork
    | SendInvite
    | SendCancel
    | SendBye
    | DropLateAnswer
    | RaiseAlert
)
