"""A Redis of its own for each test, a controller's store over it, and a web server."""

from collections.abc import Iterator

import pytest

from siprec.shard_store import ShardStore
from siprec.store import Client, connect
from tests.control.callbacks.receiver import Receiver
from tests.control.callbacks.working import PREFIX
from tests.control.processes import RedisServer


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Give a real redis-server."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def client(redis: RedisServer) -> Iterator[Client]:
    """Give a client of that Redis."""
    connection = connect(redis.url)
    yield connection
    connection.close()


@pytest.fixture
def shards(client: Client) -> ShardStore:
    """Give the store as a controller has it."""
    return ShardStore(client, PREFIX, "controller")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Give a web server that takes callbacks."""
    with Receiver() as started:
        yield started
