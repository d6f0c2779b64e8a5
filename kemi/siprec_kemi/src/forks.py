"""The forks in rtpengine: a stream's commands to NG, and NG's replies as events."""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass

from rtpengine_ng.bencode import Value
from rtpengine_ng.client import NgSocket
from rtpengine_ng.conversation import Outcome
from rtpengine_ng.errors import NgError, NgProtocolError, NgRefused
from rtpengine_ng.messages import (
    Command,
    delete_call,
    delete_fork,
    parse_fork_offer,
    query,
    subscribe_answer,
    subscribe_request,
    unsubscribe,
)
from siprec import events as e
from siprec.connector import Connector, Digits, Keying, RtpProfile
from siprec.errors import ForkError
from siprec.model import Call, Leg, Stream, StreamState
from siprec.sdp import Profile, compose_offer, gated_answer
from siprec.srs_uri import SrsUri
from siprec_kemi import ksr
from siprec_kemi.clock import monotonic_s
from siprec_kemi.src.ng_sockets import NgSockets
from siprec_kemi.src.turns import Turns

# An rtpengine that is silent to so many audits of a call has no media of it any more.
SILENT_AUDITS = 3
# The commands that change a fork.
_ORDERED = ("subscribe request", "subscribe answer", "unsubscribe", "delete")

# Of an SRS that sends no RTCP this is None; ms since the epoch otherwise.
LastHeard = int | None
Happen = Callable[[str, int, e.LegEvent], None]
EndCall = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """How the media of a leg leaves: profile and suites, codecs, digits, the edge's interface."""

    profile: Profile = Profile.AVP
    suites: tuple[str, ...] = ()
    codecs: tuple[str, ...] = ()
    keep_digits: bool = False
    interface: str | None = None


