"""What can happen to a stream (past tense) and what is then to be done (imperative).

The controller turns inbox entries, rtpengine replies, SIP messages and time into events, and
carries the commands out. A command may be carried out twice after a crash and must not matter.
What concerns one leg reaches the stream as `LegHappened`.
"""

from dataclasses import dataclass

from siprec.alerts import AlertLevel
from siprec.model import Picture, Side
from siprec.sdp import Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """The challenges of a 401 or 407 as header lines, and the CSeq of what was challenged."""

    lines: tuple[str, ...] = ()
    cseq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkOffered:
    """rtpengine answered `subscribe request`; `offer` is what the SRS is to be sent."""

    offer: Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkRefused:
    """rtpengine refused, was silent, or offered nothing usable. `retryable`: may work soon.

    `code` is the alert code that fits.
    """

    text: str
    retryable: bool = False
    code: int = 31953


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
    """A 2xx to an INVITE of `attempt`, or to an UPDATE in its dialog.

    `sdp` is None when it had no usable body part, `session_expires` its header's value.
    """

    attempt: int
    from_tag: str
    to_tag: str
    cseq: int
    remote_target: str
    route_set: tuple[str, ...] = ()
    sdp: str | None = None
    session_expires: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsRefused:
    """A final reply ≥ 300 to an INVITE of `attempt` or an UPDATE in its dialog.

    Or 408 of our own when there was none. `contact` is the first Contact URI of a 3xx,
    `challenge` that of a 401 or 407; `min_se_s` and `retry_after_s` are 0 when not given.
    """

    attempt: int
    status: int
    reason: str
    contact: str | None = None
    challenge: Challenge = Challenge()
    is_timeout: bool = False
    min_se_s: int = 0
    retry_after_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsUnreachable:
    """The INVITE of `attempt` could not be sent: no such name, no route, a wrong certificate.

    `code` is the alert code that fits.
    """

    attempt: int
    text: str
    code: int = 32011


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsReanswered:
    """The SRS re-INVITEd with SDP that fits what is offered: its media has a new answer."""

    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferGiven:
    """Our 200 to a re-INVITE without SDP has an offer: its ACK is to bring the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsRefreshed:
    """A request of the SRS has refreshed the session (RFC 4028 §9); who refreshes it next."""

    interval_s: int
    is_ours: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRequested:
    """The SRS asks for a full snapshot of the metadata (RFC 7866 §9.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsHungUp:
    """The SRS sent BYE; `reason` is its Reason header. `is_error`: it could not go on."""

    reason: str = ""
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsByeAnswered:
    """The BYE of `attempt` has its final reply, or timed out (`status` 408)."""

    attempt: int
    status: int
    challenge: Challenge = Challenge()


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsOptionsAnswered:
    """Our OPTIONS in the dialog of `attempt` has its final reply, or timed out (408)."""

    attempt: int
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsDied:
    """Health checks and RTCP say that the SRS is dead; it lived last at `since_ms`."""

    text: str
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Somebody stopped the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """Somebody paused sides of the stream: nothing of them may reach an SRS."""

    sides: tuple[Side, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """Somebody resumed sides of the stream."""

    sides: tuple[Side, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictured:
    """The call has changed in what the metadata says of it."""

    picture: Picture


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


LegEvent = (
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
    | OfferGiven
    | SrsRefreshed
    | SnapshotRequested
    | SrsHungUp
    | SrsByeAnswered
    | SrsOptionsAnswered
    | SrsDied
    | Stopped
    | Paused
    | Resumed
    | Pictured
    | CallOver
    | CallReoffered
    | DeadlinePassed
    | OwnerChanged
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegHappened:
    """Something happened to one leg of the stream."""

    leg: int
    event: LegEvent


Event = (
    LegHappened
    | Stopped
    | Paused
    | Resumed
    | Pictured
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
class SendAsked:
    """Send the re-INVITE or UPDATE that is asked, with SDP and metadata as they are now."""

    cseq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendCancel:
    """Cancel the INVITE with that Call-ID and CSeq."""

    call_id: str
    cseq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendBye:
    """Send BYE with the final metadata in the leg's dialog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOptions:
    """Ask the SRS with OPTIONS whether it still knows the dialog."""

    cseq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DropLateAnswer:
    """Send BYE in the dialog that a 2xx we no longer want has made, after an ACK."""

    answer: SrsAnswered


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseAlert:
    """Tell people. `srs` is the URI of the SRS concerned, the other two what that answered."""

    code: int
    text: str
    level: AlertLevel = AlertLevel.ERROR
    srs: str | None = None
    sip_status: int | None = None
    sip_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCall:
    """End the call: nobody records it any more, and its connector demands that somebody does."""

    text: str


LegCommand = (
    RequestFork
    | AnswerFork
    | ReleaseFork
    | SendInvite
    | SendAsked
    | SendCancel
    | SendBye
    | SendOptions
    | DropLateAnswer
    | RaiseAlert
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForLeg:
    """A command for one leg of the stream."""

    leg: int
    command: LegCommand


Command = ForLeg | RaiseAlert | EndCall
