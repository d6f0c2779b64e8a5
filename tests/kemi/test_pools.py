"""Controllers share SRSs: exactly, within capacity, and away from those that fail."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from siprec.connector import Connector, Delivery, Srs
from siprec.health import (
    OPEN_MS,
    Circuit,
    Load,
    SrsHealth,
    SrsLoad,
    key_in,
)
from siprec.keys import health_key
from siprec.store import Client, Store
from siprec_kemi.src.pools import FORGET_MS, READ_MS, REFRESH_MS, WRITE_MS, Pools
from tests.control.processes import RedisServer
from tests.kemi.redis_link import RedisLink
from tests.kemi.strict_ksr import StrictKsr

NOW_MS = 1_800_000_000_000
A, B = "sip:a", "sip:b"


def _connector(*srs: Srs, delivery: Delivery = Delivery.FAILOVER) -> Connector:
    return Connector(
        account_sid="AC1", name="Pool", srs=srs or (Srs(uri=A), Srs(uri=B)), delivery=delivery
    )


POOL = _connector()
KEY_A, KEY_B = key_in(POOL, A), key_in(POOL, B)
SPARE = _connector(Srs(uri=A), Srs(uri=B, priority=2))


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


class Node:
    """A controller's pools, and its live sessions by SRS."""

    def __init__(self, store: Store, name: str = "one") -> None:
        self.sessions: dict[str, int] = {}
        self.pools = Pools(store, name, lambda: self.sessions)

    def open_circuit(self, uri: str, now_ms: int) -> None:
        """Let an SRS fail as often as is borne."""
        opened = [self.pools.failed(POOL, uri, "503 Busy", now_ms) for _ in range(POOL.failures)]
        assert opened == [False, False, True]


def _texts(ksr: StrictKsr) -> list[str]:
    return [str(text) for _, text in ksr.named("log")]


# Whose turn it is


