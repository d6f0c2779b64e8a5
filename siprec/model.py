"""What we keep of calls, streams and legs. docs/redis.md shows where.

All times are milliseconds since the epoch (UTC), named `_ms`.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from siprec.connector import MetadataBy, OnHold, OnSecureCall
from siprec.record import SDP
from siprec.sdp import Offer


class Side(StrEnum):
    """A party of a call, by the role it has in the call's first INVITE."""

    CALLER = "caller"
    CALLEE = "callee"

    @property
    def label(self) -> str:
        """Give the label (RFC 4574) of the side's audio, the same for the life of a call."""
        return "1" if self is Side.CALLER else "2"

    @property
    def video_label(self) -> str:
        """Give the label of the side's video, likewise."""
        return "3" if self is Side.CALLER else "4"


class Track(StrEnum):
    """Whose audio a stream carries: the caller's, the callee's, or both."""

    INBOUND = "inbound_track"
    OUTBOUND = "outbound_track"
    BOTH = "both_tracks"

    @property
    def sides(self) -> tuple[Side, ...]:
        """Name the recorded parties, in the order of the m-lines of the SIPREC offer."""
        match self:
            case Track.INBOUND:
                return (Side.CALLER,)
            case Track.OUTBOUND:
                return (Side.CALLEE,)
            case _:
                return (Side.CALLER, Side.CALLEE)


class CallbackMethod(StrEnum):
    """How a status callback is sent."""

    GET = "GET"
    POST = "POST"


