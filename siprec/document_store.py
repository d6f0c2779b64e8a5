"""The Redis store of documents that live calls follow: one for each call, followed by one worker.

A worker claims documents that are due. A claim counts for a while and is held by saying so; every
change of a document asks for it. So one whose worker died is claimed by another, and a worker that
was superseded, by another one or by a newer document of the call, can change nothing.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from siprec.inbox import DocumentFailed, StartOrdered, StopOrdered, to_fields
from siprec.keys import (
    ShardKeys,
    documents_claims_key,
    documents_due_key,
    documents_key,
    documents_of_key,
)
from siprec.live_documents import LiveDocument
from siprec.once import FORWARD_ONCE, REQUEST_S
from siprec.record import RecordError, from_json, to_json
from siprec.redis_client import Client, redis_errors
from siprec.sids import shard_of_sid
from siprec.verdict import Verdict
from siprec.web_request import WebRequest

CLAIMED_MS = 10_000
"""So long a claim counts."""

PER_ACCOUNT = 1_000
"""So many documents of one account are under way at most."""

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# KEYS: records, due, claims, of. ARGV: member, record, claim, due in ms, how many there may be.
_PUT = f"""{_NOW}
if redis.call('SISMEMBER', KEYS[4], ARGV[1]) == 0
   and redis.call('SCARD', KEYS[4]) >= tonumber(ARGV[5]) then return 0 end
redis.call('SADD', KEYS[4], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
return 1
"""

# KEYS: records, due, claims. ARGV: claim, how many, for how long in ms.
_CLAIM = f"""{_NOW}
local found = {{}}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[2])) do
  redis.call('ZADD', KEYS[2], now + ARGV[3], member)
  redis.call('HSET', KEYS[3], member, ARGV[1])
  found[#found + 1] = member
  found[#found + 1] = redis.call('HGET', KEYS[1], member) or ''
end
return found
"""

# KEYS: due, claims. ARGV: claim, for how long in ms, member.
_HOLD = f"""{_NOW}
if redis.call('HGET', KEYS[2], ARGV[3]) ~= ARGV[1] then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[3])
return 1
"""

# KEYS: records, due, claims. ARGV: claim, member, record, due in ms, claim from now on.
_SAVE = f"""{_NOW}
if redis.call('HGET', KEYS[3], ARGV[2]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[5])
return 1
"""

# KEYS: records, due, claims, of. ARGV: member, claim ("": whoever has it).
_REMOVE = """
if ARGV[2] ~= '' and redis.call('HGET', KEYS[3], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('SREM', KEYS[4], ARGV[1])
return 1
"""


class Claimed(NamedTuple):
    """A document that is ours to follow, as long as `claim` holds; None: it cannot be read."""

    claim: str
    account_sid: str
    call_sid: str
    document: LiveDocument | None


class DocumentStore:
    """Documents of all live calls. Thread-safe as the client is."""

    def __init__(self, client: Client, prefix: str) -> None:
        self._redis = client
        self._prefix = prefix
        self._records = documents_key(prefix)
        self._due = documents_due_key(prefix)
        self._claims = documents_claims_key(prefix)

    # Who changes a call

    def put(self, document: LiveDocument, claim: str = "-", delay_ms: int = 0) -> bool:
        """Let a call follow a document, instead of what it followed; False: there are too many.

        A worker finds it after `delay_ms`. Who gives a `claim` of its own may change it till then.

        Raises:
            StoreUnavailable.
        """
        of = documents_of_key(self._prefix, document.account_sid)
        keys = (self._records, self._due, self._claims, of)
        words = (_member(document), to_json(document), claim, delay_ms, PER_ACCOUNT)
        with redis_errors():
            return bool(self._redis.eval(_PUT, 4, *keys, *words))

    def remove(self, account_sid: str, call_sid: str, claim: str = "") -> bool:
        """Let a call follow no document any more; False: the `claim` does not count any more.

        Raises:
            StoreUnavailable.
        """
        of = documents_of_key(self._prefix, account_sid)
        keys = (self._records, self._due, self._claims, of)
        with redis_errors():
            return bool(self._redis.eval(_REMOVE, 4, *keys, f"{account_sid}/{call_sid}", claim))

    def count(self, account_sid: str) -> int:
        """Count the documents of an account that are under way.

        Raises:
            StoreUnavailable.
        """
        with redis_errors():
            return int(self._redis.scard(documents_of_key(self._prefix, account_sid)))

    # The worker

    def claim(self, claim: str, count: int) -> list[Claimed]:
        """Claim documents that are due, `count` at most, under a name that nobody used before.

        Raises:
            StoreUnavailable.
        """
        keys = (self._records, self._due, self._claims)
        with redis_errors():
            found: Any = self._redis.eval(_CLAIM, 3, *keys, claim, count, CLAIMED_MS)
        pairs = zip(found[::2], found[1::2], strict=True)
        return [_claimed(claim, member, text) for member, text in pairs]

    def hold(self, held: Iterable[Claimed]) -> None:
        """Let claims count anew; those that do not any more stay as they are.

        Raises:
            StoreUnavailable.
        """
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            for each in held:
                member = f"{each.account_sid}/{each.call_sid}"
                pipe.eval(_HOLD, 2, self._due, self._claims, each.claim, CLAIMED_MS, member)
            pipe.execute()

    def save(self, claim: str, document: LiveDocument, delay_ms: int | None = None) -> bool:
        """Write how far a document has come; False: the claim does not count any more.

        With a `delay_ms` the claim is given up, and whoever comes first goes on after that time.

        Raises:
            StoreUnavailable.
        """
        due_ms, after = (CLAIMED_MS, claim) if delay_ms is None else (delay_ms, "-")
        keys = (self._records, self._due, self._claims)
        words = (claim, _member(document), to_json(document), due_ms, after)
        with redis_errors():
            return bool(self._redis.eval(_SAVE, 3, *keys, *words))

    # What documents do

    def order(
        self, request_id: str, entry: StartOrdered | StopOrdered, wait_s: int
    ) -> Verdict | None:
        """Order something of the call that `entry` names, once under that `request_id`.

        Gives the verdict; None when there is none in time, and when it was given before.

        Raises:
            StoreUnavailable.
        """
        keys = ShardKeys(self._prefix, shard_of_sid(entry.call_sid))
        fields = to_fields(entry)
        request, words = keys.request(request_id), (REQUEST_S, fields["t"], fields["d"])
        with redis_errors():
            is_new = self._redis.eval(FORWARD_ONCE, 2, keys.inbox, request, *words)
            popped = self._redis.blpop([keys.reply(request_id)], timeout=wait_s if is_new else 1)
        return None if popped is None else from_json(Verdict, popped[1])

    def fail(
        self, document: LiveDocument, code: int, text: str, request: WebRequest | None = None
    ) -> None:
        """Let the controller of the call raise an alert, about an HTTP request if there was one.

        Raises:
            StoreUnavailable.
        """
        entry = DocumentFailed(
            call_sid=document.call_sid,
            account_sid=document.account_sid,
            code=code,
            text=text,
            request=request,
        )
        with redis_errors():
            keys = ShardKeys(self._prefix, shard_of_sid(document.call_sid))
            self._redis.xadd(keys.inbox, to_fields(entry))


def _member(document: LiveDocument) -> str:
    return f"{document.account_sid}/{document.call_sid}"


def _claimed(claim: str, member: str, text: str) -> Claimed:
    account_sid, _, call_sid = member.partition("/")
    try:
        document = from_json(LiveDocument, text)
    except RecordError:
        document = None
    return Claimed(claim, account_sid, call_sid, document)
