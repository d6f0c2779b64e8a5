"""What a controller holds of a call, and what a turn of it changed. No I/O."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from siprec import events as e
from siprec.model import Alert, Call, Stream, StreamState
from siprec.sids import shard_of_sid
from siprec.verdict import Verdict

# States in which a stream's name and tracks are taken; a stream that ends gives them back.
RUNNING = (
    StreamState.FORKING,
    StreamState.INVITING,
    StreamState.CONNECTING,
    StreamState.RECORDING,
)


@dataclass(slots=True)
class CallFile:
    """A live call, its shard, its streams by sid."""

    shard: int
    call: Call
    streams: dict[str, Stream] = field(default_factory=dict)

    @property
    def running(self) -> Iterator[Stream]:
        """Go through the streams that hold a name and tracks."""
        return (stream for stream in self.streams.values() if stream.state in RUNNING)

    @property
    def is_over(self) -> bool:
        """Tell whether the call ended and no stream has anything left to do."""
        over = all(stream.state.is_final for stream in self.streams.values())
        return over and not self.call.is_live


@dataclass(slots=True)
class Changes:
    """What a turn changed, and what follows. `orphans` are calls whose media has no owner."""

    calls: dict[str, CallFile] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    retired: dict[str, CallFile] = field(default_factory=dict)
    alerts: list[tuple[int, Alert]] = field(default_factory=list)
    verdicts: list[tuple[int, str, Verdict]] = field(default_factory=list)
    commands: list[tuple[CallFile, str, e.Command]] = field(default_factory=list)
    orphans: list[Call] = field(default_factory=list)
    transitions: list[tuple[Stream, e.Event | None, Stream]] = field(default_factory=list)

    def drop(self, shard: int) -> None:
        """Forget what changed in a shard that is no longer ours: what is saved is so."""
        self.calls = {sid: file for sid, file in self.calls.items() if file.shard != shard}
        self.streams = {s: stream for s, stream in self.streams.items() if shard_of_sid(s) != shard}
        self.retired = {sid: file for sid, file in self.retired.items() if file.shard != shard}
        self.alerts = [alert for alert in self.alerts if alert[0] != shard]
        self.verdicts = [verdict for verdict in self.verdicts if verdict[0] != shard]
        self.commands = [command for command in self.commands if command[0].shard != shard]
        self.orphans = [call for call in self.orphans if shard_of_sid(call.sid) != shard]
