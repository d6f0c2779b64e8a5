"""Saves: all of a shard or nothing, never without the lease, and commands only after them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from siprec import events as e
from siprec.alerts import Alert, AlertLevel
from siprec.changes import CallFile, Changes, Order
from siprec.model import Call, Stream, StreamState
from siprec.shard_store import ShardStore
from siprec.sids import shard_of_sid
from siprec.store import Client, Store, StoreUnavailable, connect
from siprec.verdict import Verdict
from siprec_kemi.src import saver as module
from siprec_kemi.src.leases import Leases
from siprec_kemi.src.saver import HOLD_S, Saver
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, NOW_MS, STREAM_SID, stream_in

SHARD = shard_of_sid(CALL_SID)
CALL = Call(sid=CALL_SID, account_sid=ACCOUNT_SID, sip_call_id="a@b", answered_ms=NOW_MS)
FILE = CallFile(SHARD, CALL)
ENDED = CallFile(SHARD, replace(CALL, ended_ms=NOW_MS, end_reason="bye"))
START, STOP = e.RequestFork(), e.SendBye()
ALERT = Alert(sid="NO1", account_sid="AC", code=1, level=AlertLevel.ERROR, text="x", created_ms=1)


def changes(stream: Stream | None = None, *commands: e.LegCommand) -> Changes:
    found = Changes(calls={CALL_SID: FILE})
    if stream is not None:
        found.streams[stream.sid] = stream
    found.commands = [Order(FILE, STREAM_SID, 1, command) for command in commands]
    return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000.0]
    monkeypatch.setattr(module, "monotonic_s", lambda: now[0])
    return now


@pytest.fixture
def shards(client: Client, prefix: str) -> ShardStore:
    return ShardStore(client, prefix, "one")


@pytest.fixture
def leases(shards: ShardStore) -> Leases:
    held = Leases(shards)
    held.renew()
    held.renew()
    return held


@pytest.fixture
def saver(shards: ShardStore, leases: Leases, clock: list[float]) -> Saver:
    return Saver(shards, leases, 3600)


@pytest.fixture
def store(client: Client, prefix: str) -> Store:
    return Store(client, prefix)


@pytest.fixture
def away(prefix: str, leases: Leases, clock: list[float]) -> Iterator[Saver]:
    """Give a saver whose Redis is away, with leases that still hold."""
    client = connect("redis://127.0.0.1:1", timeout_s=0.2)
    yield Saver(ShardStore(client, prefix, "one"), leases, 3600)
    client.close()


def test_commands_are_given_out_after_the_save(saver: Saver, store: Store) -> None:
    stream = stream_in(StreamState.FORKING)
    orders, refused = saver.save(changes(stream, START), at_once=False)
    assert ([order.command for order in orders], refused) == ([START], [])
    assert store.call(CALL_SID) == CALL
    assert store.stream(STREAM_SID) == stream
    assert saver.save(Changes(), at_once=True) == ([], [])


def test_cursor_alert_verdict_and_retired_call_are_saved(
    saver: Saver, store: Store, shards: ShardStore, client: Client
) -> None:
    everything = Changes(retired={CALL_SID: ENDED})
    everything.alerts.append((SHARD, ALERT))
    everything.verdicts.append((SHARD, "r", Verdict(accepted=True, text="accepted")))
    saver.applied(SHARD, "5-1")
    saver.save(everything, at_once=False)
    assert store.calls(live_only=False) == [ENDED.call]
    assert store.alerts() == [ALERT]
    assert client.get(shards.keys(SHARD).cursor) == "5-1"
    assert client.llen(shards.keys(SHARD).reply("r")) == 1


def test_call_that_ended_before_its_first_save_is_not_live(
    saver: Saver, store: Store, client: Client, shards: ShardStore
) -> None:
    saver.save(changes(stream_in(StreamState.RECORDING)), at_once=False)
    saver.save(Changes(retired={CALL_SID: ENDED}), at_once=True)
    assert client.smembers(shards.keys(SHARD).live) == set()
    assert store.call(CALL_SID) == ENDED.call


def test_what_nobody_waits_for_is_held_a_moment(
    saver: Saver, store: Store, clock: list[float]
) -> None:
    stream = stream_in(StreamState.RECORDING)
    assert saver.save(changes(stream), at_once=False) == ([], [])
    assert saver.due_s == clock[0] + HOLD_S
    assert store.stream(STREAM_SID) is None
    clock[0] += HOLD_S
    assert saver.save(Changes(), at_once=False) == ([], [])
    assert store.stream(STREAM_SID) == stream
    assert saver.due_s is None


def test_what_is_held_is_saved_along_in_the_order_it_happened(saver: Saver, store: Store) -> None:
    saver.save(changes(stream_in(StreamState.CONNECTING)), at_once=False)
    last = stream_in(StreamState.STOPPING)
    orders, _ = saver.save(changes(last, STOP), at_once=False)
    assert len(orders) == 1
    assert store.stream(STREAM_SID) == last


def test_save_refused_by_redis_names_the_shard_and_gives_no_commands(
    saver: Saver, store: Store, shards: ShardStore, client: Client
) -> None:
    client.set(shards.keys(SHARD).lease, "two")
    assert saver.save(changes(None, START), at_once=False) == ([], [SHARD])
    assert store.call(CALL_SID) is None


def test_save_without_a_sure_lease_names_the_shard_and_writes_nothing(
    saver: Saver, store: Store, leases: Leases
) -> None:
    leases.forget(SHARD)
    saver.applied(SHARD, "5-1")
    assert saver.save(changes(None, START), at_once=False) == ([], [SHARD])
    assert store.call(CALL_SID) is None


def test_redis_away_keeps_all_and_lets_only_endings_go_ahead(away: Saver) -> None:
    with pytest.raises(StoreUnavailable):
        away.save(changes(None, START, STOP), at_once=False)
    assert [order.command for order in away.without_redis()] == [STOP]
    assert away.without_redis() == []
    with pytest.raises(StoreUnavailable):
        away.save(Changes(), at_once=False)


def test_drop_forgets_what_was_not_saved_of_a_lost_shard(away: Saver) -> None:
    away.applied(SHARD, "5-1")
    with pytest.raises(StoreUnavailable):
        away.save(changes(stream_in(StreamState.STOPPING), STOP), at_once=False)
    away.drop(SHARD)
    assert away.without_redis() == []
    assert away.save(Changes(), at_once=True) == ([], [])
