"""Reads the commands of operators inside an event loop, and forwards them to their shards.

Only the owner of shard 00 reads: so a stop that was commanded after a start never overtakes it.
"""

import selectors
from typing import Any

from siprec.command_store import GROUP, READER, CommandStore
from siprec.commands import read_command
from siprec.store import Client, StoreUnavailable, redis_errors
from siprec_kemi import ksr
from siprec_kemi.clock import monotonic_s

BLOCK_MS = 1_000
COUNT = 100
RETRY_S = 1.0
# A predecessor that was paused may have been given entries by the read it had left waiting.
REREAD_S = 5.0

_LEFT = "0"
_NEW = ">"


class CommandReader:
    """One XREADGROUP is always outstanding on a connection of its own; the loop watches it.

    The replies of `client` keep bytes that are not UTF-8 as lone surrogates.
    """

    def __init__(
        self, client: Client, store: CommandStore, selector: selectors.BaseSelector
    ) -> None:
        self._client = client
        self._store = store
        self._selector = selector
        self._connection: Any = None
        self._asked = ""
        self._retry_s = 0.0
        self._failed_until_s = 0.0
        self._reread_s = 0.0

    def fileno(self) -> int:
        """Give the descriptor of the connection with the outstanding read."""
        return int(self._connection._sock.fileno())

    def next_due_s(self) -> float | None:
        """Tell when `care` has something to do; None while a read is outstanding."""
        return None if self._asked else self._retry_s

    def care(self, *, is_ours: bool) -> None:
        """Read on, or stop reading; `is_ours` tells whether shard 00 is surely ours."""
        if not is_ours:
            self.close()
            # At the latest then; the loop also wakes, and asks, when leases change.
            self._retry_s = monotonic_s() + RETRY_S
        elif not self._asked and monotonic_s() >= self._failed_until_s:
            try:
                self._ask()
            except StoreUnavailable as error:
                self._fail(error)

    def _ask(self) -> None:
        if self._connection is None:
            self._store.prepare()
            with redis_errors():
                self._connection = self._client.connection_pool.get_connection()
            self._selector.register(self, selectors.EVENT_READ, self)
            self._reread_s = 0.0
        which = _LEFT if monotonic_s() >= self._reread_s else _NEW
        words = ("COUNT", COUNT, "BLOCK", BLOCK_MS, "STREAMS", self._store.key, which)
        with redis_errors():
            self._connection.send_command("XREADGROUP", "GROUP", GROUP, READER, *words)
        self._asked = which

    def take(self) -> None:
        """Take the reply that is there, forward what it holds, and read on."""
        try:
            with redis_errors():
                reply = self._connection.read_response()
            asked, self._asked = self._asked, ""
            entries = reply[0][1] if reply else []
            if entries:
                self._forward(entries)
            elif asked == _LEFT:
                self._reread_s = monotonic_s() + REREAD_S
            self._ask()
        except StoreUnavailable as error:
            self._fail(error)

    def _forward(self, entries: Any) -> None:
        """Forward entries. One that was deleted after it was given to a reader has no fields."""
        orders = [
            read_command(entry_id, list(zip(words[::2], words[1::2], strict=True)))
            for entry_id, words in entries
            if words
        ]
        for order in orders:
            name = type(order.entry).__name__
            ksr.log("info", f"command {order.request_id}: {name} to shard {order.shard:02x}")
        self._store.forward(orders, [entry_id for entry_id, _ in entries])

    def _fail(self, error: StoreUnavailable) -> None:
        ksr.log("warning", f"commands wait: {error}")
        self._retry_s = self._failed_until_s = monotonic_s() + RETRY_S
        self.close()

    def close(self) -> None:
        """Drop the connection; what was read and not forwarded stays for the next reader."""
        if self._connection is not None:
            self._selector.unregister(self)
            self._connection.disconnect()
            self._client.connection_pool.release(self._connection)
            self._connection = None
        self._asked = ""
