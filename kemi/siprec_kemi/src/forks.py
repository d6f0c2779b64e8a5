"""The forks in rtpengine: a stream's commands to NG, and NG's replies as events."""

import secrets
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass

from rtpengine_ng.bencode import Value
from rtpengine_ng.client import NgSocket
from rtpengine_ng.conversation import NgConversation, Outcome
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
from siprec.errors import ForkError
from siprec.model import Call, Connector, Digits, Keying, Leg, Stream, StreamState
from siprec.sdp import Profile, compose_offer, gated_answer
from siprec.srs_uri import SrsUri
from siprec_kemi import ksr
from siprec_kemi.clock import monotonic_s

# An rtpengine that is silent to so many audits of a call has no media of it any more.
SILENT_AUDITS = 3

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
    return Media(
        profile=profile,
        suites=connector.suites if profile is Profile.SAVP else (),
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
    recording: tuple[tuple[str, int, str], ...] = ()
    heard: Callable[[int | None], None] | None = None


_Next = tuple[str, Command, _Asked]


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
        self._sockets: dict[str, NgSocket] = {}
        self._silent_audits: dict[str, int] = {}
        # Fork tags whose answer is on its way, and what is to follow it.
        self._answering: dict[str, _Next | None] = {}
        self._stream_of = stream_of
        self._happen = happen
        self._end_call = end_call
        self._register = register

    # Commands

    def request(self, call: Call, stream: Stream, leg: Leg, media: Media) -> None:
        """Ask for a fork of the recorded parties, in the order of the m-lines to be."""
        sides = tuple((call.party(s).tag, s.label) for s in stream.order.track.sides)
        from_tags = tuple(tag for tag, _ in sides)
        tag = leg.fork_tag
        asked = _Asked("subscribe request", stream.sid, leg.number, tag, media, from_tags, sides)
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
        self._send(call.rtpengine, command, asked)

    def answer(self, call: Call, stream: Stream, leg: Leg) -> None:
        """Give rtpengine the answer in force, without what is cut off.

        One at a time, and of those that wait only the last: an older one that is sent again, its
        datagram being lost, would open what a newer one has closed.
        """
        tag = leg.fork_tag
        sdp = leg.answer if leg.offer is None else gated_answer(leg.offer, leg.answer, leg.gated)
        command = subscribe_answer(call.sip_call_id, tag, sdp)
        asked = _Asked("subscribe answer", stream.sid, leg.number, tag)
        if tag in self._answering:
            self._answering[tag] = (call.rtpengine, command, asked)
            return
        self._answering[tag] = None
        self._send(call.rtpengine, command, asked)

    def release(self, call: Call, stream_sid: str, leg: int, fork_tag: str) -> None:
        """Stop the packets of a fork and free its ports."""
        if fork_tag in self._answering:
            self._answering[fork_tag] = None
        if call.is_live:
            # Of a call that is gone rtpengine would log it as a fault.
            first = unsubscribe(call.sip_call_id, fork_tag)
            self._send(call.rtpengine, first, _Asked("unsubscribe", stream_sid, leg, fork_tag))
        second = delete_fork(call.sip_call_id, fork_tag)
        self._send(call.rtpengine, second, _Asked("delete", stream_sid, leg, fork_tag))

    def when_heard(self, call: Call, leg: Leg, heard: Callable[[LastHeard], None]) -> None:
        """Ask when the SRS of a leg last sent RTCP; `heard` is not called without an answer."""
        asked = _Asked("heard", call.sid, leg.number, leg.fork_tag, heard=heard)
        self._send(call.rtpengine, query(call.sip_call_id), asked)

    def release_call(self, call: Call) -> None:
        """Let rtpengine forget a call that ended without the proxy's doing so."""
        command = delete_call(call.sip_call_id, call.caller.tag)
        self._send(call.rtpengine, command, _Asked("delete call", call.sid))

    def audit(self, call: Call, streams: Iterable[Stream]) -> None:
        """Ask whether rtpengine still has the call and the forks that record."""
        recording = tuple(
            (stream.sid, leg.number, leg.fork_tag)
            for stream in streams
            for leg in stream.legs
            if leg.state is StreamState.RECORDING
        )
        asked = _Asked("query", call.sid, recording=recording)
        self._send(call.rtpengine, query(call.sip_call_id), asked)

    def forget_audits(self, live: Container[str]) -> None:
        """Forget the silent audits of calls that are over."""
        for sid in [sid for sid in self._silent_audits if sid not in live]:
            del self._silent_audits[sid]

    def _send(self, address: str, command: Command, asked: _Asked) -> None:
        try:
            socket = self._socket(address)
        except (OSError, ValueError) as error:
            if not self._answers_on(asked):
                self._failed(asked, NgProtocolError(f"rtpengine {address!r}: {error}"))
            return
        socket.send(command, asked, monotonic_s())

    def _socket(self, address: str) -> NgSocket:
        socket = self._sockets.get(address)
        if socket is None:
            host, _, port = address.rpartition(":")
            conversation = NgConversation(secrets.token_hex(8))
            socket = NgSocket((host.strip("[]"), int(port or 0)), conversation)
            self._sockets[address] = socket
            self._register(socket)
        return socket

    # Replies

    def next_due_s(self) -> float | None:
        """Tell when `tick` has something to do, on the monotonic clock."""
        due = [d for s in self._sockets.values() if (d := s.next_due()) is not None]
        return min(due, default=None)

    def tick(self) -> None:
        """Repeat what was not answered; give up what waited too long."""
        now = monotonic_s()
        for socket in self._sockets.values():
            self.take(socket.tick(now))

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Turn replies into events."""
        for outcome in outcomes:
            asked = outcome.key
            if not isinstance(asked, _Asked) or self._answers_on(asked):
                continue
            if outcome.error is not None:
                self._failed(asked, outcome.error)
            else:
                self._replied(asked, outcome)

    def _answers_on(self, asked: _Asked) -> bool:
        """Send the answer that waits for the end of this one; tell whether there was one."""
        if asked.command != "subscribe answer":
            return False
        following = self._answering.pop(asked.fork_tag, None)
        if following is None:
            return False
        self._answering[asked.fork_tag] = None
        self._send(*following)
        return True

    def _is_fork_of(self, sid: str, number: int, fork_tag: str) -> bool:
        stream = self._stream_of(sid)
        leg = None if stream is None else stream.leg(number)
        return leg is not None and leg.fork_tag == fork_tag

    def _is_current(self, asked: _Asked) -> bool:
        return self._is_fork_of(asked.sid, asked.leg, asked.fork_tag)

    def _replied(self, asked: _Asked, outcome: Outcome) -> None:
        if asked.command == "query":
            self._audited(asked, outcome)
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
            case "delete":
                self._happen(asked.sid, asked.leg, e.ForkReleased())

    def _audited(self, asked: _Asked, outcome: Outcome) -> None:
        self._silent_audits.pop(asked.sid, None)
        tags = outcome.reply.get("tags")
        if not isinstance(tags, dict):
            return
        for sid, number, fork_tag in asked.recording:
            if fork_tag not in tags and self._is_fork_of(sid, number, fork_tag):
                self._happen(sid, number, e.ForkLost())

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
                keep_digits=media.keep_digits,
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
            case "subscribe answer" if self._is_current(asked):
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
