"""Who checks an SRS when shards change hands, and what becomes of it while Redis is away."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from siprec.health import SrsHealth, key_in
from siprec.keys import health_key
from siprec.sids import SHARDS, shard_of_call_id
from siprec.store import Client, Store
from siprec_kemi.src.health_watch import LIST_S, RETRY_S, START_S, SWEEP_S
from tests.control.processes import RedisServer
from tests.kemi.health_world import KEY_A, POOL, A, World, alive, pool_of
from tests.kemi.redis_link import RedisLink
from tests.kemi.strict_ksr import StrictKsr


@pytest.fixture(autouse=True)
def _logs(ksr: StrictKsr) -> None:
    """Let the modules log."""


@pytest.fixture
def store(client: Client, prefix: str) -> Store:
    return Store(client, prefix)


@pytest.fixture
def link(redis_server: RedisServer, tmp_path: Path) -> Iterator[RedisLink]:
    opened = RedisLink(redis_server.url, tmp_path)
    yield opened
    opened.close()


# Owners


def test_two_owners_ask_each_srs_once(store: Store) -> None:
    uris = [f"sip:{i}" for i in range(40)]
    connector = pool_of(*uris)
    store.put_connector(connector)
    one, two = World(store), World(store)
    one.owned, two.owned = set(range(20)), set(range(20, SHARDS))
    for world in (one, two):
        world.pass_s(START_S)
    asked_by_one, asked_by_two = one.asked(), two.asked()
    assert sorted(asked_by_one + asked_by_two) == sorted(uris)
    assert {shard_of_call_id(key_in(connector, uri)) for uri in asked_by_one} <= one.owned
    assert asked_by_one
    assert asked_by_two
    # What the other checks is not for us to forget.
    for uri in uris:
        store.put_health(SrsHealth(key=key_in(connector, uri), reachable=True))
    one.pass_s(SWEEP_S + LIST_S)
    assert len(store.healths()) == len(uris)


def test_new_owner_goes_on_with_what_is_stored(store: Store) -> None:
    world = alive(store)
    world.answer_next(False, "refused")
    world.answer_next(False, "refused")
    successor = World(store, now_s=world.now_s + 2)
    # Three of the five seconds are left.
    assert successor.answer_next(False, "refused") == pytest.approx(3.0)
    assert successor.changes == []
    successor.answer_next(True)
    assert successor.changes == [(A, True, "200")]


def test_owner_that_lost_its_shard_neither_asks_nor_stores_nor_tells(store: Store) -> None:
    world = alive(store)
    before = store.healths()
    world.answer_next(False, "no answer")
    world.until_asked()
    world.owned = set()
    world.answer(False, "no answer")
    world.pass_s(1.0)
    assert (world.asked(), world.changes, store.healths()) == ([], [], before)
    world.owned = set(range(SHARDS))
    world.answer_next(True, "405")
    assert store.healths()[KEY_A].checked_ms == world.now_ms


def test_shard_that_is_lost_between_two_looks_is_not_asked(store: Store) -> None:
    world = alive(store)
    world.watch.suspect(POOL, A)
    world.owned = set()
    world.watch.care()
    assert world.asked() == []


def test_answer_that_was_not_stored_when_the_shard_was_lost_is_dropped(store: Store) -> None:
    world = alive(store)
    before = store.healths()
    world.until_asked()
    ((_, _, done),) = world.questions
    done(True, "405", None)
    world.owned = set()
    world.watch.care()
    assert store.healths() == before


# Without Redis


def test_without_redis_checks_go_on_and_are_stored_later(
    link: RedisLink, prefix: str, ksr: StrictKsr
) -> None:
    store = Store(link.client, prefix)
    world = alive(store)
    link.cut()
    world.answer_next(False, "refused")
    world.answer_next(False, "refused")
    assert world.changes == [(A, False, "refused")]
    link.mend()
    assert store.healths()[KEY_A].reachable is True
    world.pass_s(RETRY_S)
    assert store.healths()[KEY_A].reachable is False
    texts = [str(text) for _, text in ksr.named("log")]
    assert [text for text in texts if "cannot read the connectors" in text] != []


def test_store_that_is_away_is_told_once(link: RedisLink, prefix: str, ksr: StrictKsr) -> None:
    link.cut()
    world = World(Store(link.client, prefix))
    world.pass_s(10 * LIST_S)
    (text,) = [str(text) for _, text in ksr.named("log")]
    assert text.startswith("health checks: cannot read the connectors: Redis: ")


def test_health_that_cannot_be_read_leaves_the_checks_as_they_are(
    store: Store, client: Client, prefix: str
) -> None:
    world = alive(store)
    client.hset(health_key(prefix), "x", "{}")
    world.pass_s(SWEEP_S + LIST_S)
    assert A in world.asked()