def test_candidates_of_two_nodes_share_calls_out_exactly(store: Store) -> None:
    pool = _connector(Srs(uri=A, weight=5), Srs(uri=B, weight=3), Srs(uri="sip:c", weight=2))
    nodes = [Node(store, "one"), Node(store, "two")]
    # Two calls come to one, then one to the other.
    firsts = Counter(nodes[i % 3 // 2].pools.candidates(pool, NOW_MS)[0] for i in range(1_000))
    assert firsts == {A: 500, B: 300, "sip:c": 200}


def test_candidates_with_one_srs_in_the_first_group_count_no_turn(
    store: Store, client: Client, prefix: str
) -> None:
    parallel = _connector(Srs(uri=A), Srs(uri=B), delivery=Delivery.PARALLEL)
    node = Node(store)
    for connector in (SPARE, parallel):
        assert node.pools.candidates(connector, NOW_MS) == (A, B)
    assert store.next_turn("AC1", "Pool") == 1


def test_candidates_leave_out_what_other_controllers_filled(store: Store) -> None:
    pool = _connector(Srs(uri=A, max_sessions=5), Srs(uri=B, priority=2))
    node = Node(store)
    store.put_load(Load(controller="two", at_ms=NOW_MS, srs=(SrsLoad(key=KEY_A, sessions=3),)))
    node.sessions = {KEY_A: 1}
    assert node.pools.candidates(pool, NOW_MS) == (A, B)
    # Our own sessions count at once.
    node.sessions = {KEY_A: 2}
    assert node.pools.candidates(pool, NOW_MS) == (B,)


def test_own_load_in_redis_is_not_counted_twice(store: Store) -> None:
    pool = _connector(Srs(uri=A, max_sessions=3))
    node = Node(store)
    node.sessions = {KEY_A: 2}
    node.pools.care(NOW_MS)
    assert node.pools.candidates(pool, NOW_MS + READ_MS) == (A,)


def test_candidates_know_of_a_dead_srs_after_a_second(store: Store) -> None:
    node = Node(store)
    assert node.pools.candidates(SPARE, NOW_MS) == (A, B)
    store.put_health(SrsHealth(key=KEY_A, reachable=False))
    assert node.pools.candidates(SPARE, NOW_MS + READ_MS - 1) == (A, B)
    assert node.pools.candidates(SPARE, NOW_MS + READ_MS) == (B, A)


# Circuits


def test_srs_that_fails_comes_last_until_its_trial(store: Store) -> None:
    node = Node(store)
    node.open_circuit(A, NOW_MS)
    for _ in range(4):
        assert node.pools.candidates(POOL, NOW_MS + OPEN_MS - 1) == (B, A)
    later_ms = NOW_MS + OPEN_MS
    orders = [node.pools.candidates(POOL, later_ms) for _ in range(8)]
    # One trial at its turn; all others go to the other.
    assert Counter(order[0] for order in orders) == {A: 1, B: 7}


def test_trial_that_succeeds_closes_the_circuit(store: Store, ksr: StrictKsr) -> None:
    node = Node(store)
    node.open_circuit(A, NOW_MS)
    later_ms = NOW_MS + OPEN_MS
    assert node.pools.candidates(SPARE, later_ms) == (A, B)
    assert node.pools.candidates(SPARE, later_ms) == (B, A)
    node.pools.succeeded(SPARE, A)
    assert [node.pools.candidates(SPARE, later_ms) for _ in range(2)] == [(A, B)] * 2
    assert _texts(ksr) == [
        "AC1 Pool sip:a: circuit open after 3 failures: 503 Busy\n",
        "AC1 Pool sip:a: circuit closed\n",
    ]


def test_trial_that_fails_opens_the_circuit_again(store: Store) -> None:
    node = Node(store)
    node.open_circuit(A, NOW_MS)
    later_ms = NOW_MS + OPEN_MS
    assert node.pools.candidates(SPARE, later_ms) == (A, B)
    assert node.pools.failed(SPARE, A, "timeout", later_ms)
    assert not node.pools.failed(SPARE, A, "a late one", later_ms + 1)
    assert node.pools.candidates(SPARE, later_ms + OPEN_MS - 1) == (B, A)


def test_srs_that_comes_back_is_tried_at_once(store: Store) -> None:
    node = Node(store)
    node.open_circuit(A, NOW_MS)
    store.put_health(SrsHealth(key=KEY_A, reachable=True, since_ms=NOW_MS + 1))
    assert node.pools.candidates(SPARE, NOW_MS + 2) == (A, B)
    assert node.pools.candidates(SPARE, NOW_MS + 2) == (B, A)


def test_parallel_connector_tries_each_half_open_srs_once(store: Store) -> None:
    pool = _connector(Srs(uri=A), Srs(uri=B), Srs(uri="sip:c"), delivery=Delivery.PARALLEL)
    node = Node(store)
    for uri in (A, B):
        node.open_circuit(uri, NOW_MS)
    assert node.pools.candidates(pool, NOW_MS + 1) == ("sip:c",)
    later_ms = NOW_MS + OPEN_MS
    assert node.pools.candidates(pool, later_ms) == (A, B, "sip:c")
    assert node.pools.candidates(pool, later_ms) == ("sip:c",)


def test_success_forgets_the_failures_before(store: Store) -> None:
    node = Node(store)
    for _ in range(5):
        assert not node.pools.failed(POOL, A, "503", NOW_MS)
        assert not node.pools.failed(POOL, A, "503", NOW_MS)
        node.pools.succeeded(POOL, A)
    node.pools.succeeded(POOL, B)


def test_open_circuit_is_heeded_by_a_controller_that_did_not_call(store: Store) -> None:
    one, two = Node(store), Node(store, "two")
    one.open_circuit(A, NOW_MS)
    one.pools.care(NOW_MS)
    assert two.pools.candidates(SPARE, NOW_MS) == (B, A)
    # It works for somebody: others may call it.
    two.sessions = {KEY_A: 1}
    assert two.pools.candidates(SPARE, NOW_MS) == (A, B)
    assert one.pools.candidates(SPARE, NOW_MS) == (B, A)


# What is told to others


def test_care_writes_the_load_when_it_changed_once_a_second_at_most(store: Store) -> None:
    node = Node(store)
    node.pools.care(NOW_MS)
    assert store.loads(NOW_MS) == []
    node.sessions = {KEY_A: 1, KEY_B: 0}
    node.pools.care(NOW_MS + WRITE_MS - 1)
    assert store.loads(NOW_MS) == []
    node.pools.care(NOW_MS + WRITE_MS)
    view = SrsLoad(key=KEY_A, sessions=1)
    at_ms = NOW_MS + WRITE_MS
    assert store.loads(at_ms) == [Load(controller="one", at_ms=at_ms, srs=(view,))]


def test_care_writes_again_while_there_are_sessions(store: Store) -> None:
    node = Node(store)
    node.sessions = {KEY_A: 1}
    for at_ms in range(NOW_MS, NOW_MS + 20_000, 250):
        node.pools.care(at_ms)
        (load,) = store.loads(at_ms)
        assert at_ms - load.at_ms < REFRESH_MS
    node.sessions = {}
    node.pools.care(NOW_MS + 20_000)
    (load,) = store.loads(NOW_MS + 20_000)
    assert load == Load(controller="one", at_ms=NOW_MS + 20_000)
    node.pools.care(NOW_MS + 30_000)
    assert store.loads(NOW_MS + 30_000) == []


def test_care_tells_of_circuits_and_forgets_them_in_the_end(store: Store) -> None:
    node = Node(store)
    node.open_circuit(A, NOW_MS)
    node.pools.care(NOW_MS)
    (load,) = store.loads(NOW_MS)
    assert [(v.circuit, v.text) for v in load.srs] == [(Circuit.OPEN, "503 Busy")]
    node.pools.care(NOW_MS + FORGET_MS)
    (load,) = store.loads(NOW_MS + FORGET_MS)
    assert load.srs == ()


def test_survey_counts_the_sessions_of_all_controllers(store: Store) -> None:
    one, two = Node(store), Node(store, "two")
    two.sessions = {KEY_A: 2, KEY_B: 1}
    two.pools.care(NOW_MS)
    one.sessions = {KEY_A: 3}
    assert one.pools.survey(NOW_MS) == {KEY_A: 5, KEY_B: 1}


def test_lost_names_dead_srs_that_have_sessions_of_ours(store: Store) -> None:
    node = Node(store)
    dead = SrsHealth(key=KEY_A, reachable=False, since_ms=NOW_MS)
    node.sessions = {KEY_A: 1, KEY_B: 1, "not known": 1, "none left": 0}
    node.pools.care(NOW_MS)
    assert node.pools.lost() == ()
    for health in (dead, SrsHealth(key=KEY_B, reachable=True)):
        store.put_health(health)
    store.put_health(SrsHealth(key="none left", reachable=False))
    node.pools.care(NOW_MS + WRITE_MS)
    assert node.pools.lost() == (dead,)
    node.sessions = {KEY_B: 1}
    assert node.pools.lost() == ()


# Without Redis


def test_without_redis_what_is_known_stays_in_force(
    link: RedisLink, prefix: str, ksr: StrictKsr
) -> None:
    store = Store(link.client, prefix)
    pool = _connector(Srs(uri=A), Srs(uri=B), Srs(uri="sip:c"))
    node = Node(store)
    store.put_health(SrsHealth(key=KEY_A, reachable=False))
    assert node.pools.candidates(pool, NOW_MS)[2] == A
    link.cut()
    node.sessions = {KEY_B: 1}
    orders = []
    for at_ms in range(NOW_MS + READ_MS, NOW_MS + 10_000, 500):
        orders.append(node.pools.candidates(pool, at_ms))
        node.pools.care(at_ms)
    assert {order[2] for order in orders} == {A}
    assert Counter(order[0] for order in orders) == {B: 9, "sip:c": 9}
    (text,) = _texts(ksr)
    assert text.startswith("pools: going on with what is known: Redis: ")
    link.mend()
    node.pools.care(NOW_MS + 20_000)
    (load,) = store.loads(NOW_MS + 20_000)
    assert load.srs == (SrsLoad(key=KEY_B, sessions=1),)


def test_turn_without_redis_is_counted_here(link: RedisLink, prefix: str) -> None:
    store = Store(link.client, prefix)
    node = Node(store)
    before = [node.pools.candidates(POOL, NOW_MS)[0] for _ in range(3)]
    link.cut()
    after = [node.pools.candidates(POOL, NOW_MS)[0] for _ in range(3)]
    assert before + after == [B, A, B, A, B, A]


def test_load_that_could_not_be_written_is_written_later(link: RedisLink, prefix: str) -> None:
    store = Store(link.client, prefix)
    node = Node(store)
    node.sessions = {KEY_A: 1}
    assert node.pools.survey(NOW_MS) == {KEY_A: 1}
    link.cut()
    node.pools.care(NOW_MS + 1)
    link.mend()
    assert store.loads(NOW_MS) == []
    node.pools.care(NOW_MS + 1 + WRITE_MS)
    assert [load.controller for load in store.loads(NOW_MS + WRITE_MS)] == ["one"]


def test_record_that_cannot_be_read_is_told_once_and_stops_nothing(
    store: Store, client: Client, prefix: str, ksr: StrictKsr
) -> None:
    client.hset(health_key(prefix), KEY_A, "{}")
    node = Node(store)
    node.sessions = {KEY_A: 1}
    for at_ms in (NOW_MS, NOW_MS + READ_MS):
        assert len(node.pools.candidates(POOL, at_ms)) == 2
        node.pools.care(at_ms)
    assert len(store.loads(NOW_MS)) == 1
    assert store.next_turn("AC1", "Pool") == 3
    assert _texts(ksr) == ["pools: what others know cannot be read: key: is missing\n"]
