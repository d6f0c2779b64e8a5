"""The inbox reader against a real Redis: one outstanding read that a selector can watch."""

import selectors
from collections.abc import Iterator

import pytest

from siprec.inbox import CallChanged, to_fields
from siprec.shard_store import ShardStore
from siprec.store import Client, StoreUnavailable, connect
from siprec_kemi.src.inbox_reader import COUNT, InboxReader
from tests.control.processes import RedisServer

ENTRY = CallChanged(call_sid="CA1", at_ms=1)


@pytest.fixture
def shards(client: Client, prefix: str) -> ShardStore:
    return ShardStore(client, prefix, "proxy")


@pytest.fixture
def reader(redis_server: RedisServer, prefix: str) -> Iterator[InboxReader]:
    client = connect(redis_server.url)
    opened = InboxReader(client, prefix)
    yield opened
    opened.close()
    client.close()


def wait(reader: InboxReader) -> None:
    """Wait until the socket of the reader can be read."""
    with selectors.DefaultSelector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        assert selector.select(10.0)


def test_entry_appended_while_the_read_waits_is_taken(
    reader: InboxReader, shards: ShardStore
) -> None:
    reader.after = {1: "0-0", 2: "0-0"}
    reader.ask()
    assert reader.is_connected
    assert reader.is_reading
    shards.append([(2, ENTRY)])
    wait(reader)
    ((shard, entry_id, fields),) = reader.take()
    assert (shard, fields) == (2, to_fields(ENTRY))
    assert entry_id > "0-0"
    assert not reader.is_reading


def test_entries_come_after_the_cursor_and_in_order(
    reader: InboxReader, shards: ShardStore, client: Client
) -> None:
    shards.append([(1, ENTRY)] * 3 + [(2, ENTRY)])
    ids = [entry_id for entry_id, _ in client.xrange(shards.keys(1).inbox)]
    reader.after = {1: ids[0], 2: "0-0"}
    reader.ask()
    wait(reader)
    items = reader.take()
    assert [entry_id for shard, entry_id, _ in items if shard == 1] == ids[1:]
    assert len([shard for shard, _, _ in items if shard == 2]) == 1


def test_read_takes_no_more_than_a_bound(reader: InboxReader, shards: ShardStore) -> None:
    shards.append([(1, ENTRY)] * (COUNT + 1))
    reader.after = {1: "0-0"}
    reader.ask()
    wait(reader)
    assert len(reader.take()) == COUNT


def test_read_that_finds_nothing_gives_nothing_and_can_be_asked_again(
    reader: InboxReader,
) -> None:
    reader.after = {1: "0-0"}
    for _ in range(2):
        reader.ask()
        wait(reader)
        assert reader.take() == []


def test_shard_that_was_lost_while_the_read_waited_is_read_from_where_it_begins_now(
    reader: InboxReader, shards: ShardStore
) -> None:
    reader.after = {1: "5-0", 2: "0-0", 3: "0-0"}
    reader.ask()
    del reader.after[2]
    reader.after[1] = "0-0"
    shards.append([(1, ENTRY), (2, ENTRY), (3, ENTRY)])
    found: list[int] = []
    while 1 not in found:
        wait(reader)
        found += [shard for shard, _, _ in reader.take()]
        reader.after.pop(3, None)
        reader.ask()
    assert set(found) <= {1, 3}


def test_ask_without_shards_or_while_reading_does_nothing(reader: InboxReader) -> None:
    reader.ask()
    assert not reader.is_connected
    reader.after = {1: "0-0"}
    reader.ask()
    descriptor = reader.fileno()
    reader.ask()
    assert reader.fileno() == descriptor


def test_reader_reads_on_after_its_connection_broke(
    reader: InboxReader, shards: ShardStore, client: Client
) -> None:
    reader.after = {1: "0-0"}
    reader.ask()
    client.client_kill_filter(_type="normal", skipme=True)
    wait(reader)
    with pytest.raises(StoreUnavailable):
        reader.take()
    reader.close()
    reader.close()
    assert not reader.is_connected
    shards.append([(1, ENTRY)])
    reader.ask()
    wait(reader)
    assert len(reader.take()) == 1


def test_reader_without_redis_says_so(prefix: str) -> None:
    client = connect("redis://127.0.0.1:1", timeout_s=0.2)
    reader = InboxReader(client, prefix)
    reader.after = {1: "0-0"}
    with pytest.raises(StoreUnavailable):
        reader.ask()
    assert not reader.is_reading
    client.close()