class StreamState(StrEnum):
    """Where a stream stands, and each of its legs. Stored; docs/states.md draws them."""

    FORKING = "forking"
    INVITING = "inviting"
    CONNECTING = "connecting"
    RECORDING = "recording"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Tell whether nothing further happens to the stream."""
        return self in (StreamState.STOPPED, StreamState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One end of a call: display name as sent (no quotes), SIP URI, dialog tag.

    `since_ms` is when it took the place of another; None: there from the answer on. `dialog_uri`
    is what From or To said while P-Asserted-Identity named `uri`.
    """

    name: str = ""
    uri: str = ""
    tag: str = ""
    since_ms: int | None = None
    dialog_uri: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """Who was an end of a call until another took its place."""

    side: Side
    party: Party
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinship:
    """What the INVITE of a call says of a call before it, of which it may be a transfer.

    `replaces` is the Call-ID of Replaces (RFC 3891) and `tags` its tags, sorted; `referred_by` and
    `target` are the URIs of Referred-By (RFC 3892) and of the Request-URI.
    """

    replaces: str = ""
    tags: tuple[str, ...] = ()
    referred_by: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One proxied SIP dialog. `sid` is `CA` + 32 hex, of which the first two are the shard.

    `rtpengine` is the NG address (`host:port`) of the instance that anchors the media.
    `session_id` is the RFC 7989 pair as the caller sees it, when an endpoint sent one.
    `number` is the user part of the called Request-URI. `end_reason` is a short word:
    `bye`, `media-gone`, `too-long`, `cancelled`, `unrecorded`, `refused`, or a SIP status such as
    `486`.
    `node` is the one whose proxy role carries the call. `is_srtp`: a party's media is SRTP.
    `has_video`: there is video besides the audio. `is_plugged_in`: an operator's own proxy carries
    the call, and only reports; its media has the tags of the dialog in rtpengine.
    `quiet` are the sides whose audio is not sent now, by hold or mute. `former` are those that
    another took the place of, and `revision` counts the changes of who talks. `ringing_ms` is when
    it began to ring, `early_ms` when its early media began to be recorded, if they did. `group` is
    the sid of the first call of those that are transfers of each other; "" when there is none.
    """

    sid: str
    account_sid: str
    sip_call_id: str
    number: str = ""
    caller: Party = Party()
    callee: Party = Party()
    session_id: str | None = None
    rtpengine: str = ""
    node: str = ""
    is_srtp: bool = False
    has_video: bool = False
    is_plugged_in: bool = False
    quiet: tuple[Side, ...] = ()
    former: tuple[Former, ...] = ()
    revision: int = 0
    group: str = ""
    kinship: Kinship | None = None
    started_ms: int = 0
    ringing_ms: int | None = None
    early_ms: int | None = None
    answered_ms: int | None = None
    ended_ms: int | None = None
    end_reason: str | None = None

    @property
    def is_live(self) -> bool:
        """Tell whether the call goes on: it rings at least, and has not ended."""
        has_begun = self.has_media or self.ringing_ms is not None
        return has_begun and self.ended_ms is None

    @property
    def has_media(self) -> bool:
        """Tell whether the call has or had media that may be recorded: answered, or early."""
        return self.answered_ms is not None or self.early_ms is not None

    def party(self, side: Side) -> Party:
        """Give the party of that side."""
        return self.caller if side is Side.CALLER else self.callee

    def media_tag(self, side: Side) -> str:
        """Give the tag that rtpengine knows that side by."""
        if side is Side.CALLER or self.is_plugged_in:
            return self.party(side).tag
        return callee_media_tag(self.sid)


def callee_media_tag(call_sid: str) -> str:
    """Give the tag that rtpengine knows a call's callee by, whichever device has answered.

    No caller can have it as well: the sid is made after their tag.
    """
    return f"callee-{call_sid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOrder:
    """What one `<Start><Siprec>` asks for. `name` is empty when the caller gave none."""

    name: str = ""
    connector_name: str = "Default"
    track: Track = Track.BOTH
    status_callback: str | None = None
    status_callback_method: CallbackMethod = CallbackMethod.POST
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What the metadata of a stream says that may change while it runs.

    `quiet` are the labels of the sides whose audio the call does not carry. `revision` and
    `formers` count the changes of who talks and who went (`Call.revision`, `Call.former`).
    `has_video`: the call carries video, and the stream is to have it.
    """

    quiet: tuple[str, ...] = ()
    revision: int = 0
    formers: int = 0
    has_video: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """The session timer (RFC 4028) of a leg's dialog. `is_ours`: we are who refreshes.

    `refresh_ms` is when we do, `expires_ms` when the session is over without a refresh; None:
    never.
    """

    interval_s: int
    is_ours: bool
    refresh_ms: int | None = None
    expires_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request of ours in the dialog that waits for its answer until `until_ms`.

    It is a re-INVITE, or UPDATE without SDP (`by_update`). `muted` are the labels that it makes
    inactive, `picture` what its metadata tells (None: nothing), all of it when `is_full`.
    `is_refresh`: the session is over without it. `grows`: it offers video as well.
    """

    cseq: int
    muted: tuple[str, ...] = ()
    picture: Picture | None = None
    is_full: bool = False
    by_update: bool = False
    is_refresh: bool = False
    grows: bool = False
    until_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An OPTIONS of ours in the dialog that waits for its answer until `until_ms`."""

    cseq: int
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One SIPREC dialog with one SRS, and the fork that feeds it.

    `number` counts the legs of the stream. `srs` is the SRS's URI as its connector has it, and
    `redirect` the Contact that it sent us to, if it did. `attempt` counts the INVITEs of initial
    dialogs and stands in `call_id`; `forks` counts the forks and stands in `fork_tag`. `offer` is
    what we sent, `answer` the SDP that rtpengine was given. `remote_target` and `route_set` are
    those of RFC 3261 §12.1.2, `cseq` the number of our last request. `challenges` are the header
    lines of the last challenge (RFC 3261 §22), which came to the request `challenged_cseq`.
    `options_ms` is when the SRS is asked next whether it knows the dialog,
    `deadline_ms` when a waiting state gives up or something is due; `give_up_ms` when no
    attempt is made any more.
    `heard_ms` is when its SRS last showed that it records; in the end, up to when it surely did.
    `muted` are the labels that the session agreed on as inactive, `gated` those that rtpengine is
    told not to send (`is_gating` until it has agreed), `asked` or `question` our request on its
    way, `retry_ms` when the next may be sent, and `refused` what the SRS did not agree to mute.
    `ack_until_ms` is until when the SRS's ACK may bring the answer to an offer in our 200.
    `is_doubtful`: nobody knows what it made of our last one; `muted` is what may be inactive then.
    `told` is what the SRS knows of the call since `told_ms` (None: it needs a full snapshot), and
    `untold` what it did not take. `dropped` are the labels that it refused with port 0.
    `no_update`: it does not take UPDATE. `next_fork` is the tag of a fork with more m-lines that
    is to take the place of the one in use, `next_offer` what it offers; `no_video`: that is not
    tried again. `retries` counts how often it put us off. `min_se_s` is the smallest session timer
    that it takes.
    `bye_done` and `fork_done` tell what of the ending is over, `bye_repeated` that our BYE was sent
    again while nobody knew whether the first had arrived. `error_code` is an alert code;
    `is_hopeless`: another SRS would fail in the same way.
    """

    number: int = 1
    state: StreamState = StreamState.FORKING
    srs: str = ""
    redirect: str = ""
    attempt: int = 1
    call_id: str = ""
    from_tag: str = ""
    to_tag: str = ""
    cseq: int = 1
    remote_cseq: int = 0
    remote_target: str = ""
    route_set: tuple[str, ...] = ()
    challenges: tuple[str, ...] = ()
    challenged_cseq: int = 0
    auth_tries: int = 0
    flow_tries: int = 0
    forks: int = 1
    fork_tag: str = ""
    offer: Offer | None = None
    answer: str = field(default="", metadata=SDP, repr=False)
    muted: tuple[str, ...] = ()
    gated: tuple[str, ...] = ()
    is_gating: bool = False
    asked: Ask | None = None
    retry_ms: int | None = None
    refused: tuple[str, ...] | None = None
    is_doubtful: bool = False
    told: Picture | None = Picture()
    told_ms: int = 0
    untold: Picture | None = None
    dropped: tuple[str, ...] = ()
    no_update: bool = False
    next_fork: str = ""
    next_offer: Offer | None = None
    no_video: bool = False
    retries: int = 0
    timer: Timer | None = None
    min_se_s: int = 0
    bye_done: bool = False
    bye_repeated: bool = False
    fork_done: bool = False
    began_ms: int = 0
    recording_ms: int | None = None
    heard_ms: int | None = None
    ended_ms: int | None = None
    options_ms: int | None = None
    question: Question | None = None
    ack_until_ms: int | None = None
    deadline_ms: int | None = None
    give_up_ms: int = 0
    error_code: int | None = None
    error_text: str | None = None
    is_hopeless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a stream keeps of its connector as it was at the start.

    `srs` are the URIs to try, best first; a parallel one uses all at once. `answer_ms` limits
    one INVITE, `total_ms` a start or a failover. `check_ms` is the time between two questions
    to the SRS whether it still knows the dialog, 0 for none. `tls_profile` is a profile's name.
    `session_s` is the session timer that is asked for, 0 for none. `video`: that of the call is
    recorded too.
    """

    srs: tuple[str, ...] = ()
    is_parallel: bool = False
    answer_ms: int = 10_000
    total_ms: int = 30_000
    check_ms: int = 0
    has_digest: bool = False
    tls_profile: str = ""
    end_call_ms: int | None = None
    on_secure_call: OnSecureCall = OnSecureCall.ALERT
    hold: OnHold = OnHold.KEEP
    metadata_by: MetadataBy = MetadataBy.REINVITE
    session_s: int = 0
    video: bool = False

    def fit(self, picture: Picture) -> Picture:
        """Give what the metadata is to say under this plan."""
        return picture if self.video else replace(picture, has_video=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One line of a stream's history: at `at_ms` the `event` led the `leg` to `state`."""

    at_ms: int
    event: str
    state: StreamState
    leg: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One `<Siprec>` on a call. `sid` is `SR` + 32 hex, of which the first two are the shard.

    `state` is that of its most advanced leg. `paused` are the sides that somebody paused,
    `picture` what its metadata is to say.
    `is_silent`: when it last recorded or was paused, it was paused.
    `tried` are the SRSs that failed since one has recorded for a while. `lost_ms` is since when
    nobody records what somebody did record,
    and `gap_ms` how long that lasted before, altogether; `unrecorded_ms` since when nobody does.
    `deadline_ms` is when something gives up. `error_code` is an alert code.
    """

    sid: str
    call_sid: str
    account_sid: str
    order: StreamOrder
    plan: Plan = Plan()
    state: StreamState = StreamState.FORKING
    legs: tuple[Leg, ...] = ()
    paused: tuple[Side, ...] = ()
    picture: Picture = Picture()
    tried: tuple[str, ...] = ()
    is_stopped: bool = False
    created_ms: int = 0
    recording_ms: int | None = None
    is_silent: bool = False
    lost_ms: int | None = None
    gap_ms: int = 0
    unrecorded_ms: int | None = None
    ended_ms: int | None = None
    deadline_ms: int | None = None
    error_code: int | None = None
    error_text: str | None = None
    history: tuple[Moment, ...] = ()

    def leg(self, number: int) -> Leg | None:
        """Give the leg of that number, None when it is forgotten or never was."""
        return next((leg for leg in self.legs if leg.number == number), None)
