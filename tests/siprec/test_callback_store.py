"""Callbacks in a real Redis: one that sends, what a dead one left, and what was given up."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from siprec.alerts import Alert, AlertLevel
from siprec.callback_store import (
    CONSUMER,
    GROUP,
    OWN_MS,
    UNDELIVERED_KEPT,
    CallbackStore,
    Source,
    Waiting,
)
from siprec.inbox import CallbackFailed, from_fields
from siprec.keys import ShardKeys, callback_worker_key
from siprec.shard_store import ShardStore
from siprec.store import Client, StoreUnavailable, connect
from siprec.stream_events import Callback, Undelivered
from siprec.web_request import WebRequest, web_request
from tests.control.processes import RedisServer
from tests.siprec.callbacks import callback, save
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, NOW_MS, STREAM_SID

SHARD = 0x2A


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Client]:
    connection = connect(redis_server.url)
    yield connection
    connection.close()


@pytest.fixture
def store(client: Client, prefix: str) -> CallbackStore:
    made = CallbackStore(client, prefix)
    made.make_groups()
    return made


@pytest.fixture
def shards(client: Client, prefix: str) -> ShardStore:
    return ShardStore(client, prefix, "controller")


def places(found: list[Waiting]) -> list[tuple[Source, str]]:
    return [(each.source, each.entry_id) for each in found]


def give_up(
    store: CallbackStore, waiting: Waiting, request: WebRequest | None = None
) -> Undelivered:
    """Give a callback up."""
    assert isinstance(waiting.callback, Callback)
    record = Undelivered(callback=waiting.callback, code=15003, text="it said 500", failed_ms=7)
    store.give_up(waiting.source.shard, waiting.entry_id, record, request)
    return record


def test_one_of_many_sends_until_it_leaves_or_dies(
    client: Client, store: CallbackStore, prefix: str
) -> None:
    assert store.own("a")
    assert not store.own("b")
    assert store.own("a")
    assert 0 < client.pttl(callback_worker_key(prefix)) <= OWN_MS
    store.disown("b")
    assert not store.own("b")
    store.disown("a")
    assert store.own("b")
    client.delete(callback_worker_key(prefix))
    assert store.own("a")


def test_own_prolongs_the_time(client: Client, store: CallbackStore, prefix: str) -> None:
    store.own("a")
    client.pexpire(callback_worker_key(prefix), 1_000)
    assert store.own("a")
    assert client.pttl(callback_worker_key(prefix)) > 1_000


def test_callbacks_are_read_in_the_order_of_each_shard(
    store: CallbackStore, shards: ShardStore
) -> None:
    first, second, other = callback(), callback(), callback()
    save(shards, SHARD, first, second)
    save(shards, 1, other)
    found = store.read(10)
    assert [each.callback for each in found if each.source == Source(SHARD)] == [first, second]
    assert [each.callback for each in found if each.source == Source(1)] == [other]
    assert store.read(10) == []


def test_callback_knows_since_when_it_waits(store: CallbackStore, client: Client) -> None:
    save_at = client.time()[0] * 1000
    save(ShardStore(client, store._prefix, "c"), SHARD, callback())
    (waiting,) = store.read(10)
    assert save_at <= waiting.queued_ms <= save_at + 60_000


def test_what_is_not_settled_is_left_to_the_next_one(
    store: CallbackStore, shards: ShardStore
) -> None:
    save(shards, SHARD, *(callback() for _ in range(3)))
    read = store.read(10)
    store.settle(places(read[:1]))
    assert store.left({Source(SHARD): "0", Source(1): "0"}) == read[1:]
    assert store.left({Source(SHARD): read[1].entry_id}) == read[2:]
    assert store.left({Source(SHARD): read[2].entry_id}) == []


def test_what_is_settled_is_gone(
    client: Client, store: CallbackStore, shards: ShardStore, prefix: str
) -> None:
    save(shards, SHARD, callback())
    store.settle(places(store.read(10)))
    key = ShardKeys(prefix, SHARD).callbacks
    assert client.xlen(key) == 0
    assert client.xpending(key, GROUP)["pending"] == 0


def test_groups_may_be_made_again_and_read_what_was_there_before(
    client: Client, shards: ShardStore, prefix: str
) -> None:
    save(shards, SHARD, callback())
    late = CallbackStore(client, prefix)
    late.make_groups()
    late.make_groups()
    assert len(late.read(10)) == 1


def test_group_that_cannot_be_made_is_an_error(client: Client, prefix: str) -> None:
    client.set(ShardKeys(prefix, 3).callbacks, "no Stream")
    with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
        CallbackStore(client, prefix).make_groups()


def test_what_cannot_be_read_is_named(client: Client, store: CallbackStore, prefix: str) -> None:
    key = ShardKeys(prefix, SHARD).callbacks
    ids = [client.xadd(key, fields) for fields in ({"d": "{"}, {"x": "y"}, {"d": "{}"})]
    assert [(each.entry_id, each.callback) for each in store.read(10)] == [
        (entry_id, None) for entry_id in ids
    ]
    # What somebody deleted is still left, as nothing.
    client.xdel(key, ids[0])
    assert [each.callback for each in store.left({Source(SHARD): "0"})] == [None, None, None]


def test_given_up_callback_is_put_aside_and_told_to_the_controller(
    client: Client, store: CallbackStore, shards: ShardStore, prefix: str
) -> None:
    save(shards, SHARD, callback())
    (waiting,) = store.read(10)
    request = web_request("http://a/", "POST", {}, 500)
    record = give_up(store, waiting, request)
    keys = ShardKeys(prefix, SHARD)
    assert client.xlen(keys.callbacks) == 0
    ((_, fields),) = client.xrange(keys.inbox)
    assert from_fields(fields) == CallbackFailed(
        call_sid=CALL_SID,
        account_sid=ACCOUNT_SID,
        code=15003,
        text="it said 500",
        stream_sid=STREAM_SID,
        connector_name="Default",
        request=request,
    )
    (given_up,) = store.given_up()
    assert (given_up.shard, given_up.undelivered) == (SHARD, record)


def test_given_up_callbacks_are_bounded_and_listed_by_time(
    client: Client, store: CallbackStore, prefix: str
) -> None:
    record = Undelivered(callback=callback(), code=11200, text="x", failed_ms=NOW_MS)
    for count in range(3):
        store.give_up(count, "1-1", replace(record, failed_ms=9 - count))
    assert [each.undelivered.failed_ms for each in store.given_up()] == [7, 8, 9]
    for _ in range(UNDELIVERED_KEPT + 200):
        store.give_up(5, "1-1", record)
    assert (
        UNDELIVERED_KEPT <= client.xlen(ShardKeys(prefix, 5).undelivered) < (UNDELIVERED_KEPT + 200)
    )
    client.xadd(ShardKeys(prefix, 6).undelivered, {"d": "{"})
    assert all(each.shard != 6 for each in store.given_up())


def test_given_up_callback_can_be_sent_again_once(store: CallbackStore, shards: ShardStore) -> None:
    save(shards, SHARD, callback())
    (waiting,) = store.read(10)
    give_up(store, waiting)
    (given_up,) = store.given_up()
    assert store.send_again(given_up)
    assert not store.send_again(given_up)
    assert store.given_up() == []
    (again,) = store.read(10)
    assert again.callback == waiting.callback
    assert again.entry_id != waiting.entry_id


def test_all_of_it_names_a_redis_that_is_away(prefix: str) -> None:
    away = CallbackStore(connect("redis://127.0.0.1:1", timeout_s=0.2), prefix)
    record = Undelivered(callback=callback(), code=11200, text="x", failed_ms=1)
    for use in (
        lambda: away.own("a"),
        lambda: away.disown("a"),
        away.make_groups,
        lambda: away.read(1),
        lambda: away.settle([(Source(1), "1-1")]),
        lambda: away.give_up(1, "1-1", record),
        away.given_up,
    ):
        with pytest.raises(StoreUnavailable):
            use()


def test_consumer_has_one_name_in_every_process(
    client: Client, store: CallbackStore, shards: ShardStore, prefix: str
) -> None:
    save(shards, SHARD, callback())
    store.read(10)
    consumers = client.xinfo_consumers(ShardKeys(prefix, SHARD).callbacks, GROUP)
    assert [each["name"] for each in consumers] == [CONSUMER]
    assert {source.shard for source in store.sources} == set(range(64))
    assert len(store.sources) == 128


def alert(shards: ShardStore, number: int = 1) -> Alert:
    """Save an alert as the controller that owns the shard does."""
    made = Alert(
        sid=f"NO2a{number:030x}",
        account_sid=ACCOUNT_SID,
        code=32011,
        level=AlertLevel.ERROR,
        text="gone",
        created_ms=NOW_MS,
    )
    (grant,) = shards.acquire([SHARD], 1)
    written = shards.begin(SHARD, grant.epoch)
    written.alert(made)
    assert shards.commit([written]) == []
    shards.release([SHARD])
    return made


def test_alerts_are_read_once_and_stay_for_people(
    client: Client, store: CallbackStore, shards: ShardStore, prefix: str
) -> None:
    made = alert(shards)
    (waiting,) = store.read(10)
    assert (waiting.source, waiting.callback) == (Source(SHARD, True), made)
    assert store.left({waiting.source: "0"}) == [waiting]
    store.settle(places([waiting]))
    assert store.left({waiting.source: "0"}) == store.read(10) == []
    assert client.xlen(ShardKeys(prefix, SHARD).alerts) == 1


def test_alerts_from_before_there_was_a_worker_are_not_sent(
    client: Client, shards: ShardStore, prefix: str
) -> None:
    alert(shards)
    late = CallbackStore(client, prefix)
    late.make_groups()
    assert late.read(10) == []
    later = alert(shards, 2)
    assert [each.callback for each in late.read(10)] == [later]
