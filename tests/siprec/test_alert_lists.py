"""Lists of alerts against a real Redis: what they give, and how much of it they read."""

import random
from collections.abc import Iterable, Iterator
from itertools import islice

import pytest

from siprec.alerts import Alert, AlertLevel
from siprec.keys import ShardKeys
from siprec.record import to_json
from siprec.store import Client, Store, StoreUnavailable
from tests.control.processes import RedisServer
from tests.siprec.streams import ACCOUNT_SID, NOW_MS

SHARDS = 64


@pytest.fixture
def store(redis_server: RedisServer, prefix: str) -> Iterator[Store]:
    with Store.connect(redis_server.url, prefix) as opened:
        yield opened


def made(shard: int, created_ms: int, digits: int) -> Alert:
    return Alert(
        sid=f"NO{shard:02x}{digits:030x}",
        account_sid=ACCOUNT_SID,
        code=32011,
        level=AlertLevel.ERROR,
        text="gone",
        created_ms=created_ms,
    )


def keep(client: Client, prefix: str, alerts: Iterable[Alert]) -> None:
    """Keep alerts as controllers do, in the order in which they were raised."""
    pipe = client.pipeline(transaction=False)
    for alert in alerts:
        pipe.xadd(ShardKeys(prefix, int(alert.sid[2:4], 16)).alerts, {"d": to_json(alert)})
    pipe.execute()


def test_newest_alerts_come_first_though_saved_a_little_out_of_order(
    store: Store, redis_server: RedisServer, prefix: str
) -> None:
    chance = random.Random(7)
    alerts = [
        made(chance.randrange(5), NOW_MS + n * 300 + chance.randrange(2_000), chance.randrange(99))
        for n in range(400)
    ]
    # Many of one moment, whose sids are in no order.
    alerts += [made(9, NOW_MS + 200_000, digits) for digits in chance.sample(range(10**6), 40)]
    keep(redis_server.client, prefix, alerts)
    newest = sorted(alerts, key=lambda alert: (alert.created_ms, alert.sid), reverse=True)
    assert list(store.alert_lists.newest()) == newest


def test_no_alerts_are_no_list(store: Store) -> None:
    assert list(store.alert_lists.newest()) == []


def test_first_page_of_many_alerts_asks_as_little_as_that_of_few(
    store: Store, redis_server: RedisServer, prefix: str
) -> None:
    client = redis_server.client

    def asked() -> int:
        def total() -> int:
            return int(client.info("commandstats")["cmdstat_xrevrange"]["calls"])

        client.xrevrange("none")
        before = total()
        assert len(list(islice(store.alert_lists.newest(), 51))) == 51
        return total() - before

    keep(client, prefix, (made(n % SHARDS, NOW_MS + n * 1_000, n) for n in range(1_280)))
    few = asked()
    keep(client, prefix, (made(n % SHARDS, NOW_MS + n * 1_000, n) for n in range(1_280, 20_000)))
    many = asked()
    print(f"a page of 50 asks {few} times for 1,280 alerts, {many} times for 20,000")
    assert few == many
    assert many <= 2 * SHARDS


def test_redis_that_is_away_is_named(prefix: str) -> None:
    with (
        Store.connect("redis://127.0.0.1:1", prefix, timeout_s=0.2) as away,
        pytest.raises(StoreUnavailable),
    ):
        list(away.alert_lists.newest())
