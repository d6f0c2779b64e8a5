"""Commands in a real Redis: prepared, forwarded once, and gone."""

from collections.abc import Iterator

import pytest

from siprec.command_store import GROUP, READER, REQUEST_S, CommandStore
from siprec.commands import VERSION, read_command
from siprec.inbox import from_fields
from siprec.keys import ShardKeys, commands_key, contract_key
from siprec.sids import shard_of_sid
from siprec.store import Client, StoreUnavailable, connect
from tests.control.processes import RedisServer
from tests.siprec.streams import CALL_SID

COMMAND = {"v": "1", "command": "start", "call": CALL_SID}


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Client]:
    connection = connect(redis_server.url)
    yield connection
    connection.close()


@pytest.fixture
def store(client: Client, prefix: str) -> CommandStore:
    store = CommandStore(client, prefix)
    store.prepare()
    return store


def test_prepare_may_happen_again_and_keeps_what_waits(
    store: CommandStore, client: Client, prefix: str
) -> None:
    client.xadd(commands_key(prefix), COMMAND)
    store.prepare()
    assert client.get(contract_key(prefix)) == VERSION
    assert client.xlen(store.key) == 1
    assert [group["name"] for group in client.xinfo_groups(store.key)] == [GROUP]


def test_prepare_over_something_else_says_so(client: Client, prefix: str) -> None:
    client.set(commands_key(prefix), "x")
    with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
        CommandStore(client, prefix).prepare()


def test_command_is_forwarded_once_however_often_it_is_read(
    store: CommandStore, client: Client, prefix: str
) -> None:
    entry_id = client.xadd(store.key, COMMAND)
    client.xreadgroup(GROUP, READER, {store.key: ">"})
    order = read_command(entry_id, COMMAND.items())
    keys = ShardKeys(prefix, shard_of_sid(CALL_SID))
    for _ in range(2):
        store.forward([order], [entry_id])
        ((_, fields),) = client.xrange(keys.inbox)
        assert from_fields(fields) == order.entry
    assert client.xlen(store.key) == 0
    assert client.xpending(store.key, GROUP)["pending"] == 0
    assert 0 < client.ttl(keys.request(entry_id)) <= REQUEST_S


def test_entry_without_an_order_is_forgotten_too(store: CommandStore, client: Client) -> None:
    entry_id = client.xadd(store.key, COMMAND)
    store.forward([], [entry_id])
    assert client.xlen(store.key) == 0
