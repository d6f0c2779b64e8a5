"""Commands of operators, all that a controller has to do with them."""

import secrets
import selectors

from siprec.changes import Changes
from siprec.command_store import CommandStore
from siprec.inbox import CommandRefused, Entry, PauseOrdered, StopOrdered
from siprec.live_orders import with_sid
from siprec.recorder import Recorder
from siprec.refusals import Refusals
from siprec.store import Client, connect
from siprec_kemi.clock import now_ms
from siprec_kemi.src.command_reader import CommandReader
from siprec_kemi.src.leases import Leases

# Whoever owns this shard reads the commands.
SHARD = 0


class Commands:
    """Reads and forwards them, and helps to apply what was forwarded."""

    def __init__(
        self,
        url: str,
        prefix: str,
        client: Client,
        selector: selectors.BaseSelector,
        recorder: Recorder,
    ) -> None:
        # Its reads block for a second on purpose, and operators may write what is not UTF-8.
        reading = connect(url, timeout_s=5.0, encoding_errors="surrogateescape")
        self.reader = CommandReader(reading, CommandStore(client, prefix), selector)
        self._recorder = recorder
        self._refusals = Refusals(lambda n: secrets.token_hex(n)[:n])

    def care(self, leases: Leases) -> None:
        """Read on, if it is for this controller to read."""
        self.reader.care(is_ours=leases.epoch(SHARD) is not None)

    def named(self, entry: Entry) -> Entry:
        """Give an order about a stream its sid, when it has none."""
        if isinstance(entry, StopOrdered | PauseOrdered):
            return with_sid(entry, self._recorder.call_file(entry.call_sid))
        return entry

    def refused(self, shard: int, entry: CommandRefused) -> None:
        """Note a command that could not be understood, for `tell`."""
        file = self._recorder.call_file(entry.call_sid)
        self._refusals.take(shard, entry, None if file is None else file.call, now_ms())

    def tell(self, changes: Changes) -> None:
        """Let the next save say what was refused."""
        self._refusals.tell(changes)
