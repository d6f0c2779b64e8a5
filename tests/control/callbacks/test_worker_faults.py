"""The callback worker when it, another one, or Redis dies."""

import threading
from collections.abc import Iterable, Mapping

import pytest

from siprec.callback_store import CallbackStore, Source, Waiting
from siprec.debugger import AlertCallback
from siprec.keys import ShardKeys, callback_worker_key
from siprec.shard_store import ShardStore
from siprec.store import Client, connect
from siprec.stream_events import Callback, SiprecEvent
from siprec_control.callbacks import worker
from siprec_control.callbacks.delivery import Outcome
from tests.control.callbacks.receiver import Receiver
from tests.control.callbacks.working import (
    PREFIX,
    SHARD,
    WAIT_S,
    is_settled,
    wait_settled,
    working,
)
from tests.control.processes import RedisServer
from tests.scenarios.breakable_tcp import BreakableTcp
from tests.scenarios.polling import poll
from tests.siprec.callbacks import callback, save

pytestmark = pytest.mark.daemon


def test_what_a_dead_worker_had_is_sent_by_the_next_one_in_order(
    client: Client, shards: ShardStore, receiver: Receiver
) -> None:
    made = [callback(receiver.url(), kind=kind) for kind in SiprecEvent]
    save(shards, SHARD, *made)
    dead = CallbackStore(client, PREFIX)
    dead.make_groups()
    assert len(dead.read(10)) == len(made)
    with working(client):
        requests = receiver.wait_for(len(made))
        wait_settled(client)
    assert [request.token for request in requests] == [each.event.token for each in made]


def test_second_worker_waits_until_the_first_one_leaves(
    client: Client, shards: ShardStore, receiver: Receiver
) -> None:
    with working(client):
        save(shards, SHARD, callback(receiver.url()))
        receiver.wait_for(1)
        owner = client.get(callback_worker_key(PREFIX))
        with working(client):
            save(shards, SHARD, callback(receiver.url()))
            receiver.wait_for(2)
            assert client.get(callback_worker_key(PREFIX)) == owner
    with working(client):
        save(shards, SHARD, callback(receiver.url()))
        receiver.wait_for(3)
        wait_settled(client)


def test_worker_that_is_superseded_stops_sending_and_waits(
    client: Client, shards: ShardStore, receiver: Receiver
) -> None:
    with working(client) as said:
        save(shards, SHARD, callback(receiver.url()))
        receiver.wait_for(1)
        client.set(callback_worker_key(PREFIX), "another")
        poll(lambda: bool(said), WAIT_S, why=lambda: "nobody noticed")
        assert said == ["another process sends callbacks now"]
        save(shards, SHARD, callback(receiver.url()))
        client.delete(callback_worker_key(PREFIX))
        receiver.wait_for(2)
        wait_settled(client)


def test_redis_that_forgets_all_and_what_cannot_be_read_stop_nothing(
    client: Client, shards: ShardStore, receiver: Receiver
) -> None:
    with working(client) as said:
        save(shards, SHARD, callback(receiver.url()))
        receiver.wait_for(1)
        client.flushall()
        client.xadd(ShardKeys(PREFIX, SHARD).callbacks, {"d": "{"})
        save(shards, SHARD, callback(receiver.url()))
        receiver.wait_for(2)
        wait_settled(client)
    assert f"ERROR: a callback of shard {SHARD} cannot be read, and is gone" in said


def test_worker_waits_for_a_redis_that_is_away() -> None:
    with connect("redis://127.0.0.1:1", timeout_s=0.2) as away, working(away) as said:
        poll(lambda: bool(said), WAIT_S, why=lambda: "nothing was said")
    assert said[0].startswith("WARNING: callbacks wait: Redis: ")
    assert len(said) == 1


def test_defect_holds_up_the_receiver_and_is_said(client: Client, shards: ShardStore) -> None:
    def broken(made: Callback | AlertCallback) -> Outcome:
        raise LookupError("secret")

    with working(client, broken) as said:
        save(shards, SHARD, callback())
        poll(lambda: bool(said), WAIT_S, why=lambda: "nothing was said")
    assert said == ["WARNING: a defect of ours: LookupError; it is tried again for a day"]


@pytest.mark.parametrize("how", ["refusing", "deaf"])
def test_what_was_sent_while_redis_was_away_is_settled_later_and_not_sent_again(
    redis: RedisServer,
    client: Client,
    shards: ShardStore,
    receiver: Receiver,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # After so long without Redis another one might send; this one is to keep what it knows.
    monkeypatch.setattr(worker, "OWN_MS", 600_000)
    is_back, was_read, was_settled = (threading.Event() for _ in range(3))
    left, settle = CallbackStore.left, CallbackStore.settle

    def left_that_arrives_late(store: CallbackStore, after: Mapping[Source, str]) -> list[Waiting]:
        found = left(store, after)
        if found:
            was_read.set()
            assert was_settled.wait(WAIT_S)
        return found

    def settled_after_it_was_read(
        store: CallbackStore, places: Iterable[tuple[Source, str]]
    ) -> None:
        if is_back.is_set():
            assert was_read.wait(WAIT_S)
        settle(store, places)
        was_settled.set()

    monkeypatch.setattr(CallbackStore, "left", left_that_arrives_late)
    monkeypatch.setattr(CallbackStore, "settle", settled_after_it_was_read)
    receiver.answer = receiver.hang
    with BreakableTcp(redis.url.removeprefix("unix://")) as link:
        far = connect(f"redis://{link.address}/0", timeout_s=2.0)
        with far, working(far) as said:
            save(shards, SHARD, callback(receiver.url()))
            receiver.wait_for(1)
            setattr(link, how, True)
            receiver.release()
            poll(lambda: bool(said), WAIT_S, why=lambda: "nothing was said")
            assert not is_settled(client)
            is_back.set()
            setattr(link, how, False)
            wait_settled(client)
            save(shards, SHARD, callback(receiver.url()))
            requests = receiver.wait_for(2)
            wait_settled(client)
    assert len({request.token for request in requests}) == len(requests) == 2
    assert said[0].startswith("WARNING: what was sent cannot be settled: Redis: ")
