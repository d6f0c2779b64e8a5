"""The Redis store as controllers use it: leases of shards, their inboxes, and saves.

Every save checks the epoch of the lease in the same script that writes, so that a controller
that lost a shard without noticing cannot write (design: one writer per call).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from siprec.alerts import Alert
from siprec.inbox import Entry, to_fields
from siprec.keys import ShardKeys, controllers_key, relatives_key
from siprec.kinship import Relative
from siprec.model import Call, Stream, StreamOrder
from siprec.pipe import Command, Pipe
from siprec.record import Seal, from_json, to_json
from siprec.redis_client import Client, redis_errors
from siprec.stream_events import Callback, StreamEvent, callback_of
from siprec.vault import Vault
from siprec.verdict import Verdict

LEASE_MS = 4_000
ALERTS_KEPT = 500
EVENTS_KEPT = 1_000
REPLY_S = 60
RELATIVES_KEPT = 32

# KEYS: epoch, lease. ARGV: owner, epoch, then commands as (count, word, word, …).
_SAVE = """
if redis.call('GET', KEYS[1]) ~= ARGV[2] or redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local at = 3
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + count))
  at = at + count + 1
end
return 1
"""

# KEYS: lease, epoch, cursor. ARGV: owner, lease in ms. Gives epoch and cursor, or nothing.
_ACQUIRE = """
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
return {redis.call('INCR', KEYS[2]), redis.call('GET', KEYS[3]) or '0-0'}
"""

# KEYS: lease. ARGV: owner, lease in ms (0 gives it back).
_RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
"""

# KEYS: controllers. ARGV: own name, lease in ms. Gives the living, after adding oneself.
_ATTEND = """
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZADD', KEYS[1], ms + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, ms)
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""

# KEYS: relatives. ARGV: sid, Relative, now in ms, how many are kept. What one call says must not
# shorten the life of another's word, and a peer with one Session-ID for all must not fill Redis.
_KNOW = """
local last = 0
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local until_ms = cjson.decode(all[at + 1]).until_ms
  if until_ms <= tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], all[at])
  elseif until_ms > last then last = until_ms end
end
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[4]) then redis.call('HDEL', KEYS[1], ARGV[1]) end
redis.call('PEXPIREAT', KEYS[1], last)
"""


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease just acquired: the shard, its epoch, and the inbox id to read after."""

    shard: int
    epoch: int
    cursor: str


@dataclass(slots=True)
class Save:
    """What a tick writes to one shard, all or nothing. `ShardStore.begin` makes one.

    Without `seal` a stream whose SDP holds keys is refused.
    """

    keys: ShardKeys
    epoch: int
    seal: Seal | None = None
    words: list[str] = field(default_factory=list)

    def _add(self, *words: str | int) -> None:
        self.words.append(str(len(words)))
        self.words.extend(str(word) for word in words)

    def cursor(self, entry_id: str) -> None:
        """Note the last applied inbox entry and trim the inbox below it."""
        self._add("SET", self.keys.cursor, entry_id)
        self._add("XTRIM", self.keys.inbox, "MINID", _after(entry_id))

    def call(self, call: Call) -> None:
        """Write a call that is live."""
        text = to_json(call)
        self._add("HSET", self.keys.call(call.sid), "call", text)
        self._add("SADD", self.keys.live, call.sid)
        self._tell("call", text)

    def stream(self, stream: Stream) -> None:
        """Write a stream.

        Raises:
            VaultError: its SDP holds keys, and there is no key to seal them with.
        """
        text = to_json(stream, self.seal)
        self._add("HSET", self.keys.call(stream.call_sid), stream.sid, text)

    def retire(self, call: Call, history_s: int) -> None:
        """Write a call of which nothing lives any more; it is forgotten after `history_s`."""
        ended_ms = call.ended_ms or 0
        text = to_json(call)
        self._add("HSET", self.keys.call(call.sid), "call", text)
        self._tell("call", text)
        self._add("SREM", self.keys.live, call.sid)
        self._add("EXPIRE", self.keys.call(call.sid), history_s)
        self._add("ZREMRANGEBYSCORE", self.keys.ended, 0, ended_ms - history_s * 1000)
        self._add("ZADD", self.keys.ended, ended_ms, call.sid)
        self._add("EXPIRE", self.keys.ended, history_s)

    def alert(self, alert: Alert) -> None:
        """Append an alert."""
        text = to_json(alert)
        self._add("XADD", self.keys.alerts, "MAXLEN", "~", ALERTS_KEPT, "*", "d", text)
        self._tell("alert", text)

    def event(self, event: StreamEvent, order: StreamOrder) -> None:
        """Append what happened to a stream; also as a callback, when its order wants one."""
        self._tell(event.kind.value, to_json(event))
        if (callback := callback_of(event, order)) is not None:
            self.callback(callback)

    def callback(self, callback: Callback) -> None:
        """Append a callback that is to be sent."""
        self._add("XADD", self.keys.callbacks, "*", "d", to_json(callback))

    def _tell(self, kind: str, text: str) -> None:
        """Append to what everybody may follow."""
        bound = ("MAXLEN", "~", EVENTS_KEPT)
        self._add("XADD", self.keys.events, *bound, "*", "t", kind, "d", text)

    def verdict(self, request_id: str, verdict: Verdict) -> None:
        """Answer an order."""
        self._add("RPUSH", self.keys.reply(request_id), to_json(verdict))
        self._add("EXPIRE", self.keys.reply(request_id), REPLY_S)


