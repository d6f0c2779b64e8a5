"""Reads the inboxes of many shards at once, inside an event loop.

One XREAD with BLOCK is always outstanding on a connection of its own; the loop watches its
socket. redis-py offers no such thing, so this is the one place that holds a raw connection.
"""

from collections.abc import Mapping
from typing import Any

from siprec.keys import ShardKeys
from siprec.sids import SHARDS
from siprec.store import Client, redis_errors

BLOCK_MS = 1_000
COUNT = 200

Item = tuple[int, str, dict[str, str]]  # shard, entry id, fields


class InboxReader:
    """Reads what comes after the ids in `after` (shard to entry id); the caller moves them on."""

    def __init__(self, client: Client, prefix: str) -> None:
        self._client = client
        self._names = [ShardKeys(prefix, shard).inbox for shard in range(SHARDS)]
        self._connection: Any = None
        self._asked: dict[str, tuple[int, str]] = {}
        self.after: dict[int, str] = {}

    def fileno(self) -> int:
        """Give the descriptor of the connection with the outstanding read."""
        return int(self._connection._sock.fileno())

    @property
    def is_connected(self) -> bool:
        """Tell whether there is a connection to watch."""
        return self._connection is not None

    @property
    def is_reading(self) -> bool:
        """Tell whether a read is outstanding."""
        return bool(self._asked)

    def ask(self) -> None:
        """Start a read of all shards in `after`.

        Raises:
            StoreUnavailable: Redis is away.
        """
        if not self.after or self._asked:
            return
        asked = {self._names[shard]: (shard, after) for shard, after in self.after.items()}
        with redis_errors():
            if self._connection is None:
                self._connection = self._client.connection_pool.get_connection()
            self._connection.send_command(
                "XREAD",
                "COUNT",
                COUNT,
                "BLOCK",
                BLOCK_MS,
                "STREAMS",
                *asked,
                *self.after.values(),
            )
        self._asked = asked

    def take(self) -> list[Item]:
        """Read the reply that is there; then `ask` again.

        Raises:
            StoreUnavailable: the connection broke; `close` and ask anew.
        """
        with redis_errors():
            reply = self._connection.read_response()
        asked, self._asked = self._asked, {}
        items: list[Item] = []
        for key, entries in _streams(reply):
            shard, after = asked[key]
            # A shard given away since then, and perhaps taken again, begins elsewhere.
            if self.after.get(shard) == after:
                items += [(shard, entry_id, _fields(words)) for entry_id, words in entries]
        return items

    def close(self) -> None:
        """Drop the connection; the next `ask` opens another."""
        if self._connection is not None:
            self._connection.disconnect()
            self._client.connection_pool.release(self._connection)
            self._connection = None
        self._asked = {}


def _streams(reply: Any) -> list[tuple[str, Any]]:
    if not reply:
        return []
    pairs = reply.items() if isinstance(reply, Mapping) else reply
    return [(key, entries) for key, entries in pairs]


def _fields(words: Any) -> dict[str, str]:
    if isinstance(words, Mapping):
        return dict(words)
    return dict(zip(words[::2], words[1::2], strict=True))
