"""What in Redis is sealed, and by which keys: for changing keys, and for nothing else."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from siprec.accounts import Account
from siprec.connector import Connector
from siprec.keys import account_records_key, accounts_key, connectors_key
from siprec.record import RecordError, from_json, to_json
from siprec.store import Client, redis_errors
from siprec.vault import Vault, keys_in

BATCH = 500

# KEYS: a hash. ARGV: name, old text, new text. Somebody may have set it anew meanwhile.
_REPLACE = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""

# How the values of each type of key are read. Sets hold names only.
_READ: Mapping[str, Callable[[Any, str], object]] = {
    "string": lambda pipe, key: pipe.get(key),
    "hash": lambda pipe, key: pipe.hvals(key),
    "list": lambda pipe, key: pipe.lrange(key, 0, -1),
    "stream": lambda pipe, key: pipe.xrange(key),
}


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many records were sealed anew, and what is wrong with those that could not be."""

    count: int
    faults: tuple[str, ...]


class Seals:
    """All that is sealed under a prefix."""

    def __init__(self, client: Client, prefix: str, vault: Vault) -> None:
        self._redis = client
        self._prefix = prefix
        self._vault = vault

    def reseal(self) -> Resealed:
        """Seal the secrets of all connectors and accounts with the newest key.

        Raises:
            StoreUnavailable.
        """
        count = 0
        faults: list[str] = []
        with redis_errors():
            for key, kind in self._sealed_hashes():
                for name, text in sorted(self._redis.hgetall(key).items()):
                    try:
                        count += self._reseal(key, kind, name, text)
                    except RecordError as error:
                        faults.append(f"{kind.__name__.lower()} {name!r}: {error}")
        return Resealed(count, tuple(faults))

    def _sealed_hashes(self) -> Iterable[tuple[str, type[Account] | type[Connector]]]:
        for account in sorted(self._redis.smembers(accounts_key(self._prefix))):
            yield connectors_key(self._prefix, account), Connector
        yield account_records_key(self._prefix), Account

    def _reseal(self, key: str, kind: type[Account] | type[Connector], name: str, text: str) -> int:
        if not keys_in(text):
            return 0
        fresh = to_json(from_json(kind, text, self._vault.unseal), self._vault.seal)
        return int(self._redis.eval(_REPLACE, 1, key, name, text, fresh))

    def in_use(self) -> dict[str, list[str]]:
        """Tell which Redis keys (less the prefix) hold something that each key has sealed.

        It reads everything, whatever it is: what is forgotten here would be lost with its key.

        Raises:
            StoreUnavailable.
        """
        used: dict[str, list[str]] = {}
        with redis_errors():
            names = iter(self._redis.scan_iter(match=f"{self._prefix}*", count=BATCH))
            while batch := list(islice(names, BATCH)):
                for name, text in self._texts(batch):
                    for key in keys_in(text):
                        used.setdefault(key, []).append(name.removeprefix(self._prefix))
        # A scan may give a name twice.
        return {key: sorted(set(names)) for key, names in used.items()}

    def _texts(self, names: list[str]) -> Iterable[tuple[str, str]]:
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.type(name)
        readable = [
            (n, _READ[kind]) for n, kind in zip(names, pipe.execute(), strict=True) if kind in _READ
        ]
        pipe = self._redis.pipeline(transaction=False)
        for name, read in readable:
            read(pipe, name)
        replies = pipe.execute()
        return [(name, repr(reply)) for (name, _), reply in zip(readable, replies, strict=True)]
