"""A redis-server for all tests of this folder, a prefix of its own for each."""

import secrets
from collections.abc import Iterator

import pytest

from tests.control.processes import RedisServer


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Give a real redis-server on a unix socket."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def prefix() -> str:
    """Give a key prefix that no other test has."""
    return f"t{secrets.token_hex(4)}:"
