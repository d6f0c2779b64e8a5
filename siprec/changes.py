"""What a controller holds of a call, and what a turn of it changed. No I/O."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from siprec import events as e
from siprec.alerts import Alert
from siprec.model import Call, Stream, StreamOrder
from siprec.sids import shard_of_sid
from siprec.step import RUNNING
from siprec.stream_events import StreamEvent, refusal_event, stream_events
from siprec.verdict import Verdict


class Order(NamedTuple):
    """A command to carry out, for a leg of a stream of a call."""

    file: "CallFile"
    stream_sid: str
    leg: int
    command: e.LegCommand


@dataclass(slots=True)
class CallFile:
    """A live call, its shard, its streams by sid."""

    shard: int
    call: Call
    streams: dict[str, Stream] = field(default_factory=dict)

    @property
    def running(self) -> Iterator[Stream]:
        """Go through the streams that hold a name and tracks; one that ends gives them back."""
        return (stream for stream in self.streams.values() if stream.state in RUNNING)

    @property
    def is_over(self) -> bool:
        """Tell whether the call ended and no stream has anything left to do."""
        over = all(stream.state.is_final for stream in self.streams.values())
        return over and not self.call.is_live


@dataclass(slots=True)
class Changes:
    """What a turn changed, and what follows.

    `orphans` are calls whose media has no owner, `to_end` calls that their proxy is to end.
    """

    calls: dict[str, CallFile] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    retired: dict[str, CallFile] = field(default_factory=dict)
    alerts: list[tuple[int, Alert]] = field(default_factory=list)
    verdicts: list[tuple[int, str, Verdict]] = field(default_factory=list)
    commands: list[Order] = field(default_factory=list)
    orphans: list[Call] = field(default_factory=list)
    to_end: list[tuple[Call, str]] = field(default_factory=list)
    transitions: list[tuple[Stream, e.Event | None, Stream]] = field(default_factory=list)
    happened: list[tuple[int, StreamEvent, StreamOrder]] = field(default_factory=list)

    def moved(
        self, file: CallFile, before: Stream, event: e.Event | None, after: Stream, now_ms: int
    ) -> None:
        """Note that a stream of a call moved, or (`event` None) began; and what that amounts to."""
        self.transitions.append((before, event, after))
        known = None if event is None else before
        for found in stream_events(file.call, known, after, now_ms):
            self.happened.append((file.shard, found, after.order))

    def refused(self, file: CallFile, order: StreamOrder, verdict: Verdict, now_ms: int) -> None:
        """Note that a stream of a document could not begin: nobody waits for that verdict."""
        code, text, count = verdict.code or 0, verdict.text, len(self.happened)
        event = refusal_event(file.call, order, code, text, now_ms, count)
        self.happened.append((file.shard, event, order))

    def drop(self, shard: int) -> None:
        """Forget what changed in a shard that is no longer ours: what is saved is so."""
        self.calls = {sid: file for sid, file in self.calls.items() if file.shard != shard}
        self.streams = {s: stream for s, stream in self.streams.items() if shard_of_sid(s) != shard}
        self.retired = {sid: file for sid, file in self.retired.items() if file.shard != shard}
        self.alerts = [alert for alert in self.alerts if alert[0] != shard]
        self.verdicts = [verdict for verdict in self.verdicts if verdict[0] != shard]
        self.commands = [order for order in self.commands if order.file.shard != shard]
        self.orphans = [call for call in self.orphans if shard_of_sid(call.sid) != shard]
        self.happened = [each for each in self.happened if each[0] != shard]
        self.to_end = [each for each in self.to_end if shard_of_sid(each[0].sid) != shard]
