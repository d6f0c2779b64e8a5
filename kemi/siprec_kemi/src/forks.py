"""The forks in rtpengine: a stream's commands to NG, and NG's replies as events."""

import secrets
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

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
from siprec.model import Call, Stream, StreamState
from siprec.sdp import compose_offer
from siprec_kemi import ksr
from siprec_kemi.clock import monotonic_s
from siprec_kemi.src.requests import LABELS

# An rtpengine that is silent to so many audits of a call has no media of it any more.
SILENT_AUDITS = 3

Happen = Callable[[str, e.Event], None]
EndCall = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a reply belongs to. `fork_tag` tells replies about an older fork apart."""

    command: str
    sid: str
    fork_tag: str = ""
    from_tags: tuple[str, ...] = ()
    sides: tuple[tuple[str, str], ...] = ()
    recording: tuple[tuple[str, str], ...] = ()


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
        self._stream_of = stream_of
        self._happen = happen
        self._end_call = end_call
        self._register = register

    # Commands

    def request(self, call: Call, stream: Stream) -> None:
        """Ask for a fork of the recorded parties, in the order of the m-lines to be."""
        sides = tuple((call.party(s).tag, LABELS[s]) for s in stream.order.track.sides)
        from_tags = tuple(tag for tag, _ in sides)
        tag = stream.leg.fork_tag
        asked = _Asked("subscribe request", stream.sid, tag, from_tags, sides)
        try:
            command = subscribe_request(call.sip_call_id, from_tags, tag)
        except ValueError as error:
            self._happen(stream.sid, e.ForkRefused(text=str(error)))
            return
        self._send(call.rtpengine, command, asked)

    def answer(self, call: Call, stream: Stream) -> None:
        """Give rtpengine the answer in force."""
        leg = stream.leg
        command = subscribe_answer(call.sip_call_id, leg.fork_tag, leg.answer)
        self._send(call.rtpengine, command, _Asked("subscribe answer", stream.sid, leg.fork_tag))

    def release(self, call: Call, stream_sid: str, fork_tag: str) -> None:
        """Stop the packets of a fork and free its ports."""
        if call.is_live:
            # Of a call that is gone rtpengine would log it as a fault.
            first = unsubscribe(call.sip_call_id, fork_tag)
            self._send(call.rtpengine, first, _Asked("unsubscribe", stream_sid, fork_tag))
        second = delete_fork(call.sip_call_id, fork_tag)
        self._send(call.rtpengine, second, _Asked("delete", stream_sid, fork_tag))

    def release_call(self, call: Call) -> None:
        """Let rtpengine forget a call that ended without the proxy's doing so."""
        command = delete_call(call.sip_call_id, call.caller.tag)
        self._send(call.rtpengine, command, _Asked("delete call", call.sid))

    def audit(self, call: Call, streams: Iterable[Stream]) -> None:
        """Ask whether rtpengine still has the call and the forks that record."""
        recording = tuple(
            (stream.sid, stream.leg.fork_tag)
            for stream in streams
            if stream.state is StreamState.RECORDING
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
            if not isinstance(asked, _Asked):
                continue
            if outcome.error is not None:
                self._failed(asked, outcome.error)
            else:
                self._replied(asked, outcome)

    def _is_current(self, asked: _Asked) -> bool:
        stream = self._stream_of(asked.sid)
        return stream is not None and stream.leg.fork_tag == asked.fork_tag

    def _replied(self, asked: _Asked, outcome: Outcome) -> None:
        if asked.command == "query":
            self._audited(asked, outcome)
            return
        if asked.command == "delete call" or not self._is_current(asked):
            return
        match asked.command:
            case "subscribe request":
                self._offered(asked, outcome)
            case "subscribe answer":
                self._happen(asked.sid, e.ForkAnswered())
            case "delete":
                self._happen(asked.sid, e.ForkReleased())

    def _audited(self, asked: _Asked, outcome: Outcome) -> None:
        self._silent_audits.pop(asked.sid, None)
        tags = outcome.reply.get("tags")
        if not isinstance(tags, dict):
            return
        for sid, fork_tag in asked.recording:
            stream = self._stream_of(sid)
            if fork_tag not in tags and stream is not None and stream.leg.fork_tag == fork_tag:
                self._happen(sid, e.ForkLost())

    def _audit_failed(self, call_sid: str, *, is_gone: bool) -> None:
        """End a call that rtpengine does not know, or whose rtpengine is gone for good."""
        silent = self._silent_audits.get(call_sid, 0) + 1
        self._silent_audits[call_sid] = silent
        if is_gone or silent >= SILENT_AUDITS:
            del self._silent_audits[call_sid]
            self._end_call(call_sid, "media-gone")

    def _offered(self, asked: _Asked, outcome: Outcome) -> None:
        try:
            fork = parse_fork_offer(outcome.reply, asked.from_tags)
            # Unique for each stream: random digits of the call, and the stream's ordinal.
            session_id = int(asked.sid[15:26] + asked.sid[30:34], 16)
            offer = compose_offer(fork.sdp, asked.sides, fork.labels, session_id, 1)
        except (NgProtocolError, ForkError) as error:
            # A party that answered a moment ago may not be known to rtpengine yet.
            self._happen(asked.sid, e.ForkRefused(text=str(error), retryable=True))
            return
        self._happen(asked.sid, e.ForkOffered(offer=offer))

    def _failed(self, asked: _Asked, error: NgError) -> None:
        gone = isinstance(error, NgRefused) and error.unknown_call
        match asked.command:
            case "query":
                self._audit_failed(asked.sid, is_gone=gone)
            case "subscribe request" if self._is_current(asked):
                text = f"rtpengine: {error}"
                self._happen(
                    asked.sid, e.ForkRefused(text=text, retryable=error.retryable and not gone)
                )
            case "subscribe answer" if self._is_current(asked):
                self._happen(asked.sid, e.ForkAnswerRefused(text=str(error)))
            case "delete" if self._is_current(asked):
                if not gone:
                    ksr.log("warning", f"{asked.sid} fork not released: {error}")
                self._happen(asked.sid, e.ForkReleased())
