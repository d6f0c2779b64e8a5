"""Pipe, with a real redis-server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from siprec.pipe import Pipe
from siprec.store import Client, connect
from tests.control.processes import RedisServer

pytestmark = pytest.mark.daemon


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    running = RedisServer(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def client(server: RedisServer) -> Iterator[Client]:
    with connect(server.url) as opened:
        yield opened


def test_run_commands_gives_replies_in_order(client: Client) -> None:
    pipe = Pipe(client)

    replies = pipe.run([("SET", "a", "ü"), ("GET", "a"), ("INCRBY", "n", 7), ("GET", "none")])

    assert replies == ["OK", "ü", 7, None]


def test_run_more_than_a_socket_buffer_gives_all_replies(client: Client) -> None:
    commands = [("ECHO", f"{n}{'x' * 2000}") for n in range(500)]

    assert [len(reply) for reply in Pipe(client).run(commands)] == [len(c[1]) for c in commands]


def test_run_refused_command_raises_and_stays_in_step(client: Client) -> None:
    pipe = Pipe(client)
    pipe.run([("SET", "text", "word")])

    with pytest.raises(redis.ResponseError, match="not an integer"):
        pipe.run([("SET", "before", 1), ("INCR", "text"), ("SET", "after", 2)])

    assert pipe.run([("GET", "before"), ("GET", "after")]) == ["1", "2"]


def test_run_after_connection_was_closed_fails_once_then_connects_anew(
    server: RedisServer, client: Client
) -> None:
    pipe = Pipe(client)
    pipe.run([("SET", "kept", 1)])
    server.client.client_kill_filter(_type="normal", skipme=True)

    with pytest.raises(redis.ConnectionError):
        pipe.run([("GET", "kept")])

    assert pipe.run([("GET", "kept")]) == ["1"]
