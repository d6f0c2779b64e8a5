"""Leases, inboxes and saves against a real Redis."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from siprec.alerts import Alert, AlertLevel
from siprec.inbox import CallChanged, Entry, SrsReplied, StopOrdered, from_fields
from siprec.keys import relatives_key
from siprec.kinship import Relative, relative_of
from siprec.model import Call, StreamOrder, StreamState
from siprec.record import RecordError, from_json
from siprec.shard_store import EVENTS_KEPT, LEASE_MS, RELATIVES_KEPT, Grant, Save, ShardStore
from siprec.store import Client, StoreUnavailable, connect
from siprec.stream_events import Callback, StreamEvent, stream_events
from siprec.vault import VARIABLE, Vault
from siprec.verdict import Verdict
from tests.control.processes import RedisServer
from tests.siprec.keyed import KEY, holds_keys, with_keys
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, NOW_MS, STREAM_SID, stream_in

SHARD = 0x2A
CALL = Call(sid=CALL_SID, account_sid=ACCOUNT_SID, sip_call_id="a@b", answered_ms=NOW_MS)
ENDED = replace(CALL, ended_ms=NOW_MS, end_reason="bye")
CHANGED = CallChanged(call_sid=CALL_SID, at_ms=1)


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Client]:
    connection = connect(redis_server.url)
    yield connection
    connection.close()


@pytest.fixture
def first(client: Client, prefix: str) -> ShardStore:
    return ShardStore(client, prefix, "first")


@pytest.fixture
def second(client: Client, prefix: str) -> ShardStore:
    return ShardStore(client, prefix, "second")


def own(store: ShardStore, shard: int = SHARD) -> Save:
    """Take a shard and give an empty save for it."""
    (grant,) = store.acquire([shard], 1)
    return Save(store.keys(shard), grant.epoch)


def lapse(client: Client, store: ShardStore) -> None:
    """Let the lease run out, as it does after LEASE_MS."""
    client.delete(store.keys(SHARD).lease)


# Leases


def test_acquire_takes_what_is_free_up_to_a_number(first: ShardStore, second: ShardStore) -> None:
    assert first.acquire([1, 2, 3], 2) == [Grant(1, 1, "0-0"), Grant(2, 1, "0-0")]
    assert second.acquire([1, 2, 3], 2) == [Grant(3, 1, "0-0")]
    assert second.acquire([1, 2, 3], 2) == []
    assert second.acquire([4], -1) == []


def test_lease_runs_out_by_itself(client: Client, first: ShardStore) -> None:
    own(first)
    assert 0 < client.pttl(first.keys(SHARD).lease) <= LEASE_MS


def test_renew_names_the_shards_that_are_lost(
    client: Client, first: ShardStore, second: ShardStore
) -> None:
    first.acquire([1, SHARD], 2)
    lapse(client, first)
    own(second)
    client.pexpire(first.keys(1).lease, 1_000)
    assert first.renew([1, SHARD]) == [SHARD]
    assert client.pttl(first.keys(1).lease) > 1_000
    assert first.renew([]) == []


def test_release_frees_at_once_and_only_what_is_ours(first: ShardStore, second: ShardStore) -> None:
    own(first)
    second.release([SHARD])
    assert second.acquire([SHARD], 1) == []
    first.release([SHARD])
    assert [grant.epoch for grant in second.acquire([SHARD], 1)] == [2]


def test_attend_names_all_that_live(client: Client, first: ShardStore, second: ShardStore) -> None:
    assert first.attend() == ["first"]
    assert sorted(second.attend()) == ["first", "second"]
    client.zadd(first.keys(0).prefix + "controllers", {"dead": 1})
    assert sorted(first.attend()) == ["first", "second"]


# Saving


def test_save_of_the_owner_is_written_and_loaded(first: ShardStore) -> None:
    save = own(first)
    save.call(CALL)
    stream = stream_in(StreamState.RECORDING)
    save.stream(stream)
    assert first.commit([save]) == []
    assert first.load(SHARD) == [(CALL, [stream])]
    assert first.commit([]) == []


def test_sdp_with_keys_is_saved_sealed_and_loaded(
    client: Client, first: ShardStore, prefix: str, vault: Vault
) -> None:
    sealing = ShardStore(client, prefix, "first", vault)
    stream = with_keys(stream_in(StreamState.RECORDING))
    save = sealing.begin(SHARD, own(first).epoch)
    save.call(CALL)
    save.stream(stream)
    assert sealing.commit([save]) == []
    assert KEY not in client.hget(save.keys.call(CALL_SID), STREAM_SID)
    assert sealing.load(SHARD) == [(CALL, [stream])]


def test_stream_with_keys_is_not_saved_without_a_seal(first: ShardStore) -> None:
    save = own(first)
    with pytest.raises(RecordError, match="holds secrets"):
        save.stream(with_keys(stream_in(StreamState.RECORDING)))
    assert save.words == []


def test_stream_whose_key_is_missing_is_loaded_without_its_sdp(
    client: Client,
    first: ShardStore,
    prefix: str,
    vault: Vault,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    sealing = ShardStore(client, prefix, "first", vault)
    save = sealing.begin(SHARD, own(first).epoch)
    save.call(CALL)
    save.stream(with_keys(stream_in(StreamState.RECORDING)))
    sealing.commit([save])
    ((_, (stream,)),) = first.load(SHARD)
    assert stream.sid == STREAM_SID
    assert not holds_keys(stream)


def test_entry_with_keys_is_appended_sealed(
    client: Client, first: ShardStore, prefix: str, vault: Vault
) -> None:
    body = "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY\r\n"
    reply = SrsReplied(call_id="c", method="INVITE", cseq=1, status=200, body=body)
    ShardStore(client, prefix, "worker", vault).append([(SHARD, reply)])
    ((_, fields),) = client.xrange(first.keys(SHARD).inbox)
    assert "KEY" not in fields["d"]
    assert from_fields(fields, vault.unseal) == reply


def test_save_under_an_old_epoch_is_refused_and_writes_nothing(
    client: Client, first: ShardStore, second: ShardStore
) -> None:
    old = own(first)
    lapse(client, first)
    new = own(second)
    assert new.epoch == old.epoch + 1
    old.call(CALL)
    old.cursor("9-9")
    assert first.commit([old]) == [SHARD]
    assert second.load(SHARD) == []
    assert client.get(old.keys.cursor) is None


def test_save_after_the_lease_ran_out_is_refused(client: Client, first: ShardStore) -> None:
    save = own(first)
    lapse(client, first)
    save.call(CALL)
    assert first.commit([save]) == [SHARD]


def test_save_of_a_shard_lost_and_taken_again_needs_the_new_epoch(
    client: Client, first: ShardStore
) -> None:
    old = own(first)
    lapse(client, first)
    own(first)
    assert first.commit([old]) == [SHARD]


def test_commit_refuses_shard_by_shard(first: ShardStore) -> None:
    good = own(first, 1)
    good.call(CALL)
    bad = Save(first.keys(2), 1)
    assert first.commit([bad, good]) == [2]
    assert first.load(1) == [(CALL, [])]


def test_cursor_is_saved_with_the_state_and_trims_the_inbox(
    client: Client, first: ShardStore, second: ShardStore
) -> None:
    save = own(first)
    first.append([(SHARD, CHANGED)] * 3)
    ids = [entry_id for entry_id, _ in client.xrange(save.keys.inbox)]
    save.cursor(ids[1])
    assert first.commit([save]) == []
    assert [entry_id for entry_id, _ in client.xrange(save.keys.inbox)] == ids[2:]
    first.release([SHARD])
    assert second.acquire([SHARD], 1) == [Grant(SHARD, 2, ids[1])]


def test_cursor_without_a_sequence_trims_up_to_it(client: Client, first: ShardStore) -> None:
    save = own(first)
    for entry_id in ("5-0", "5-1"):
        client.xadd(save.keys.inbox, {"t": "x"}, id=entry_id)
    save.cursor("5")
    assert first.commit([save]) == []
    assert [entry_id for entry_id, _ in client.xrange(save.keys.inbox)] == ["5-1"]


def test_append_keeps_the_order_of_each_shard(client: Client, first: ShardStore) -> None:
    entries: list[Entry] = [CHANGED, StopOrdered(request_id="r", stream_sid=STREAM_SID)]
    first.append([(SHARD, entry) for entry in entries])
    read = client.xrange(first.keys(SHARD).inbox)
    assert [from_fields(fields) for _, fields in read] == entries


def test_retired_call_expires_and_is_live_no_more(client: Client, first: ShardStore) -> None:
    save = own(first)
    save.call(CALL)
    save.stream(stream_in(StreamState.STOPPED))
    save.retire(ENDED, 100)
    assert first.commit([save]) == []
    keys = save.keys
    assert first.load(SHARD) == []
    assert from_json(Call, client.hget(keys.call(CALL_SID), "call")) == ENDED
    assert client.zrange(keys.ended, 0, -1, withscores=True) == [(CALL_SID, NOW_MS)]
    assert all(0 < client.ttl(key) <= 100 for key in (keys.call(CALL_SID), keys.ended))


def test_retire_drops_what_ended_before_the_history(client: Client, first: ShardStore) -> None:
    save = own(first)
    client.zadd(save.keys.ended, {"old": NOW_MS - 100_001, "young": NOW_MS - 99_999})
    save.retire(ENDED, 100)
    first.commit([save])
    assert client.zrange(save.keys.ended, 0, -1) == ["young", CALL_SID]


def test_load_leaves_out_a_live_call_whose_hash_is_gone(client: Client, first: ShardStore) -> None:
    client.sadd(first.keys(SHARD).live, CALL_SID)
    assert first.load(SHARD) == []


def test_alert_and_verdict_are_written_by_the_owner(client: Client, first: ShardStore) -> None:
    save = own(first)
    alert = Alert(
        sid="NO", account_sid="AC", code=1, level=AlertLevel.ERROR, text="x", created_ms=1
    )
    save.alert(alert)
    save.verdict("r", Verdict(accepted=True, text="accepted"))
    assert first.commit([save]) == []
    ((_, fields),) = client.xrange(save.keys.alerts)
    assert from_json(Alert, fields["d"]) == alert
    assert 0 < client.ttl(save.keys.reply("r")) <= 60
    assert '"accepted":true' in client.lpop(save.keys.reply("r"))


def test_what_is_saved_is_told_to_all_and_callbacks_where_they_are_wanted(
    client: Client, first: ShardStore
) -> None:
    save = own(first)
    save.call(CALL)
    (event,) = stream_events(
        CALL, stream_in(StreamState.STOPPING), stream_in(StreamState.STOPPED), 1
    )
    save.event(event, StreamOrder())
    save.event(event, StreamOrder(status_callback="https://a.example/"))
    save.retire(ENDED, 100)
    alert = Alert(
        sid="NO", account_sid="AC", code=1, level=AlertLevel.ERROR, text="x", created_ms=1
    )
    save.alert(alert)
    assert first.commit([save]) == []
    told = [(fields["t"], fields["d"]) for _, fields in client.xrange(save.keys.events)]
    assert [kind for kind, _ in told] == [
        *("call", "siprec-stopped", "siprec-stopped", "call", "alert")
    ]
    assert [from_json(Call, told[at][1]) for at in (0, 3)] == [CALL, ENDED]
    assert from_json(StreamEvent, told[1][1]) == event
    assert from_json(Alert, told[4][1]) == alert
    ((_, fields),) = client.xrange(save.keys.callbacks)
    assert from_json(Callback, fields["d"]) == Callback(
        event=event, url="https://a.example/", connector_name="Default"
    )


def test_what_is_told_is_bounded(client: Client, first: ShardStore) -> None:
    save = own(first)
    for _ in range(EVENTS_KEPT + 300):
        save.call(CALL)
    assert first.commit([save]) == []
    assert EVENTS_KEPT <= client.xlen(save.keys.events) < EVENTS_KEPT + 200


def test_redis_that_is_away_is_named_so(prefix: str) -> None:
    client = connect("redis://127.0.0.1:1", timeout_s=0.2)
    store = ShardStore(client, prefix, "x")
    with pytest.raises(StoreUnavailable, match="Redis: "):
        store.attend()
    with pytest.raises(StoreUnavailable):
        store.acquire([1], 1)
    client.close()


# Relatives


def relatives(count: int, until_ms: int) -> list[tuple[str, Relative]]:
    """Give so many calls of one name."""
    relative = relative_of(CALL, until_ms)
    return [("dialog:x", replace(relative, sid=f"CA{n}")) for n in range(count)]


@pytest.fixture
def now_ms(client: Client) -> int:
    """Give the time of the Redis at hand."""
    seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def test_relatives_are_found_by_all_until_their_time(
    client: Client, first: ShardStore, second: ShardStore, prefix: str, now_ms: int
) -> None:
    ((name, long),) = relatives(1, now_ms + 500_000)
    short = replace(long, sid="CAshort", until_ms=now_ms + 200_000)
    first.put_relatives([(name, long), (name, short)], now_ms)
    assert sorted(second.relatives(name, now_ms), key=lambda each: each.sid) == [long, short]
    assert second.relatives(name, now_ms + 200_000) == [long]
    assert second.relatives("dialog:y", now_ms) == []
    # The short one has not shortened the life of the key.
    assert 200 < client.ttl(relatives_key(prefix, name)) <= 500


def test_relatives_whose_time_is_over_make_room(
    client: Client, first: ShardStore, prefix: str, now_ms: int
) -> None:
    first.put_relatives(relatives(1, now_ms + 200_000), now_ms)
    ((name, other),) = relatives(1, now_ms + 500_000)
    first.put_relatives([(name, replace(other, sid="CAother"))], now_ms + 300_000)
    assert client.hkeys(relatives_key(prefix, name)) == ["CAother"]


def test_relatives_of_one_name_are_bounded(first: ShardStore, now_ms: int) -> None:
    first.put_relatives(relatives(RELATIVES_KEPT + 3, now_ms + 200_000), now_ms)
    found = first.relatives("dialog:x", now_ms)
    assert {each.sid for each in found} == {f"CA{n}" for n in range(RELATIVES_KEPT)}
    # One of them may still be told anew.
    first.put_relatives(relatives(1, now_ms + 400_000), now_ms)
    assert max(each.until_ms for each in first.relatives("dialog:x", now_ms)) == now_ms + 400_000


def test_relatives_without_redis_are_unavailable() -> None:
    away = ShardStore(connect("unix:///nowhere"), "p:", "one")
    with pytest.raises(StoreUnavailable):
        away.put_relatives(relatives(1, 1), 0)
    with pytest.raises(StoreUnavailable):
        away.relatives("dialog:x", 0)
