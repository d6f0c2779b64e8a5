"""The store as people use it, against a real Redis."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from siprec.alerts import Alert, AlertLevel
from siprec.connector import Connector, Srs
from siprec.health import Circuit, Load, SrsHealth, SrsLoad, srs_key
from siprec.keys import ShardKeys, connectors_key, loads_key
from siprec.model import Call, Stream, StreamState
from siprec.numbers import Number
from siprec.record import RecordError
from siprec.shard_store import Save, ShardStore
from siprec.sids import SidError, make_call_sid, make_stream_sid, shard_of_sid
from siprec.store import LOAD_KEPT_MS, Store, StoreUnavailable
from siprec.vault import VARIABLE, Vault, VaultError
from tests.control.processes import RedisServer
from tests.siprec.keyed import KEY, holds_keys, with_keys
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, NOW_MS, STREAM_SID, stream_in

OTHER_SID = make_call_sid(7, "f" * 22)
CALL = Call(
    sid=CALL_SID, account_sid=ACCOUNT_SID, sip_call_id="a", started_ms=1, answered_ms=NOW_MS
)
OLDER = replace(CALL, sid=OTHER_SID, started_ms=0)


@pytest.fixture
def store(redis_server: RedisServer, prefix: str) -> Iterator[Store]:
    with Store.connect(redis_server.url, prefix) as opened:
        yield opened


@pytest.fixture
def sealing(redis_server: RedisServer, prefix: str, vault: Vault) -> Iterator[Store]:
    with Store.connect(redis_server.url, prefix, vault) as opened:
        yield opened


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def shards(redis_server: RedisServer, prefix: str) -> ShardStore:
    return ShardStore(redis_server.client, prefix, "controller")


def write(shards: ShardStore, call: Call, *streams: Stream, retired: bool = False) -> None:
    shard = shard_of_sid(call.sid)
    (grant,) = shards.acquire([shard], 1)
    save = shards.begin(shard, grant.epoch)
    save.call(call)
    for stream in streams:
        save.stream(stream)
    if retired:
        save.retire(call, 3600)
    assert shards.commit([save]) == []
    shards.release([save.keys.shard])


# Connectors and numbers


def test_connectors_are_kept_by_account_and_name(store: Store) -> None:
    b = Connector(account_sid="AC1", name="b", srs=(Srs(uri="sip:b"),))
    a = Connector(account_sid="AC1", name="a", srs=(Srs(uri="sip:a"),))
    for connector in (b, a, replace(a, account_sid="AC2")):
        store.put_connector(connector)
    assert store.connectors("AC1") == [a, b]
    assert store.connector("AC1", "a") == a
    assert store.connector("AC1", "c") is None
    assert store.delete_connector("AC1", "a")
    assert not store.delete_connector("AC1", "a")
    assert store.connectors("AC1") == [b]


def test_connectors_of_all_accounts_are_listed(store: Store) -> None:
    kept = [
        Connector(account_sid=account, name=name, srs=(Srs(uri="sip:a"),))
        for account, name in (("AC1", "a"), ("AC1", "b"), ("AC2", "a"))
    ]
    for connector in reversed(kept):
        store.put_connector(connector)
    assert store.all_connectors() == kept


def secretive(name: str) -> Connector:
    srs = (Srs(uri="sip:a"),)
    return Connector(account_sid="AC1", name=name, srs=srs, digest_password=f"secret of {name}")


def test_secrets_of_a_connector_are_stored_sealed(
    sealing: Store, redis_server: RedisServer, prefix: str
) -> None:
    sealing.put_connector(secretive("a"))
    stored: Any = redis_server.client.hget(connectors_key(prefix, "AC1"), "a")
    assert "secret" not in stored
    assert '"digest_password":"sealed:1:' in stored
    assert sealing.connector("AC1", "a") == secretive("a")
    assert sealing.connectors("AC1") == sealing.all_connectors() == [secretive("a")]


@pytest.mark.usefixtures("no_keys")
def test_connector_with_secrets_is_not_stored_without_a_key(store: Store) -> None:
    with pytest.raises(VaultError, match="SIPREC_SECRET_KEYS: holds no key"):
        store.put_connector(secretive("a"))
    assert store.connectors("AC1") == []
    store.put_connector(replace(secretive("a"), digest_password=""))
    assert len(store.connectors("AC1")) == 1


@pytest.mark.usefixtures("no_keys")
def test_connector_whose_key_is_missing_is_named_and_does_not_hide_the_others(
    sealing: Store, store: Store
) -> None:
    sealing.put_connector(secretive("a"))
    plain = Connector(account_sid="AC1", name="b", srs=(Srs(uri="sip:b"),))
    sealing.put_connector(plain)
    why = r"^connector 'a': digest_password: \$SIPREC_SECRET_KEYS: holds no key$"
    with pytest.raises(RecordError, match=why):
        store.connector("AC1", "a")
    with pytest.raises(RecordError, match=why):
        store.connectors("AC1")
    assert store.connector("AC1", "b") == plain
    assert store.all_connectors() == [plain]


def test_turns_of_a_connector_count_up_until_it_is_deleted(store: Store) -> None:
    assert [store.next_turn("AC1", "a") for _ in range(3)] == [1, 2, 3]
    assert store.next_turn("AC1", "b") == store.next_turn("AC2", "a") == 1
    store.delete_connector("AC1", "a")
    assert store.next_turn("AC1", "a") == 1


def test_numbers_are_found_exact_then_longest_prefix_then_any(store: Store) -> None:
    patterns = ["*", "+1*", "+155*", "+15550001"]
    for pattern in patterns:
        store.put_number(Number(pattern=pattern, account_sid="AC1", twiml="<>", program="{}"))
    for called, pattern in [
        ("+15550001", "+15550001"),
        ("+15550002", "+155*"),
        ("+1999", "+1*"),
        ("+49", "*"),
    ]:
        found = store.find_number(called)
        assert found is not None
        assert found.pattern == pattern
    assert [number.pattern for number in store.numbers("AC1")] == patterns
    assert store.numbers("AC2") == []
    assert store.delete_number("*")
    assert not store.delete_number("*")
    assert store.find_number("+49") is None
    assert store.number("*") is None
    assert store.number("+1*") is not None


# How the SRSs of connectors are


def test_health_of_an_srs_is_kept_until_it_is_forgotten(store: Store) -> None:
    healths = {
        key: SrsHealth(key=key, reachable=reachable, text="200 OK", checked_ms=5)
        for key, reachable in ((srs_key("AC1", "c", "sip:a"), True), ("other", False))
    }
    for health in (SrsHealth(key="other"), *healths.values()):
        store.put_health(health)
    assert store.healths() == healths
    store.forget_health(["other", "never seen"])
    store.forget_health([])
    assert list(store.healths()) == [srs_key("AC1", "c", "sip:a")]


def test_load_counts_for_five_seconds(store: Store) -> None:
    srs = SrsLoad(key="k", sessions=3, circuit=Circuit.OPEN, failures=3, opened_ms=1, text="503")
    first = Load(controller="n/1", at_ms=10_000, srs=(srs,))
    for load in (Load(controller="n/2", at_ms=9_999), replace(first, at_ms=1), first):
        store.put_load(load)
    assert [load.controller for load in store.loads(14_999)] == ["n/1", "n/2"]
    assert store.loads(15_000) == [first]
    assert store.loads(15_001) == []


def test_load_of_a_controller_that_is_gone_is_removed(
    store: Store, redis_server: RedisServer, prefix: str
) -> None:
    for name, at_ms in (("gone", 0), ("slow", 1)):
        store.put_load(Load(controller=name, at_ms=at_ms))
    assert store.loads(LOAD_KEPT_MS + 1) == []
    assert redis_server.client.hkeys(loads_key(prefix)) == ["slow"]
    assert 0 < redis_server.client.pttl(loads_key(prefix)) <= LOAD_KEPT_MS


# Calls, streams, alerts


def test_call_and_stream_are_read_by_sid(store: Store, shards: ShardStore) -> None:
    stream = stream_in(StreamState.RECORDING)
    write(shards, CALL, stream)
    assert store.call(CALL_SID) == CALL
    assert store.stream(STREAM_SID) == stream
    assert store.call(OTHER_SID) is None
    assert store.stream(make_stream_sid(OTHER_SID, 1)) is None


@pytest.mark.usefixtures("no_keys")
def test_stream_is_read_without_its_sdp_where_the_key_is_missing(
    store: Store, sealing: Store, redis_server: RedisServer, prefix: str, vault: Vault
) -> None:
    secure = with_keys(stream_in(StreamState.RECORDING))
    write(ShardStore(redis_server.client, prefix, "controller", vault), CALL, secure)
    stored: Any = redis_server.client.hget(ShardKeys(prefix, 0x2A).call(CALL_SID), STREAM_SID)
    assert KEY not in stored
    assert sealing.stream(STREAM_SID) == secure
    shown = store.stream(STREAM_SID)
    assert shown is not None
    assert (holds_keys(secure), holds_keys(shown)) == (True, False)
    assert shown.state is StreamState.RECORDING
    assert store.streams(CALL_SID) == store.streams() == [shown]


@pytest.mark.parametrize("sid", ["", "CA1", STREAM_SID])
def test_call_by_what_is_no_call_sid_is_refused(store: Store, sid: str) -> None:
    with pytest.raises(SidError):
        store.call(sid)


def test_stream_by_what_is_no_stream_sid_is_refused(store: Store) -> None:
    with pytest.raises(SidError):
        store.stream(CALL_SID)


def test_calls_are_listed_newest_first(store: Store, shards: ShardStore) -> None:
    ended = replace(CALL, sid=make_call_sid(9, "9" * 22), ended_ms=NOW_MS, started_ms=5)
    failed = replace(ended, sid=make_call_sid(9, "8" * 22), answered_ms=None, started_ms=4)
    stopping = replace(ended, sid=make_call_sid(9, "7" * 22), started_ms=3)
    for call in (OLDER, CALL, stopping):
        write(shards, call)
    for call in (ended, failed):
        write(shards, call, retired=True)
    assert store.calls() == [CALL, OLDER]
    assert store.calls(live_only=False) == [ended, failed, stopping, CALL, OLDER]


def test_call_in_the_list_whose_hash_expired_is_left_out(
    store: Store, redis_server: RedisServer, shards: ShardStore
) -> None:
    redis_server.client.zadd(shards.keys(1).ended, {make_call_sid(1, "1" * 22): 1.0})
    assert store.calls(live_only=False) == []


def test_streams_are_listed_of_one_call_or_all(store: Store, shards: ShardStore) -> None:
    running = stream_in(StreamState.RECORDING)
    over = replace(
        stream_in(StreamState.STOPPED), sid=make_stream_sid(CALL_SID, 2), created_ms=NOW_MS + 1
    )
    elsewhere = replace(running, sid=make_stream_sid(OTHER_SID, 1), call_sid=OTHER_SID)
    write(shards, CALL, running, over)
    write(shards, OLDER, elsewhere)
    assert store.streams(CALL_SID) == [over, running]
    assert store.streams(CALL_SID, live_only=True) == [running]
    assert {stream.sid for stream in store.streams(live_only=True)} == {running.sid, elsewhere.sid}
    assert len(store.streams()) == 3


def test_alerts_of_all_shards_are_merged_newest_first(store: Store, shards: ShardStore) -> None:
    for shard, times in {3: (1, 4), 50: (2, 3)}.items():
        (grant,) = shards.acquire([shard], 1)
        save = Save(shards.keys(shard), grant.epoch)
        for time_ms in times:
            save.alert(
                Alert(
                    sid=f"NO{time_ms}",
                    account_sid="AC",
                    code=1,
                    level=AlertLevel.ERROR,
                    text="x",
                    created_ms=time_ms,
                )
            )
        shards.commit([save])
    assert [alert.created_ms for alert in store.alerts()] == [4, 3, 2, 1]
    assert [alert.created_ms for alert in store.alerts(limit=2)] == [4, 3]


def test_alert_is_given_by_its_sid(store: Store, shards: ShardStore) -> None:
    (grant,) = shards.acquire([3], 1)
    save = Save(shards.keys(3), grant.epoch)
    sids = [f"NO03{number:030x}" for number in range(2)]
    for sid in sids:
        save.alert(
            Alert(
                sid=sid,
                account_sid="AC",
                code=1,
                level=AlertLevel.ERROR,
                text=sid,
                created_ms=1,
            )
        )
    shards.commit([save])
    found = store.alert(sids[0])
    assert found is not None
    assert found.text == sids[0]
    assert store.alert(f"NO04{0:030x}") is None
    for wrong in ("NO", "NO40" + "0" * 30, "CA03" + "0" * 30):
        with pytest.raises(SidError, match="is not a NO sid"):
            store.alert(wrong)


# Operation


def test_leased_shards_are_counted(store: Store, shards: ShardStore) -> None:
    assert store.leased_shards() == 0
    shards.acquire(range(64), 10)
    assert store.leased_shards() == 10


def test_redis_that_is_away_is_named_so(prefix: str) -> None:
    with (
        Store.connect("redis://127.0.0.1:1", prefix, timeout_s=0.2) as store,
        pytest.raises(StoreUnavailable, match="Redis: "),
    ):
        store.calls()
