"""A KSR for modules that import it, and a real redis-server."""

import secrets
import sys
from collections.abc import Iterator

import pytest

from siprec.store import Client, connect
from tests.control.processes import RedisServer
from tests.kemi.strict_ksr import StrictKsr

_KSR = StrictKsr()
# Outside Kamailio there is no such module; the façades import it by name.
sys.modules["KSR"] = _KSR  # type: ignore[assignment]

from tests.kemi.outboxes import OpenOutbox  # noqa: E402


@pytest.fixture
def ksr() -> StrictKsr:
    """Give the KSR that the façades call, as new."""
    _KSR.reset()
    return _KSR


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Give a real redis-server on a unix socket."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Client]:
    """Give a connection of ours to it."""
    connection = connect(redis_server.url)
    yield connection
    connection.close()


@pytest.fixture
def prefix() -> str:
    """Give a key prefix that no other test has."""
    return f"t{secrets.token_hex(4)}:"


@pytest.fixture
def outbox() -> Iterator[OpenOutbox]:
    """Give an outbox."""
    opened = OpenOutbox()
    yield opened
    opened.close()
