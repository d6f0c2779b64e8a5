"""Lists of alerts that read no more of Redis than is asked for. Part of `siprec.store.Store`."""

import heapq
from collections.abc import Iterator
from typing import Any

from siprec.alerts import Alert
from siprec.call_lists import FIRST_PAGE, LONGEST_PAGE, SKEW_MS
from siprec.keys import ShardKeys
from siprec.record import from_json
from siprec.redis_client import Client, redis_errors
from siprec.sids import SHARDS

_Page = list[tuple[str, dict[str, str]]]


class AlertLists:
    """Reads alerts of all shards. Thread-safe as the client is."""

    def __init__(self, client: Client, prefix: str) -> None:
        self._redis = client
        self._keys = [ShardKeys(prefix, shard) for shard in range(SHARDS)]

    def newest(self) -> Iterator[Alert]:
        """Go through all alerts, newest first (`created_ms`, then sid), reading as it goes."""
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            for keys in self._keys:
                pipe.xrevrange(keys.alerts, count=FIRST_PAGE)
            pages = pipe.execute()
        each = (self._of(keys, page) for keys, page in zip(self._keys, pages, strict=True) if page)
        return heapq.merge(*each, key=_place, reverse=True)

    def _of(self, keys: ShardKeys, page: _Page) -> Iterator[Alert]:
        """Go through the alerts of a shard, which stand in the order in which they were saved."""
        waiting: list[Alert] = []
        count = FIRST_PAGE
        while page:
            found = [from_json(Alert, fields["d"]) for _, fields in page]
            waiting = sorted([*waiting, *found], key=_place)
            while waiting and waiting[-1].created_ms > found[-1].created_ms + SKEW_MS:
                yield waiting.pop()
            count = min(LONGEST_PAGE, 2 * count)
            with redis_errors():
                reply: Any = self._redis.xrevrange(keys.alerts, max=f"({page[-1][0]}", count=count)
            page = reply
        while waiting:
            yield waiting.pop()


def _place(alert: Alert) -> tuple[int, str]:
    return alert.created_ms, alert.sid
