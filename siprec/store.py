"""The Redis store as people use it: connectors, numbers, reading calls and streams.

Controllers write calls and streams through `siprec.shard_store`; nobody else does.
"""

import heapq
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

from siprec.account_store import AccountStore
from siprec.alert_lists import AlertLists
from siprec.alerts import Alert
from siprec.call_lists import CallLists
from siprec.connector import Connector
from siprec.document_store import DocumentStore
from siprec.health import Load, SrsHealth
from siprec.keys import (
    ShardKeys,
    accounts_key,
    connectors_key,
    health_key,
    loads_key,
    numbers_key,
    turns_key,
)
from siprec.model import Call, Stream
from siprec.numbers import Number, candidates
from siprec.order_store import OrderStore
from siprec.record import RecordError, from_json, to_json
from siprec.redis_client import Client as Client
from siprec.redis_client import StoreUnavailable as StoreUnavailable
from siprec.redis_client import connect as connect
from siprec.redis_client import redis_errors as redis_errors
from siprec.sids import SHARDS, SidError, call_sid_of, shard_of_alert_sid, shard_of_sid
from siprec.vault import Vault

LOAD_FRESH_MS = 5_000
LOAD_KEPT_MS = 60_000


class Store:
    """Connectors, numbers and reading, with rooms for the rest. Thread-safe as the client is.

    `vault` seals what must not be stored in clear; without one the keys are those of
    $SIPREC_SECRET_KEYS. SDP of a stream whose key is missing reads as "": people may see the
    rest of it.
    """

    def __init__(self, client: Client, prefix: str, vault: Vault | None = None) -> None:
        self._redis = client
        self._prefix = prefix
        self._vault = vault or Vault(None)
        self.accounts = AccountStore(client, prefix, self._vault)
        self.documents = DocumentStore(client, prefix)
        self.lists = CallLists(client, prefix)
        self.alert_lists = AlertLists(client, prefix)
        self.orders = OrderStore(client, prefix, self._vault)

    @classmethod
    def connect(
        cls, url: str, prefix: str, vault: Vault | None = None, *, timeout_s: float = 5.0
    ) -> Self:
        """Open the store at a Redis URL. The caller closes it."""
        return cls(connect(url, timeout_s=timeout_s), prefix, vault)

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def account_token(self, sid: str) -> str | None:
        """Give the token that signs what we send to an account's URLs, None without the account.

        Raises:
            RecordError: the key to the token is missing.
        """
        account = self.accounts.account(sid)
        return None if account is None else account.token

    # Connectors and numbers

    def put_connector(self, connector: Connector) -> None:
        """Add or replace a connector. The caller has checked it.

        Raises:
            VaultError: it has secrets, and there is no key to seal them with.
        """
        key = connectors_key(self._prefix, connector.account_sid)
        text = to_json(connector, self._vault.seal)
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            pipe.sadd(accounts_key(self._prefix), connector.account_sid)
            pipe.hset(key, connector.name, text)
            pipe.execute()

    def connector(self, account_sid: str, name: str) -> Connector | None:
        """Give a connector, None when there is none of that name.

        Raises:
            RecordError: it cannot be read; a key to its secrets is missing, say.
        """
        with redis_errors():
            text = self._redis.hget(connectors_key(self._prefix, account_sid), name)
        return None if text is None else self._read_connector(name, text)

    def connectors(self, account_sid: str) -> list[Connector]:
        """List the connectors of an account by name."""
        with redis_errors():
            texts = self._redis.hgetall(connectors_key(self._prefix, account_sid))
        return [self._read_connector(name, text) for name, text in sorted(texts.items())]

    def _read_connector(self, name: str, text: str) -> Connector:
        try:
            return from_json(Connector, text, self._vault.unseal)
        except RecordError as error:
            raise RecordError(f"connector {name!r}: {error.field}", error.why) from error

    def all_connectors(self) -> list[Connector]:
        """List the connectors of all accounts, by account and name, for those who watch them.

        One that cannot be read is left out: the others are to be watched all the same.
        """
        with redis_errors():
            accounts = sorted(self._redis.smembers(accounts_key(self._prefix)))
            pipe = self._redis.pipeline(transaction=False)
            for account in accounts:
                pipe.hgetall(connectors_key(self._prefix, account))
            pages = pipe.execute()
        found: list[Connector] = []
        for name, text in (item for page in pages for item in sorted(page.items())):
            with suppress(RecordError):
                found.append(self._read_connector(name, text))
        return found

    def delete_connector(self, account_sid: str, name: str) -> bool:
        """Delete a connector; False when there was none. Running streams go on."""
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            pipe.hdel(connectors_key(self._prefix, account_sid), name)
            pipe.hdel(turns_key(self._prefix, account_sid), name)
            return bool(pipe.execute()[0])

    def next_turn(self, account_sid: str, name: str) -> int:
        """Count one more stream of a connector, over all nodes; the first turn is 1."""
        with redis_errors():
            return int(self._redis.hincrby(turns_key(self._prefix, account_sid), name, 1))

    def put_number(self, number: Number) -> None:
        """Add or replace a number. New calls follow it within two seconds."""
        with redis_errors():
            self._redis.hset(numbers_key(self._prefix), number.pattern, to_json(number))

    def number(self, pattern: str) -> Number | None:
        """Give the number set under exactly that pattern."""
        with redis_errors():
            text = self._redis.hget(numbers_key(self._prefix), pattern)
        return None if text is None else from_json(Number, text)

    def find_number(self, called: str) -> Number | None:
        """Give the number that a called user part follows: exact, longest prefix, `*`."""
        with redis_errors():
            texts = self._redis.hmget(numbers_key(self._prefix), candidates(called))
        best = next((text for text in texts if text is not None), None)
        return None if best is None else from_json(Number, best)

    def numbers(self, account_sid: str) -> list[Number]:
        """List the numbers of an account by pattern."""
        with redis_errors():
            texts = self._redis.hvals(numbers_key(self._prefix))
        found = (from_json(Number, text) for text in texts)
        return sorted((n for n in found if n.account_sid == account_sid), key=lambda n: n.pattern)

    def delete_number(self, pattern: str) -> bool:
        """Delete a number; False when there was none."""
        with redis_errors():
            return bool(self._redis.hdel(numbers_key(self._prefix), pattern))

    # How the SRSs of connectors are

    def put_health(self, health: SrsHealth) -> None:
        """Write what the health checks of an SRS showed. One controller does, for each SRS."""
        with redis_errors():
            self._redis.hset(health_key(self._prefix), health.key, to_json(health))

    def healths(self) -> dict[str, SrsHealth]:
        """Give what is known of each SRS, by `siprec.health.srs_key`."""
        with redis_errors():
            texts = self._redis.hgetall(health_key(self._prefix))
        return {key: from_json(SrsHealth, text) for key, text in texts.items()}

    def forget_health(self, keys: Iterable[str]) -> None:
        """Forget SRSs that no connector names any more."""
        gone = list(keys)
        if gone:
            with redis_errors():
                self._redis.hdel(health_key(self._prefix), *gone)

    def put_load(self, load: Load) -> None:
        """Write a controller's view of all SRSs. It counts for LOAD_FRESH_MS: write it again."""
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            pipe.hset(loads_key(self._prefix), load.controller, to_json(load))
            pipe.pexpire(loads_key(self._prefix), LOAD_KEPT_MS)
            pipe.execute()

    def loads(self, now_ms: int) -> list[Load]:
        """List the views of the controllers that wrote one in the last LOAD_FRESH_MS."""
        with redis_errors():
            texts = self._redis.hgetall(loads_key(self._prefix))
            loads = [from_json(Load, text) for _, text in sorted(texts.items())]
            # Long enough ago that its writer, if only slow, does not write at this moment.
            gone = [load.controller for load in loads if now_ms - load.at_ms > LOAD_KEPT_MS]
            if gone:
                self._redis.hdel(loads_key(self._prefix), *gone)
        return [load for load in loads if now_ms - load.at_ms <= LOAD_FRESH_MS]

    # Calls, streams, alerts

    def _keys(self, shard: int) -> ShardKeys:
        return ShardKeys(self._prefix, shard)

    def call(self, sid: str) -> Call | None:
        """Give a call.

        Raises:
            SidError: not a call's sid.
        """
        if not sid.startswith("CA"):
            raise SidError(sid, "CA")
        with redis_errors():
            text = self._redis.hget(self._keys(shard_of_sid(sid)).call(sid), "call")
        return None if text is None else from_json(Call, text)

    def stream(self, sid: str) -> Stream | None:
        """Give a stream.

        Raises:
            SidError: not a stream's sid.
        """
        call_sid = call_sid_of(sid)
        with redis_errors():
            text = self._redis.hget(self._keys(shard_of_sid(sid)).call(call_sid), sid)
        return None if text is None else self._read_stream(text)

    def calls(self, live_only: bool = True) -> list[Call]:
        """List calls, newest first."""
        calls = [call for call, _ in self._all_calls(live_only) if call is not None]
        if live_only:
            calls = [call for call in calls if call.is_live]
        return sorted(calls, key=lambda call: (call.started_ms, call.sid), reverse=True)

    def streams(self, call_sid: str | None = None, live_only: bool = False) -> list[Stream]:
        """List the streams of a call, or of all calls, newest first."""
        if call_sid is None:
            found = [s for _, streams in self._all_calls(live_only) for s in streams]
        else:
            with redis_errors():
                key = self._keys(shard_of_sid(call_sid)).call(call_sid)
                found = self._streams_of(self._redis.hgetall(key))
        if live_only:
            found = [stream for stream in found if not stream.state.is_final]
        return sorted(found, key=lambda stream: (stream.created_ms, stream.sid), reverse=True)

    def _all_calls(self, live_only: bool) -> Iterable[tuple[Call | None, list[Stream]]]:
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            for shard in range(SHARDS):
                pipe.smembers(self._keys(shard).live)
                if not live_only:
                    pipe.zrange(self._keys(shard).ended, 0, -1)
            sids = sorted({sid for members in pipe.execute() for sid in members})
            pipe = self._redis.pipeline(transaction=False)
            for sid in sids:
                pipe.hgetall(self._keys(shard_of_sid(sid)).call(sid))
            hashes = pipe.execute()
        for fields in hashes:
            text = fields.get("call")
            yield (None if text is None else from_json(Call, text), self._streams_of(fields))

    def _streams_of(self, fields: dict[str, str]) -> list[Stream]:
        return [self._read_stream(text) for name, text in fields.items() if name != "call"]

    def _read_stream(self, text: str) -> Stream:
        return from_json(Stream, text, self._vault.unseal_or_nothing)

    def alerts(self, limit: int = 50) -> list[Alert]:
        """List the newest alerts, newest first."""
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            for shard in range(SHARDS):
                pipe.xrevrange(self._keys(shard).alerts, count=limit)
            pages = pipe.execute()
        alerts = (from_json(Alert, fields["d"]) for page in pages for _, fields in page)
        return heapq.nlargest(limit, alerts, key=lambda alert: (alert.created_ms, alert.sid))

    def alert(self, sid: str) -> Alert | None:
        """Give an alert.

        Raises:
            SidError: not an alert's sid.
        """
        with redis_errors():
            page = self._redis.xrevrange(self._keys(shard_of_alert_sid(sid)).alerts)
        alerts = (from_json(Alert, fields["d"]) for _, fields in page)
        return next((alert for alert in alerts if alert.sid == sid), None)

    # Operation

    def leased_shards(self) -> int:
        """Count the shards that a controller owns; the SRC role is ready when all 64 are."""
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            for shard in range(SHARDS):
                pipe.exists(self._keys(shard).lease)
            return sum(pipe.execute())
