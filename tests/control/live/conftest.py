"""A Redis of its own for each test, and documents in it."""

from collections.abc import Iterator

import pytest

from siprec.document_store import DocumentStore
from siprec.store import Client, connect
from tests.control.processes import RedisServer

PREFIX = "t:"


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
def store(client: Client) -> DocumentStore:
    """Give the documents in it."""
    return DocumentStore(client, PREFIX)
