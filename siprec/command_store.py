"""The Redis Stream `commands` as its reader uses it: the owner of shard 00, one at a time.

A command is forwarded before it is acknowledged, so that none gets lost; the same script that
forwards it remembers its request, so that none counts twice.
"""

from collections.abc import Sequence

import redis

from siprec.commands import VERSION, Forward
from siprec.inbox import to_fields
from siprec.keys import ShardKeys, commands_key, contract_key
from siprec.once import FORWARD_ONCE
from siprec.once import REQUEST_S as REQUEST_S
from siprec.pipe import Command, Pipe
from siprec.store import Client, redis_errors

GROUP = "controllers"
# There is one reader at a time: what its predecessor left unacknowledged is its own.
READER = "reader"


class CommandStore:
    """Prepares, forwards and acknowledges."""

    def __init__(self, client: Client, prefix: str) -> None:
        self._redis = client
        self._pipe = Pipe(client)
        self._prefix = prefix
        self.key = commands_key(prefix)

    def prepare(self) -> None:
        """Say which version of the contract holds, and make Stream and group.

        Raises:
            StoreUnavailable: Redis is away, or the key holds something else.
        """
        with redis_errors():
            self._redis.set(contract_key(self._prefix), VERSION)
            try:
                self._redis.xgroup_create(self.key, GROUP, id="0", mkstream=True)
            except redis.ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    def forward(self, orders: Sequence[Forward], entry_ids: Sequence[str]) -> None:
        """Append orders to the inboxes of their shards, then forget the entries they came from.

        Raises:
            StoreUnavailable: some may be forwarded; forward all of them again.
        """
        commands: list[Command] = []
        for order in orders:
            keys = ShardKeys(self._prefix, order.shard)
            fields = to_fields(order.entry)
            request = keys.request(order.request_id)
            words = (REQUEST_S, fields["t"], fields["d"])
            commands.append(("EVAL", FORWARD_ONCE, 2, keys.inbox, request, *words))
        with redis_errors():
            self._pipe.run(commands)
            self._pipe.run([("XACK", self.key, GROUP, *entry_ids), ("XDEL", self.key, *entry_ids)])
