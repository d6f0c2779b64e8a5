"""A redis-server for all tests of this folder; a prefix and a vault of its own for each."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from siprec.vault import Vault, new_key
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


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """Give a vault with one key."""
    file = tmp_path / "secret.key"
    file.touch(mode=0o600)
    file.write_text(new_key().text)
    return Vault(file)
