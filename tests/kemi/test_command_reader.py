"""The reader of commands against a real Redis: each is forwarded once, whoever dies."""

import selectors
import time
from collections.abc import Iterator

import pytest

from siprec.command_store import GROUP, READER, CommandStore
from siprec.inbox import StopOrdered, from_fields
from siprec.keys import ShardKeys
from siprec.sids import shard_of_sid
from siprec.store import Client, connect
from siprec_kemi.src.command_reader import CommandReader
from tests.control.processes import RedisServer
from tests.kemi.strict_ksr import StrictKsr

STREAM_SID = "SR2a" + "0" * 29 + "1"
SHARD = shard_of_sid(STREAM_SID)
WITHIN_S = 20.0


class Loop:
    """A selector with a reader, as a controller turns it."""

    def __init__(self, url: str, prefix: str) -> None:
        self.selector = selectors.DefaultSelector()
        self._reading = connect(url, encoding_errors="surrogateescape")
        self._writing = connect(url)
        self.store = CommandStore(self._writing, prefix)
        self.reader = CommandReader(self._reading, self.store, self.selector)

    def turn(self) -> None:
        """Take what is there, and care."""
        self.reader.care(is_ours=True)
        for key, _ in self.selector.select(0.05):
            key.data.take()

    def close(self) -> None:
        """End it, as the death of its process would."""
        self.reader.close()
        self._reading.close()
        self._writing.close()
        self.selector.close()


class World:
    """Readers, one after the other, and what they forwarded."""

    def __init__(self, server: RedisServer, client: Client, prefix: str) -> None:
        self._url = server.url
        self._prefix = prefix
        self.client = client
        self.key = CommandStore(client, prefix).key
        self.loops: list[Loop] = []

    def loop(self) -> Loop:
        """Start a reader."""
        self.loops.append(Loop(self._url, self._prefix))
        return self.loops[-1]

    def command(self, name: str) -> str:
        """Command something that is known by its name."""
        fields = {"v": "1", "command": "stop", "call": f"CA{STREAM_SID[2:26]}00000000"}
        return str(self.client.xadd(self.key, {**fields, "name": name}))

    def forwarded(self) -> list[str]:
        """Give the names of what was forwarded."""
        entries = self.client.xrange(ShardKeys(self._prefix, SHARD).inbox)
        orders = [from_fields(fields) for _, fields in entries]
        return [order.name for order in orders if isinstance(order, StopOrdered)]

    def wait_blocked(self, loop: Loop, readers: int) -> None:
        """Let a reader turn until so many wait for something new."""
        deadline_s = time.monotonic() + WITHIN_S
        while self.client.info("clients")["blocked_clients"] != readers:
            assert time.monotonic() < deadline_s
            loop.turn()

    def turn_until(self, loop: Loop, names: list[str]) -> None:
        """Let a reader turn until these were forwarded, and nothing waits."""
        deadline_s = time.monotonic() + WITHIN_S
        while self.forwarded() != names or self.client.xlen(self.key):
            assert time.monotonic() < deadline_s, (self.forwarded(), names)
            loop.turn()


@pytest.fixture
def world(
    redis_server: RedisServer, client: Client, prefix: str, ksr: StrictKsr
) -> Iterator[World]:
    world = World(redis_server, client, prefix)
    yield world
    for loop in world.loops:
        loop.close()


def test_commands_are_forwarded_in_order_and_forgotten(world: World) -> None:
    names = [f"n{n}" for n in range(250)]
    for name in names[:200]:
        world.command(name)
    loop = world.loop()
    world.turn_until(loop, names[:200])
    for name in names[200:]:
        world.command(name)
    world.turn_until(loop, names)
    assert world.client.xpending(world.key, GROUP)["pending"] == 0


def test_command_that_a_dead_reader_left_is_forwarded_by_the_next(world: World) -> None:
    dead = world.loop()
    dead.store.prepare()
    world.command("left")
    world.client.xreadgroup(GROUP, READER, {world.key: ">"})
    world.command("new")
    world.turn_until(world.loop(), ["left", "new"])


def test_command_that_a_dead_reader_had_forwarded_counts_once(world: World) -> None:
    dead = world.loop()
    world.command("half done")
    world.turn_until(dead, ["half done"])
    dead.close()
    world.loops.clear()
    # It died before it could acknowledge.
    again = world.client.xadd(world.key, {"v": "1", "command": "stop", "stream": STREAM_SID})
    world.client.set(ShardKeys(world.key.removesuffix("commands"), SHARD).request(again), "1")
    world.client.xreadgroup(GROUP, READER, {world.key: ">"})
    world.command("next")
    world.turn_until(world.loop(), ["half done", "next"])


def test_command_given_to_a_paused_reader_is_found_by_the_one_that_reads(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siprec_kemi.src.command_reader.REREAD_S", 0.2)
    paused, loop = world.loop(), world.loop()
    world.wait_blocked(paused, 1)
    world.wait_blocked(loop, 2)
    # Who waited first is given it.
    world.command("given to the paused one")
    assert paused.selector.select(WITHIN_S)
    world.turn_until(loop, ["given to the paused one"])
    # It comes back, and forwards what it was given.
    paused.turn()
    assert world.forwarded() == ["given to the paused one"]


def test_command_that_was_deleted_after_it_was_read_is_passed_over(world: World) -> None:
    world.loop().store.prepare()
    gone = world.command("gone")
    world.client.xreadgroup(GROUP, READER, {world.key: ">"})
    world.client.xdel(world.key, gone)
    world.command("there")
    world.turn_until(world.loop(), ["there"])
    assert world.client.xpending(world.key, GROUP)["pending"] == 0


def test_reader_goes_on_after_its_connection_and_its_key_are_gone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siprec_kemi.src.command_reader.RETRY_S", 0.05)
    loop = world.loop()
    world.command("one")
    world.turn_until(loop, ["one"])
    world.client.client_kill_filter(_type="normal", skipme=True)
    world.command("two")
    world.turn_until(loop, ["one", "two"])
    world.client.delete(world.key)
    deadline_s = time.monotonic() + WITHIN_S
    while not world.client.exists(world.key):
        assert time.monotonic() < deadline_s
        loop.turn()
    world.command("three")
    world.turn_until(loop, ["one", "two", "three"])


def test_key_of_another_type_is_waited_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siprec_kemi.src.command_reader.RETRY_S", 0.05)
    world.client.set(world.key, "x")
    loop = world.loop()
    for _ in range(3):
        loop.turn()
        assert loop.reader.next_due_s() is not None
    world.client.delete(world.key)
    world.command("at last")
    world.turn_until(loop, ["at last"])


def test_reader_that_owns_nothing_reads_nothing(world: World) -> None:
    loop = world.loop()
    world.command("mine")
    world.turn_until(loop, ["mine"])
    loop.turn()
    assert loop.reader.next_due_s() is None
    loop.reader.care(is_ours=False)
    assert loop.reader.next_due_s() is not None
    assert not loop.selector.get_map()
    loop.reader.care(is_ours=False)
