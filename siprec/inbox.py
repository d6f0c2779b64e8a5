"""What is appended to a shard's inbox: the proxy's reports and people's orders.

An entry has two fields: `t`, the kind, and `d`, the JSON of the record below.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from siprec.model import Call, Party, Side, StreamOrder, Track
from siprec.record import SDP, RecordError, Seal, from_json, to_json
from siprec.web_request import WebRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that deserves an alert: its code and text, and the HTTP request concerned."""

    code: int
    text: str
    request: WebRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRinging:
    """A provisional reply says that a call rings, or (`call.early_ms`) brought early media.

    `orders` are the streams that the document has started so far, if a connector may record that.
    """

    call: Call
    orders: tuple[StreamOrder, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswered:
    """A call was answered; `orders` are the streams its document started."""

    call: Call
    orders: tuple[StreamOrder, ...] = ()
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFailed:
    """A call ended before an answer; `call.end_reason` says how.

    `media_released` tells whether the proxy already made rtpengine forget the call.
    """

    call: Call
    media_released: bool = True
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallChanged:
    """A re-INVITE or UPDATE with SDP had a 2xx, or an ACK brought the answer to a 2xx's offer.

    `is_srtp` tells whether offer or answer had SRTP; None when nobody looked. `quiet` are the
    sides whose audio is not sent from now on, None when the media did not change; `has_video` is
    likewise. `caller` and
    `callee` are who the ends say that they are now (P-Asserted-Identity, or From: RFC 4916),
    without tags; None: as before. `session_id` is the pair as the caller sees it, when it is
    another. `has_sdp` is false when only identities changed.
    """

    call_sid: str
    at_ms: int
    is_srtp: bool | None = None
    quiet: tuple[Side, ...] | None = None
    has_video: bool | None = None
    caller: Party | None = None
    callee: Party | None = None
    session_id: str | None = None
    has_sdp: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReferred:
    """A REFER in a call had a 2xx: `referred_by` sends the other one to `target`; both URIs."""

    call_sid: str
    target: str
    referred_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ByeAnswered:
    """The final reply (`status`) to a BYE of the call. The tags are the BYE's own.

    `media_released` tells whether the proxy already made rtpengine forget the call.
    """

    call_sid: str
    from_tag: str
    to_tag: str
    status: int
    at_ms: int
    media_released: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHungUp:
    """The proxy ended a call, as it was asked to: both parties were sent a BYE."""

    call_sid: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOrdered:
    """Somebody asks for a stream on a live call; the verdict goes to `request_id`."""

    request_id: str
    call_sid: str
    order: StreamOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOrdered:
    """Somebody asks to stop a stream; the verdict goes to `request_id`.

    With `stream_sid` "" it is the stream `name` of the call `call_sid`.
    """

    request_id: str
    stream_sid: str
    call_sid: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseOrdered:
    """Somebody asks to pause a stream, or with `is_resumed` to go on; `track` says whose voice.

    With `stream_sid` "" it is the stream `name` of the call `call_sid`.
    """

    request_id: str
    stream_sid: str
    track: Track = Track.BOTH
    is_resumed: bool = False
    call_sid: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRefused:
    """An operator's command could not be understood; alert and verdict say so.

    `call_sid` and `stream_sid` are what it named, as far as that could be read.
    """

    request_id: str
    code: int
    text: str
    call_sid: str = ""
    stream_sid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportsDropped:
    """The proxy's outbox had to drop `count` reports."""

    node: str
    count: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallNotEnded:
    """The proxy could not end a call as it was asked to; `text` says why, for people."""

    call_sid: str
    account_sid: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackFailed:
    """A status callback was given up; `code` and `text` are for an alert.

    `stream_sid` is empty when the stream had been refused.
    """

    call_sid: str
    account_sid: str
    code: int
    text: str
    stream_sid: str = ""
    connector_name: str = ""
    request: WebRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFailed:
    """A document that a live call follows, or a step of it, went wrong; for an alert."""

    call_sid: str
    account_sid: str
    code: int
    text: str
    request: WebRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsRequested:
    """The SRS sent a request in a dialog of ours; its transaction waits at `node`.

    `index` and `label` name the suspended transaction of the Kamailio with that `boot`; an ACK
    has none. `reason` is the Reason header (RFC 3326), `supported` and `session_expires` are
    those of RFC 4028.
    """

    node: str
    boot: str
    index: int
    label: int
    method: str
    call_id: str
    from_tag: str
    to_tag: str
    cseq: int
    reason: str = ""
    contact: str = ""
    supported: str = ""
    session_expires: str = ""
    content_type: str = ""
    body: str = field(default="", metadata=SDP, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSeen:
    """What a TLS proxy says of the peer that answered a probe; docs/tls.md, "Probe".

    `route` is for all that follows, "" when the peer is not to be used. `certificate` is PEM.
    """

    route: str = ""
    verified: bool = False
    certificate: str = ""
    version: str = ""
    cipher: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsReplied:
    """A reply to a request of ours, or 408 of our own (`is_timeout`) when there was none.

    SIP workers hand it to the controller of their node; it goes through the inbox only when
    that node has none for the shard. `routes` are the Record-Route values, top to bottom;
    `challenges` the header lines WWW-Authenticate and Proxy-Authenticate of a 401 or 407;
    `session_expires`, `min_se` and `retry_after` are headers.
    `tls` is there when a probe is answered, and true only if it went through a TLS proxy.
    """

    call_id: str
    method: str
    cseq: int
    status: int
    reason: str = ""
    is_timeout: bool = False
    from_tag: str = ""
    to_tag: str = ""
    contact: str = ""
    routes: tuple[str, ...] = ()
    challenges: tuple[str, ...] = ()
    session_expires: str = ""
    min_se: str = ""
    retry_after: str = ""
    content_type: str = ""
    body: str = field(default="", metadata=SDP, repr=False)
    tls: TlsSeen | None = None


Entry = (
    CallRinging
    | CallAnswered
    | CallFailed
    | CallChanged
    | CallReferred
    | ByeAnswered
    | CallHungUp
    | StartOrdered
    | StopOrdered
    | PauseOrdered
    | CommandRefused
    | ReportsDropped
    | CallNotEnded
    | CallbackFailed
    | DocumentFailed
    | SrsRequested
    | SrsReplied
)

_KINDS: Mapping[str, type[Entry]] = {
    "call-ringing": CallRinging,
    "call-answered": CallAnswered,
    "call-failed": CallFailed,
    "call-changed": CallChanged,
    "call-referred": CallReferred,
    "bye-answered": ByeAnswered,
    "call-hung-up": CallHungUp,
    "start-ordered": StartOrdered,
    "stop-ordered": StopOrdered,
    "pause-ordered": PauseOrdered,
    "command-refused": CommandRefused,
    "reports-dropped": ReportsDropped,
    "call-not-ended": CallNotEnded,
    "callback-failed": CallbackFailed,
    "document-failed": DocumentFailed,
    "srs-requested": SrsRequested,
    "srs-replied": SrsReplied,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_fields(entry: Entry, seal: Seal | None = None) -> dict[str, str]:
    """Give the fields of the inbox entry, for XADD. A body with keys in it needs `seal`.

    Raises:
        RecordError: there is something to seal, and no `seal`.
    """
    return {"t": _NAMES[type(entry)], "d": to_json(entry, seal)}


def from_fields(fields: Mapping[str, str], unseal: Seal | None = None) -> Entry:
    """Decode an inbox entry.

    Raises:
        RecordError: unknown kind, the data does not fit it, or it cannot be unsealed.
    """
    kind = _KINDS.get(fields.get("t", ""))
    if kind is None:
        raise RecordError("t", f"{fields.get('t')!r} is no kind of inbox entry")
    return from_json(kind, fields.get("d", ""), unseal)
