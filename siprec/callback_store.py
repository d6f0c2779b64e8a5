"""The Redis store as the callback worker uses it, and those who look after what it gave up.

Callbacks wait in 64 Redis Streams, read through one consumer group with one consumer: of all
callback workers one sends, the others wait for it to die. What it had read and not settled is
read again by its successor, in the same order. Alerts, which debugger webhooks are told of, are
read in the same way where they are kept, and stay there.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from siprec.alerts import Alert
from siprec.inbox import CallbackFailed, to_fields
from siprec.keys import ShardKeys, callback_worker_key
from siprec.record import RecordError, from_json, to_json
from siprec.sids import SHARDS
from siprec.store import Client, redis_errors
from siprec.stream_events import Callback, Undelivered
from siprec.web_request import WebRequest

GROUP = "callbacks"
CONSUMER = "worker"
OWN_MS = 10_000
UNDELIVERED_KEPT = 500

# KEYS: callback-worker. ARGV: own name, for how long in ms.
_OWN = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 1
end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
"""

# KEYS: callback-worker. ARGV: own name.
_DISOWN = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 1"

# KEYS: undelivered, callbacks. ARGV: entry id, Callback.
_SEND_AGAIN = """
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', 'd', ARGV[2])
return 1
"""


class Source(NamedTuple):
    """Where something waits: with the callbacks of a shard, or with its alerts."""

    shard: int
    is_alert: bool = False


class Waiting(NamedTuple):
    """A callback or an alert that is to be sent; None: what is there cannot be read."""

    source: Source
    entry_id: str
    callback: Callback | Alert | None

    @property
    def queued_ms(self) -> int:
        """Give the time at which it was written, or by hand written again."""
        return int(self.entry_id.partition("-")[0])


class GivenUp(NamedTuple):
    """A callback that was given up, and where that stands."""

    shard: int
    entry_id: str
    undelivered: Undelivered


class CallbackStore:
    """Callbacks of all shards. Thread-safe as the client is."""

    def __init__(self, client: Client, prefix: str) -> None:
        self._redis = client
        self._prefix = prefix
        self._keys = [ShardKeys(prefix, shard) for shard in range(SHARDS)]
        self._source_of = {keys.callbacks: Source(keys.shard) for keys in self._keys}
        self._source_of |= {keys.alerts: Source(keys.shard, True) for keys in self._keys}
        self._key_of = {source: key for key, source in self._source_of.items()}

    @property
    def sources(self) -> list[Source]:
        """Give all places where something may wait."""
        return list(self._key_of)

    # The worker

    def own(self, name: str) -> bool:
        """Become the one that sends, or stay it, for OWN_MS; False: another one is."""
        with redis_errors():
            return bool(self._redis.eval(_OWN, 1, callback_worker_key(self._prefix), name, OWN_MS))

    def disown(self, name: str) -> None:
        """Let another one send at once."""
        with redis_errors():
            self._redis.eval(_DISOWN, 1, callback_worker_key(self._prefix), name)

    def make_groups(self) -> None:
        """Make the consumer groups that are missing. Alerts are sent from now on."""
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            for source, key in self._key_of.items():
                since = "$" if source.is_alert else "0"
                pipe.xgroup_create(key, GROUP, id=since, mkstream=True)
            for reply in pipe.execute(raise_on_error=False):
                if isinstance(reply, Exception) and "BUSYGROUP" not in str(reply):
                    raise reply

    def left(self, after: Mapping[Source, str]) -> list[Waiting]:
        """Read what was read before and is not settled, after an entry of each source named."""
        asked = {self._key_of[source]: entry_id for source, entry_id in after.items()}
        return self._read(asked, block_ms=None)

    def read(self, block_ms: int) -> list[Waiting]:
        """Read what is new, waiting for it if there is nothing."""
        return self._read(dict.fromkeys(self._source_of, ">"), block_ms)

    def _read(self, asked: Mapping[str, str], block_ms: int | None) -> list[Waiting]:
        with redis_errors():
            reply: Any = self._redis.xreadgroup(
                GROUP, CONSUMER, dict(asked), count=100, block=block_ms
            )
        return [
            Waiting(self._source_of[key], entry_id, _record(self._source_of[key], fields))
            for key, entries in reply
            for entry_id, fields in entries
        ]

    def settle(self, settled: Iterable[tuple[Source, str]]) -> None:
        """Forget what (source, entry id) was delivered, or cannot be; alerts stay."""
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            for source, entry_id in settled:
                self._forget(pipe, source, entry_id)
            pipe.execute()

    def give_up(
        self,
        shard: int,
        entry_id: str,
        undelivered: Undelivered,
        request: WebRequest | None = None,
    ) -> None:
        """Put a callback aside, for people, and let the shard's controller raise the alert.

        `request` is the last try.
        """
        keys, event = self._keys[shard], undelivered.callback.event
        alert = CallbackFailed(
            call_sid=event.call_sid,
            account_sid=event.account_sid,
            code=undelivered.code,
            text=undelivered.text,
            stream_sid=event.stream_sid,
            connector_name=undelivered.callback.connector_name,
            request=request,
        )
        with redis_errors():
            pipe = self._redis.pipeline(transaction=True)
            pipe.xadd(keys.undelivered, {"d": to_json(undelivered)}, maxlen=UNDELIVERED_KEPT)
            pipe.xadd(keys.inbox, to_fields(alert))
            self._forget(pipe, Source(shard), entry_id)
            pipe.execute()

    def _forget(self, pipe: Any, source: Source, entry_id: str) -> None:
        key = self._key_of[source]
        pipe.xack(key, GROUP, entry_id)
        if not source.is_alert:
            pipe.xdel(key, entry_id)

    # People

    def given_up(self) -> list[GivenUp]:
        """List what was given up, oldest first."""
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            for keys in self._keys:
                pipe.xrange(keys.undelivered)
            pages = pipe.execute()
        found = []
        for shard, page in enumerate(pages):
            for entry_id, fields in page:
                with suppress(RecordError):
                    record = from_json(Undelivered, fields.get("d", ""))
                    found.append(GivenUp(shard, entry_id, record))
        return sorted(found, key=lambda each: each.undelivered.failed_ms)

    def send_again(self, given_up: GivenUp) -> bool:
        """Queue what was given up for another day; False when somebody else did already."""
        keys, text = self._keys[given_up.shard], to_json(given_up.undelivered.callback)
        names = (keys.undelivered, keys.callbacks)
        with redis_errors():
            return bool(self._redis.eval(_SEND_AGAIN, 2, *names, given_up.entry_id, text))


def _record(source: Source, fields: Mapping[str, str] | None) -> Callback | Alert | None:
    text = (fields or {}).get("d", "")
    try:
        return from_json(Alert, text) if source.is_alert else from_json(Callback, text)
    except RecordError:
        return None
