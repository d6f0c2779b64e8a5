"""Lists of calls against a real Redis: what they give, and how much of it they read."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

import pytest

from siprec.call_lists import SKEW_MS
from siprec.keys import ShardKeys
from siprec.model import Call
from siprec.record import to_json
from siprec.sids import make_call_sid, shard_of_sid
from siprec.store import Client, Store, StoreUnavailable
from tests.control.processes import RedisServer
from tests.siprec.streams import ACCOUNT_SID, NOW_MS

SHARDS = 64


@pytest.fixture
def store(redis_server: RedisServer, prefix: str) -> Iterator[Store]:
    with Store.connect(redis_server.url, prefix) as opened:
        yield opened


def made(number: int, started_ms: int, ended_ms: int | None) -> Call:
    return Call(
        sid=make_call_sid(number % SHARDS, f"{number:022x}"),
        account_sid=ACCOUNT_SID,
        sip_call_id=str(number),
        started_ms=started_ms,
        answered_ms=started_ms,
        ended_ms=ended_ms,
    )


def keep(client: Client, prefix: str, calls: Iterable[Call]) -> None:
    """Keep calls as controllers do, many at a time."""
    pipe = client.pipeline(transaction=False)
    for call in calls:
        keys = ShardKeys(prefix, shard_of_sid(call.sid))
        pipe.hset(keys.call(call.sid), "call", to_json(call))
        if call.ended_ms is None:
            pipe.sadd(keys.live, call.sid)
        else:
            pipe.zadd(keys.ended, {call.sid: call.ended_ms})
    pipe.execute()


def test_newest_calls_come_first_however_long_they_were(
    store: Store, redis_server: RedisServer, prefix: str
) -> None:
    chance = random.Random(5)
    calls = []
    for number in range(900):
        started_ms = NOW_MS + chance.randrange(600) * 1_000
        length_ms = chance.choice([0, 5_000, 60_000, 500_000])
        ended_ms = None if number % 30 == 0 else started_ms + length_ms
        calls.append(made(number, started_ms, ended_ms))
    # All of one shard, so that it has many pages.
    calls += [made(SHARDS * (100 + n), NOW_MS + n, NOW_MS + n) for n in range(300)]
    keep(redis_server.client, prefix, calls)
    newest = sorted(calls, key=lambda call: (call.started_ms, call.sid), reverse=True)
    assert list(store.lists.newest()) == newest == store.calls(live_only=False)


def test_list_that_grows_while_it_is_read_gives_each_call_once(
    store: Store, redis_server: RedisServer, prefix: str
) -> None:
    client = redis_server.client
    old = [made(n * SHARDS, NOW_MS + n * SKEW_MS, NOW_MS + n * SKEW_MS) for n in range(200)]
    talking = made(7, NOW_MS - 1, None)
    keep(client, prefix, [*old, talking])
    reading = store.lists.newest()
    first = list(islice(reading, 20))
    keep(client, prefix, [replace(talking, ended_ms=NOW_MS + 10**9)])
    keep(
        client, prefix, [made(n * SHARDS, NOW_MS + 10**9, NOW_MS + 10**9) for n in range(500, 530)]
    )
    rest = list(reading)
    assert [*first, *rest] == [*reversed(old), talking]


def test_call_that_was_forgotten_is_left_out(
    store: Store, redis_server: RedisServer, prefix: str
) -> None:
    gone, kept = made(1, NOW_MS, NOW_MS), made(2, NOW_MS, NOW_MS)
    keep(redis_server.client, prefix, [gone, kept])
    redis_server.client.delete(ShardKeys(prefix, 1).call(gone.sid))
    assert list(store.lists.newest()) == [kept]


def test_no_calls_are_no_list(store: Store) -> None:
    assert list(store.lists.newest()) == []


def read_by(client: Client, store: Store, count: int) -> int:
    """Count the records that are read for the newest calls."""

    def total() -> int:
        stats = client.info("commandstats").get("cmdstat_hget", {"calls": 0})
        return int(stats["calls"])

    before = total()
    assert len(list(islice(store.lists.newest(), count))) == count
    return total() - before


def test_first_page_of_20000_calls_reads_as_little_as_that_of_200(
    store: Store, redis_server: RedisServer, prefix: str
) -> None:
    client = redis_server.client
    # One begins each second, and takes a second.
    keep(client, prefix, (made(n, n * 1_000, n * 1_000 + 1_000) for n in range(200)))
    few = read_by(client, store, 51)
    keep(client, prefix, (made(n, n * 1_000, n * 1_000 + 1_000) for n in range(200, 20_000)))
    many = read_by(client, store, 51)
    print(f"a page of 50 reads {few} of 200 calls, {many} of 20,000")
    assert few == many
    assert many <= 150


def test_redis_that_is_away_is_named(prefix: str) -> None:
    with (
        Store.connect("redis://127.0.0.1:1", prefix, timeout_s=0.2) as away,
        pytest.raises(StoreUnavailable),
    ):
        list(away.lists.newest())