class ShardStore:
    """Leases, inboxes and saves of one controller, `owner`, unique per process life.

    `vault` seals SDP with keys; without one its keys are those of $SIPREC_SECRET_KEYS.
    """

    def __init__(self, client: Client, prefix: str, owner: str, vault: Vault | None = None) -> None:
        self._redis = client
        self._pipe = Pipe(client)
        self._prefix = prefix
        self._owner = owner
        self._vault = vault or Vault(None)

    def keys(self, shard: int) -> ShardKeys:
        """Name the keys of a shard."""
        return ShardKeys(self._prefix, shard)

    def attend(self) -> list[str]:
        """Say that this controller lives; give the names of all that do."""
        with redis_errors():
            living: list[str] = self._redis.eval(
                _ATTEND, 1, controllers_key(self._prefix), self._owner, LEASE_MS
            )
        return living

    def acquire(self, shards: Iterable[int], at_most: int) -> list[Grant]:
        """Take up to `at_most` leases that are free among `shards`."""
        grants: list[Grant] = []
        wanted = list(shards)
        with redis_errors():
            while wanted and len(grants) < at_most:
                ask, wanted = wanted[: at_most - len(grants)], wanted[at_most - len(grants) :]
                for shard, reply in zip(ask, self._acquire(ask), strict=True):
                    if reply is not None:
                        grants.append(Grant(shard, int(reply[0]), reply[1]))
        return grants

    def _acquire(self, shards: Sequence[int]) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for shard in shards:
            keys = self.keys(shard)
            pipe.eval(_ACQUIRE, 3, keys.lease, keys.epoch, keys.cursor, self._owner, LEASE_MS)
        replies: list[Any] = pipe.execute()
        return replies

    def renew(self, shards: Sequence[int]) -> list[int]:
        """Renew leases; give the shards that are no longer ours."""
        return self._renew(shards, LEASE_MS)

    def release(self, shards: Sequence[int]) -> None:
        """Give leases back so that another controller can take them at once."""
        self._renew(shards, 0)

    def _renew(self, shards: Sequence[int], lease_ms: int) -> list[int]:
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            for shard in shards:
                pipe.eval(_RENEW, 1, self.keys(shard).lease, self._owner, lease_ms)
            replies = pipe.execute()
        return [shard for shard, kept in zip(shards, replies, strict=True) if not kept]

    def load(self, shard: int) -> list[tuple[Call, list[Stream]]]:
        """Read the live calls of a shard just taken over.

        SDP whose key is missing reads as "": such a stream can still be ended.
        """
        unseal = self._vault.unseal_or_nothing
        with redis_errors():
            sids = sorted(self._redis.smembers(self.keys(shard).live))
            pipe = self._redis.pipeline(transaction=False)
            for sid in sids:
                pipe.hgetall(self.keys(shard).call(sid))
            hashes = pipe.execute()
        calls = []
        for fields in hashes:
            text = fields.pop("call", None)
            if text is not None:
                streams = [from_json(Stream, each, unseal) for _, each in sorted(fields.items())]
                calls.append((from_json(Call, text), streams))
        return calls

    def begin(self, shard: int, epoch: int) -> Save:
        """Give an empty save for a shard that is ours."""
        return Save(self.keys(shard), epoch, self._vault.seal)

    def commit(self, saves: Sequence[Save]) -> list[int]:
        """Write what a tick changed; give the shards that refused, for they are not ours."""
        commands: list[Command] = [
            ("EVAL", _SAVE, 2, s.keys.epoch, s.keys.lease, self._owner, s.epoch, *s.words)
            for s in saves
        ]
        with redis_errors():
            replies = self._pipe.run(commands)
        return [s.keys.shard for s, kept in zip(saves, replies, strict=True) if not kept]

    def append(self, entries: Sequence[tuple[int, Entry]]) -> None:
        """Append entries to the inboxes of their shards, in order."""
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            for shard, entry in entries:
                pipe.xadd(self.keys(shard).inbox, to_fields(entry, self._vault.seal))
            pipe.execute()

    def put_relatives(self, known: Iterable[tuple[str, Relative]], now_ms: int) -> None:
        """Let calls be found by names (siprec.kinship), each until its own time."""
        commands: list[Command] = []
        for name, relative in known:
            key = relatives_key(self._prefix, name)
            text = to_json(relative)
            commands.append(("EVAL", _KNOW, 1, key, relative.sid, text, now_ms, RELATIVES_KEPT))
        with redis_errors():
            self._pipe.run(commands)

    def relatives(self, name: str, now_ms: int) -> list[Relative]:
        """List the calls that have a name, RELATIVES_KEPT at most.

        Raises:
            RecordError: one of them cannot be read.
        """
        with redis_errors():
            texts = self._redis.hvals(relatives_key(self._prefix, name))
        found = (from_json(Relative, text) for text in texts)
        return [relative for relative in found if relative.until_ms > now_ms]


def _after(entry_id: str) -> str:
    """Give the smallest Stream id above `entry_id`."""
    time, _, sequence = entry_id.partition("-")
    return f"{time}-{int(sequence or 0) + 1}"
