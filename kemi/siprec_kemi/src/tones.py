"""The tone that tells both parties of a call that it is recorded; rtpengine plays it."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rtpengine_ng.client import NgSocket
from rtpengine_ng.conversation import Outcome
from rtpengine_ng.errors import NgRefused
from rtpengine_ng.messages import Command, play_media, stop_media
from siprec.awareness import is_heard
from siprec.changes import CallFile
from siprec.model import Call, Side, Stream
from siprec.settings import AwarenessSettings
from siprec_kemi import ksr
from siprec_kemi.clock import monotonic_s
from siprec_kemi.src.ng_sockets import NgSockets
from siprec_kemi.src.turns import Turns


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a reply belongs to."""

    call_sid: str
    command: str
    side: Side


@dataclass(slots=True)
class _Recorded:
    """A call that a recorder hears. The next tone is due at `due_s`, the last ends at `until_s`."""

    call: Call
    stream_sid: str
    due_s: float = 0.0
    until_s: float = 0.0


class Tones:
    """Plays `[awareness] tone` when a call begins to be recorded, after a pause too, and
    then every `tone_interval_s`.

    A controller tells it of every change (`learn`) and of the calls that it took over (`adopt`),
    calls `care` each turn, at the latest at `next_due_s`, and hands it what comes out of the
    sockets that `register` was given. `file_of(stream_sid)` gives a call as it is now.
    """

    def __init__(
        self,
        settings: AwarenessSettings,
        *,
        file_of: Callable[[str], CallFile | None],
        register: Callable[[NgSocket], None],
    ) -> None:
        self._tone = settings.tone or ""
        self._interval_s = settings.tone_interval_s
        self._file_of = file_of
        self._sockets = NgSockets(register)
        self._recorded: dict[str, _Recorded] = {}
        self._due: list[tuple[float, str]] = []
        # By call and side: a tone must not begin after it was stopped.
        self._turns = Turns[tuple[Call, Command, _Asked]](lambda item: self._send(*item))

    def learn(self, streams: Iterable[Stream]) -> None:
        """Take in which streams changed: begin, or stop, in the calls that they are of."""
        if not self._tone:
            return
        for stream in {each.call_sid: each for each in streams}.values():
            file = self._file_of(stream.sid)
            if file is not None and file.call.is_live and is_heard(file.streams.values()):
                self._begin(file.call, stream.sid)
            else:
                self._end(stream.call_sid)

    def adopt(self, files: Iterable[CallFile]) -> None:
        """Go on with calls that another controller had: their beginning is over."""
        for file in files if self._tone else ():
            if file.call.sid not in self._recorded and is_heard(file.streams.values()):
                self._note(file.call, next(iter(file.streams)))

    def care(self) -> None:
        """Play what is due, and send again what was not answered."""
        now = monotonic_s()
        for socket in self._sockets:
            self.take(socket.tick(now))
        while self._due and self._due[0][0] <= now:
            _, call_sid = heapq.heappop(self._due)
            recorded = self._recorded.get(call_sid)
            if recorded is None or recorded.due_s > now:
                continue
            # What was given away with its shard is another's to care for.
            file = self._file_of(recorded.stream_sid)
            if file is None:
                del self._recorded[call_sid]
                continue
            recorded.call = file.call
            self._play(recorded)
            self._plan(recorded)

    def next_due_s(self) -> float | None:
        """Tell when `care` has something to do, on the monotonic clock."""
        socket_s = self._sockets.next_due_s()
        dues = [at for at, _ in self._due[:1]]
        return min(dues if socket_s is None else [socket_s, *dues], default=None)

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Take replies of rtpengine; those to others are left alone."""
        for outcome in outcomes:
            asked, error = outcome.key, outcome.error
            if not isinstance(asked, _Asked):
                continue
            self._turns.ended((asked.call_sid, asked.side))
            recorded = self._recorded.get(asked.call_sid)
            is_gone = isinstance(error, NgRefused) and error.unknown_call
            if error is not None and not is_gone:
                ksr.log("error", f"{asked.call_sid} {asked.command}: {error}")
            elif recorded is not None and asked.command == "play media":
                duration_ms = outcome.reply.get("duration")
                if isinstance(duration_ms, int):
                    recorded.until_s = monotonic_s() + duration_ms / 1000

    def _begin(self, call: Call, stream_sid: str) -> None:
        if call.sid not in self._recorded:
            self._play(self._note(call, stream_sid))

    def _note(self, call: Call, stream_sid: str) -> _Recorded:
        recorded = _Recorded(call, stream_sid)
        self._recorded[call.sid] = recorded
        self._plan(recorded)
        return recorded

    def _plan(self, recorded: _Recorded) -> None:
        if self._interval_s:
            recorded.due_s = monotonic_s() + self._interval_s
            heapq.heappush(self._due, (recorded.due_s, recorded.call.sid))

    def _play(self, recorded: _Recorded) -> None:
        call = recorded.call
        # Until rtpengine says how long the file is.
        recorded.until_s = float("inf")
        for side in Side:
            play = play_media(call.sip_call_id, call.media_tag(side), self._tone)
            self._order(call, side, play)

    def _end(self, call_sid: str) -> None:
        """Let a call be silent that no recorder hears any more, in the middle of a tone too."""
        recorded = self._recorded.pop(call_sid, None)
        if recorded is None or recorded.until_s <= monotonic_s():
            return
        file = self._file_of(recorded.stream_sid)
        if file is not None and file.call.is_live:
            call = file.call
            for side in Side:
                self._order(call, side, stop_media(call.sip_call_id, call.media_tag(side)))

    def _order(self, call: Call, side: Side, command: Command) -> None:
        asked = _Asked(call.sid, str(command["command"]), side)
        self._turns.order((call.sid, side), (call, command, asked))

    def _send(self, call: Call, command: Command, asked: _Asked) -> None:
        try:
            socket = self._sockets.to(call.rtpengine)
        except (OSError, ValueError) as error:
            ksr.log("error", f"{call.sid} {asked.command}: rtpengine {call.rtpengine!r}: {error}")
            self._turns.ended((asked.call_sid, asked.side))
            return
        socket.send(command, asked, monotonic_s())