def media_of(connector: Connector, srs: SrsUri, interface: str | None) -> Media:
    """Give how a connector wants the media toward one of its SRSs."""
    profile = Profile.AVP
    if srs.uses_srtp:
        profile = Profile.SAVP if connector.keying is Keying.SDES else Profile.DTLS
    if connector.rtp_profile is RtpProfile.AVPF:
        profile = profile.with_feedback
    return Media(
        profile=profile,
        suites=connector.suites if profile.has_sdes else (),
        codecs=connector.codecs,
        keep_digits=connector.digits is Digits.KEEP,
        interface=interface,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a reply belongs to. `fork_tag` tells replies about an older fork apart."""

    command: str
    sid: str
    leg: int = 0
    fork_tag: str = ""
    media: "Media | None" = None
    from_tags: tuple[str, ...] = ()
    sides: tuple[tuple[str, str], ...] = ()
    video: tuple[tuple[str, str], ...] = ()
    of_srtp_call: bool = False
    heard: Callable[[LastHeard], None] | None = None


class Forks:
    """One socket for each rtpengine, opened when first used.

    `stream_of(sid)` gives a stream as it is now; `happen` and `end_call` take what follows.
    """

    def __init__(
        self,
        *,
        stream_of: Callable[[str], Stream | None],
        happen: Happen,
        end_call: EndCall,
        register: Callable[[NgSocket], None],
    ) -> None:
        self._sockets = NgSockets(register)
        self._silent_audits: dict[str, int] = {}
        # By fork tag: address, command, and what the reply belongs to.
        self._turns = Turns[tuple[str, Command, _Asked]](lambda item: self._send(*item))
        self._stream_of = stream_of
        self._happen = happen
        self._end_call = end_call

    # Commands

    def request(self, call: Call, stream: Stream, leg: Leg, media: Media) -> None:
        """Ask for a fork of the recorded parties, in the order of the m-lines to be."""
        sides = tuple((call.media_tag(s), s.label) for s in stream.order.track.sides)
        from_tags = tuple(tag for tag, _ in sides)
        tag = leg.next_fork or leg.fork_tag
        video: tuple[tuple[str, str], ...] = ()
        if stream.picture.has_video:
            video = tuple((call.media_tag(s), s.video_label) for s in stream.order.track.sides)
        asked = _Asked(
            "subscribe request",
            stream.sid,
            leg.number,
            tag,
            media,
            from_tags,
            sides,
            video,
            call.is_srtp,
        )
        try:
            command = subscribe_request(
                call.sip_call_id,
                from_tags,
                tag,
                media.interface,
                profile=media.profile.value,
                suites=media.suites,
                transcode=media.codecs,
                keep_digits=media.keep_digits,
            )
        except ValueError as error:
            self._happen(stream.sid, leg.number, e.ForkRefused(text=str(error)))
            return
        self._order(call.rtpengine, command, asked)

    def answer(self, call: Call, stream: Stream, leg: Leg) -> None:
        """Give rtpengine the answer in force, without what is cut off.

        Of those that wait only the last is told of: an older one knows less.
        """
        sdp = leg.answer if leg.offer is None else gated_answer(leg.offer, leg.answer, leg.gated)
        command = subscribe_answer(call.sip_call_id, leg.fork_tag, sdp)
        asked = _Asked("subscribe answer", stream.sid, leg.number, leg.fork_tag)
        self._order(call.rtpengine, command, asked)

    def release(self, call: Call, stream_sid: str, leg: int, fork_tag: str) -> None:
        """Stop the packets of a fork and free its ports."""
        if call.is_live:
            # Of a call that is gone rtpengine would log it as a fault.
            first = unsubscribe(call.sip_call_id, fork_tag)
            self._order(call.rtpengine, first, _Asked("unsubscribe", stream_sid, leg, fork_tag))
        second = delete_fork(call.sip_call_id, fork_tag)
        self._order(call.rtpengine, second, _Asked("delete", stream_sid, leg, fork_tag))

    def when_heard(self, call: Call, leg: Leg, heard: Callable[[LastHeard], None]) -> None:
        """Ask when the SRS of a leg last sent RTCP; `heard` is not called without an answer."""
        asked = _Asked("heard", call.sid, leg.number, leg.fork_tag, heard=heard)
        self._send(call.rtpengine, query(call.sip_call_id, leg.fork_tag), asked)

    def release_call(self, call: Call) -> None:
        """Let rtpengine forget a call that ended without the proxy's doing so.

        The media of an operator's own proxy is left to that.
        """
        if call.is_plugged_in:
            return
        command = delete_call(call.sip_call_id, call.caller.tag)
        self._send(call.rtpengine, command, _Asked("delete call", call.sid))

    def audit(self, call: Call, streams: Iterable[Stream]) -> None:
        """Ask whether rtpengine still has the call and the forks that record."""
        first = query(call.sip_call_id, call.caller.tag)
        self._send(call.rtpengine, first, _Asked("query", call.sid))
        for stream in streams:
            for leg in stream.legs:
                if leg.state is StreamState.RECORDING:
                    asked = _Asked("query fork", stream.sid, leg.number, leg.fork_tag)
                    self._send(call.rtpengine, query(call.sip_call_id, leg.fork_tag), asked)

    def forget_audits(self, live: Container[str]) -> None:
        """Forget the silent audits of calls that are over."""
        for sid in [sid for sid in self._silent_audits if sid not in live]:
            del self._silent_audits[sid]

    def _order(self, address: str, command: Command, asked: _Asked) -> None:
        """Send a command that changes a fork, after those before it were answered.

        An `unsubscribe` that comes after the `delete` leaves an empty tag, and the call does not
        end with its parties; a request that does leaves a fork that nobody knows.
        """
        self._turns.order(asked.fork_tag, (address, command, asked))

    def _send(self, address: str, command: Command, asked: _Asked) -> None:
        try:
            socket = self._sockets.to(address)
        except (OSError, ValueError) as error:
            fault = NgProtocolError(f"{address}: {error}" if address else str(error))
            self._take(Outcome(key=asked, error=fault))
            return
        socket.send(command, asked, monotonic_s())

    # Replies

    def next_due_s(self) -> float | None:
        """Tell when `tick` has something to do, on the monotonic clock."""
        return self._sockets.next_due_s()

    def tick(self) -> None:
        """Repeat what was not answered; give up what waited too long."""
        now = monotonic_s()
        for socket in self._sockets:
            self.take(socket.tick(now))

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Turn replies into events."""
        for outcome in outcomes:
            self._take(outcome)

    def _take(self, outcome: Outcome) -> None:
        asked = outcome.key
        if not isinstance(asked, _Asked):
            return
        if not self._is_superseded(asked):
            if outcome.error is not None:
                self._failed(asked, outcome.error)
            else:
                self._replied(asked, outcome)
        if asked.command in _ORDERED:
            self._turns.ended(asked.fork_tag)

    def _is_superseded(self, asked: _Asked) -> bool:
        """Tell whether a newer answer for the same fork waits: that one will be spoken of."""
        waiting = self._turns.waiting(asked.fork_tag)
        is_answer = asked.command == "subscribe answer"
        return is_answer and any(each.command == asked.command for _, _, each in waiting)

    def _is_current(self, asked: _Asked) -> bool:
        stream = self._stream_of(asked.sid)
        leg = None if stream is None else stream.leg(asked.leg)
        return leg is not None and asked.fork_tag in (leg.fork_tag, leg.next_fork)

    def _replied(self, asked: _Asked, outcome: Outcome) -> None:
        if asked.command == "query":
            self._silent_audits.pop(asked.sid, None)
            return
        if asked.heard is not None:
            asked.heard(_last_rtcp_ms(outcome.reply, asked.fork_tag))
            return
        if asked.command == "delete call" or not self._is_current(asked):
            return
        match asked.command:
            case "subscribe request":
                self._offered(asked, outcome)
            case "subscribe answer":
                self._happen(asked.sid, asked.leg, e.ForkAnswered())
            case "query fork":
                tags = outcome.reply.get("tags")
                if isinstance(tags, dict) and asked.fork_tag not in tags:
                    self._happen(asked.sid, asked.leg, e.ForkLost())
            case "delete":
                self._happen(asked.sid, asked.leg, e.ForkReleased())

    def _audit_failed(self, call_sid: str, *, is_gone: bool) -> None:
        """End a call that rtpengine does not know, or whose rtpengine is gone for good."""
        silent = self._silent_audits.get(call_sid, 0) + 1
        self._silent_audits[call_sid] = silent
        if is_gone or silent >= SILENT_AUDITS:
            del self._silent_audits[call_sid]
            self._end_call(call_sid, "media-gone")

    def _offered(self, asked: _Asked, outcome: Outcome) -> None:
        media = asked.media or Media()
        try:
            fork = parse_fork_offer(outcome.reply, asked.from_tags)
            # Unique for each stream: random digits of the call, and the stream's ordinal.
            session_id = int(asked.sid[15:26] + asked.sid[30:34], 16)
            offer = compose_offer(
                fork.sdp,
                asked.sides,
                fork.labels,
                session_id,
                1,
                profile=media.profile,
                suites=media.suites,
                of_srtp_call=asked.of_srtp_call,
                keep_digits=media.keep_digits,
                video=asked.video,
            )
        except (NgProtocolError, ForkError) as error:
            # A party that answered a moment ago may not be known to rtpengine yet.
            refused = e.ForkRefused(text=str(error), retryable=True)
            self._happen(asked.sid, asked.leg, refused)
            return
        self._happen(asked.sid, asked.leg, e.ForkOffered(offer=offer))

    def _failed(self, asked: _Asked, error: NgError) -> None:
        gone = isinstance(error, NgRefused) and error.unknown_call
        match asked.command:
            case "query":
                self._audit_failed(asked.sid, is_gone=gone)
            case "subscribe request" if self._is_current(asked):
                retryable = error.retryable and not gone
                refused = e.ForkRefused(text=f"rtpengine: {error}", retryable=retryable)
                self._happen(asked.sid, asked.leg, refused)
            # Of a call that is gone its end is on the way, or the audit finds out: it is no fault
            # of the SRS's answer.
            case "subscribe answer" if not gone and self._is_current(asked):
                self._happen(asked.sid, asked.leg, e.ForkAnswerRefused(text=str(error)))
            case "delete" if self._is_current(asked):
                if not gone:
                    ksr.log("warning", f"{asked.sid} fork not released: {error}")
                self._happen(asked.sid, asked.leg, e.ForkReleased())


def _last_rtcp_ms(reply: Mapping[str, Value], fork_tag: str) -> LastHeard:
    """Read out of a `query` reply when the peer of a fork last sent anything: only RTCP can."""
    tags = reply.get("tags")
    fork = tags.get(fork_tag) if isinstance(tags, dict) else None
    medias = fork.get("medias") if isinstance(fork, dict) else None
    last_s = 0
    for media in medias if isinstance(medias, list) else ():
        streams = media.get("streams") if isinstance(media, dict) else None
        for stream in streams if isinstance(streams, list) else ():
            if not isinstance(stream, dict):
                continue
            stats, last = stream.get("stats"), stream.get("last packet")
            has_packets = isinstance(stats, dict) and stats.get("packets")
            if has_packets and isinstance(last, int):
                last_s = max(last_s, last)
    return last_s * 1000 if last_s else None
