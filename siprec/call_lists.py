"""Lists of calls that read no more of Redis than is asked for. Part of `siprec.store.Store`."""

from collections.abc import Iterable, Iterator
from itertools import islice

from siprec.keys import ShardKeys
from siprec.model import Call
from siprec.record import from_json
from siprec.redis_client import Client, redis_errors
from siprec.sids import SHARDS, shard_of_sid

CHUNK = 50
FIRST_PAGE = 4
LONGEST_PAGE = 512
# Nodes may disagree so much on what time it is.
SKEW_MS = 5_000


class CallLists:
    """Reads calls of all shards. Thread-safe as the client is."""

    def __init__(self, client: Client, prefix: str) -> None:
        self._redis = client
        self._keys = [ShardKeys(prefix, shard) for shard in range(SHARDS)]

    def newest(self) -> Iterator[Call]:
        """Go through all calls, newest first (`started_ms`, then sid), reading as it goes.

        What is read are the live calls, and of those that ended the ones that could be among
        what was taken: none of them begins after it ended.
        """
        seen: set[str] = set()
        ended = self._ended()
        waiting = self._read(self._live(), seen)
        is_more = True
        while is_more:
            chunk = list(islice(ended, CHUNK))
            is_more = len(chunk) == CHUNK
            waiting += self._read((sid for sid, _ in chunk), seen)
            waiting.sort(key=lambda call: (call.started_ms, call.sid))
            while waiting and (not is_more or waiting[-1].started_ms > chunk[-1][1] + SKEW_MS):
                yield waiting.pop()

    def _live(self) -> list[str]:
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            for keys in self._keys:
                pipe.smembers(keys.live)
            return [sid for members in pipe.execute() for sid in members]

    def _ended(self) -> Iterator[tuple[str, float]]:
        """Go through the sids of calls that ended, with when, the latest first.

        One that ends meanwhile moves the others on: some may come twice, and none is passed over.
        """
        pages = dict(enumerate(self._pages(range(SHARDS), 0, FIRST_PAGE)))
        offsets, counts = dict.fromkeys(pages, FIRST_PAGE), dict.fromkeys(pages, FIRST_PAGE)
        pages = {shard: page for shard, page in pages.items() if page}
        while pages:
            shard = max(pages, key=lambda each: pages[each][-1][1])
            page = pages[shard]
            yield page.pop()
            if page:
                continue
            counts[shard] = min(LONGEST_PAGE, 2 * counts[shard])
            (more,) = self._pages([shard], offsets[shard], counts[shard])
            offsets[shard] += counts[shard]
            if more:
                pages[shard] = more
            else:
                del pages[shard]

    def _pages(
        self, shards: Iterable[int], offset: int, count: int
    ) -> list[list[tuple[str, float]]]:
        """Read a page of each shard; within it the earliest comes first."""
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            for shard in shards:
                ended = self._keys[shard].ended
                pipe.zrange(ended, -offset - count, -offset - 1, withscores=True)
            pages: list[list[tuple[str, float]]] = pipe.execute()
        return pages

    def _read(self, sids: Iterable[str], seen: set[str]) -> list[Call]:
        """Read calls that were not seen yet; those that are forgotten are left out."""
        new = [sid for sid in dict.fromkeys(sids) if sid not in seen]
        seen.update(new)
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            for sid in new:
                pipe.hget(self._keys[shard_of_sid(sid)].call(sid), "call")
            texts = pipe.execute()
        return [from_json(Call, text) for text in texts if text is not None]
