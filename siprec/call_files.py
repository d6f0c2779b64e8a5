"""The calls that one controller has, with what changed and when something is due. No I/O."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from siprec.alerts import About, AlertLevel, Alerts
from siprec.changes import CallFile, Changes
from siprec.deadlines import Deadlines
from siprec.inbox import Notice
from siprec.model import Call, Stream
from siprec.sessions import Sessions
from siprec.settings import LimitSettings
from siprec.sids import call_sid_of

RINGS_MS = 1_800_000
"""Who rings longer than that was forgotten by the proxy. An answer that comes still is a call."""


class CallFiles:
    """The book-keeping of a controller: whatever changes in a call is noted here.

    `new_hex(n)` gives n random hex digits.
    """

    def __init__(self, limits: LimitSettings, new_hex: Callable[[int], str]) -> None:
        self._limits = limits
        self._alerts = Alerts(new_hex)
        self._files: dict[str, CallFile] = {}
        self._deadlines = Deadlines(self._is_awaited)
        self._sessions = Sessions()
        self.changes = Changes()

    def take_changes(self) -> Changes:
        """Hand over what changed since the last time."""
        changes, self.changes = self.changes, Changes()
        return changes

    # Reading

    def __iter__(self) -> Iterator[CallFile]:
        """Go through the calls that are here."""
        return iter(self._files.values())

    def get(self, call_sid: str) -> CallFile | None:
        """Give a call that is here."""
        return self._files.get(call_sid)

    def of_stream(self, stream_sid: str) -> CallFile | None:
        """Give the call of a stream, None when it is not here.

        Raises:
            SidError: not the sid of a stream.
        """
        return self._files.get(call_sid_of(stream_sid))

    def stream(self, stream_sid: str) -> Stream | None:
        """Give a stream of a call that is here."""
        file = self.of_stream(stream_sid)
        return None if file is None else file.streams.get(stream_sid)

    @property
    def session_counts(self) -> Mapping[str, int]:
        """Give the live sessions by `siprec.health.srs_key`."""
        return self._sessions.counts

    def next_deadline_ms(self) -> int | None:
        """Tell when `due` has something to give."""
        return self._deadlines.next_ms

    def due(self, now_ms: int) -> Iterator[str]:
        """Go through the sids of calls and streams whose deadline has come."""
        return self._deadlines.pass_to(now_ms)

    # Writing

    def adopt(self, shard: int, call: Call, streams: Iterable[Stream]) -> CallFile:
        """Take over a call as it was saved."""
        file = CallFile(shard, call, {stream.sid: stream for stream in streams})
        self._files[call.sid] = file
        self._watch(call)
        for stream in file.streams.values():
            self._sessions.changed(None, stream)
        return file

    def open(self, shard: int, call: Call) -> CallFile:
        """Begin with a call."""
        file = self._files[call.sid] = CallFile(shard, call)
        self.changes.calls[call.sid] = file
        self._watch(call)
        return file

    def change(self, file: CallFile, call: Call) -> None:
        """Note what a call is now."""
        is_longer = self._over_ms(call) != self._over_ms(file.call)
        file.call = call
        self.changes.calls[call.sid] = file
        if is_longer:
            self._watch(call)

    def put(self, file: CallFile, stream: Stream) -> None:
        """Note what a stream is now."""
        self._sessions.changed(file.streams.get(stream.sid), stream)
        file.streams[stream.sid] = stream
        self.changes.streams[stream.sid] = stream
        if stream.deadline_ms is not None:
            self._deadlines.add(stream.deadline_ms, stream.sid)

    def retire_if_over(self, file: CallFile) -> None:
        """Lay a call aside that has ended, with all its streams."""
        if file.is_over and self._files.pop(file.call.sid, None) is not None:
            self.changes.calls.pop(file.call.sid, None)
            self.changes.retired[file.call.sid] = file

    def drop(self, shard: int) -> None:
        """Forget a shard that is no longer ours, and what changed in it and is not saved."""
        self.changes.drop(shard)
        for sid in [sid for sid, file in self._files.items() if file.shard == shard]:
            for stream in self._files.pop(sid).streams.values():
                self._sessions.changed(stream, None)

    def alert(
        self,
        shard: int,
        about: About,
        code: int,
        text: str,
        now_ms: int,
        level: AlertLevel = AlertLevel.ERROR,
    ) -> None:
        """Raise an alert, in a shard that is ours."""
        alert = self._alerts.make(shard, about, code, text, now_ms, level)
        self.changes.alerts.append((shard, alert))

    def notices(self, shard: int, call: Call, notices: Iterable[Notice], now_ms: int) -> None:
        """Raise what the proxy has to say about a call."""
        for notice in notices:
            about = replace(About.call(call), request=notice.request)
            self.alert(shard, about, notice.code, notice.text, now_ms)

    def _watch(self, call: Call) -> None:
        if (due_ms := self._over_ms(call)) is not None:
            self._deadlines.add(due_ms, call.sid)

    def _over_ms(self, call: Call) -> int | None:
        if not call.has_media and call.ringing_ms is not None:
            return call.ringing_ms + RINGS_MS
        began_ms = call.early_ms if call.answered_ms is None else call.answered_ms
        return None if began_ms is None else began_ms + self._limits.call_s * 1000

    def _is_awaited(self, due_ms: int, sid: str) -> bool:
        if sid.startswith("CA"):
            file = self._files.get(sid)
            return file is not None and self._over_ms(file.call) == due_ms
        stream = self.stream(sid)
        return stream is not None and stream.deadline_ms == due_ms
