"""SRSs are asked by the owner of their shard, and what they show is stored and told."""

import heapq
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from siprec.health import DAY_MS, SrsHealth, key_in
from siprec.keys import health_key
from siprec.model import Connector, Srs
from siprec.sids import SHARDS, shard_of_call_id
from siprec.store import Client, Store
from siprec_kemi.src.health_watch import (
    AGAIN_S,
    AT_ONCE,
    ENDLESS_S,
    LIST_S,
    LIST_SHARE,
    RETRY_S,
    SAVE_MS,
    START_S,
    SWEEP_S,
    Done,
    HealthWatch,
)
from tests.control.processes import RedisServer
from tests.kemi.redis_link import RedisLink
from tests.kemi.strict_ksr import StrictKsr

A, B = "sip:a", "sip:b"
POOL = Connector(account_sid="AC1", name="Pool", srs=(Srs(uri=A),), options_s=5)
KEY_A = key_in(POOL, A)
Question = tuple[Connector, str, Done]


def _pool(*uris: str, options_s: int = 5, name: str = "Pool") -> Connector:
    srs = tuple(Srs(uri=uri) for uri in uris)
    return Connector(account_sid="AC1", name=name, srs=srs, options_s=options_s)


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


class World:
    """A controller's health checks in a time of their own, and what they asked and told.

    Random numbers are all a half, which is no jitter.
    """

    def __init__(self, store: Store, *, now_s: float = 1_000.0) -> None:
        self.now_s = now_s
        self.owned = set(range(SHARDS))
        self.questions: list[Question] = []
        self.changes: list[tuple[str, bool | None, str]] = []
        self.expiring: list[tuple[str, int]] = []
        self.random: Callable[[], float] = lambda: 0.5
        self.watch = HealthWatch(
            store,
            owns=lambda shard: shard in self.owned,
            ask=lambda connector, uri, done: self.questions.append((connector, uri, done)),
            on_change=lambda _, uri, health: self.changes.append(
                (uri, health.reachable, health.text)
            ),
            on_expiring=lambda _, uri, until_ms: self.expiring.append((uri, until_ms)),
            monotonic_s=lambda: self.now_s,
            now_ms=lambda: self.now_ms,
            spread=lambda: self.random(),
        )

    @property
    def now_ms(self) -> int:
        """Give the wall clock."""
        return 1_800_000_000_000 + round(self.now_s * 1_000)

    def pass_s(self, seconds: float) -> None:
        """Let time pass, as the controller does: care at each due time, and at the end."""
        until_s = self.now_s + seconds
        while self.watch.next_due_s() < until_s:
            self.now_s = max(self.now_s, self.watch.next_due_s())
            self.watch.care()
        self.now_s = until_s
        self.watch.care()

    def asked(self) -> list[str]:
        """Give the URIs of questions that nobody answered yet, and forget them."""
        uris = [uri for _, uri, _ in self.questions]
        self.questions.clear()
        return uris

    def answer(self, reachable: bool, text: str, until_ms: int | None = None) -> None:
        """Answer the one question that is open."""
        ((_, _, done),) = self.questions
        self.questions.clear()
        done(reachable, text, until_ms)
        self.watch.care()

    def until_asked(self) -> float:
        """Let time pass until there is a question; give how long that took."""
        started_s = self.now_s
        while not self.questions:
            self.now_s = max(self.now_s, self.watch.next_due_s())
            self.watch.care()
        return self.now_s - started_s

    def answer_next(self, reachable: bool, text: str = "200", until_ms: int | None = None) -> float:
        """Wait for the next question and answer it; give how long it was waited for."""
        waited_s = self.until_asked()
        self.answer(reachable, text, until_ms)
        return waited_s


def _alive(store: Store, connector: Connector = POOL) -> World:
    """Give a world in which the one SRS just answered for the first time."""
    store.put_connector(connector)
    world = World(store)
    world.answer_next(True)
    return world


# Asking


def test_srs_is_asked_soon_and_then_as_often_as_its_connector_says(store: Store) -> None:
    store.put_connector(POOL)
    world = World(store)
    assert world.answer_next(True) <= START_S
    assert [world.answer_next(True) for _ in range(3)] == pytest.approx([5.0] * 3)


def test_pauses_are_spread_by_a_tenth(store: Store) -> None:
    world = _alive(store)
    world.random = random.Random(1).random
    pauses = [world.answer_next(True) for _ in range(200)]
    assert 4.5 <= min(pauses) < 4.6
    assert 5.4 < max(pauses) <= 5.5 + 1e-6


def test_all_srs_of_all_accounts_are_asked(store: Store) -> None:
    store.put_connector(_pool(A, B))
    store.put_connector(_pool(A, name="Other"))
    store.put_connector(Connector(account_sid="AC2", name="Pool", srs=(Srs(uri=A),)))
    store.put_connector(_pool("sip:never", options_s=0, name="Never"))
    world = World(store)
    world.pass_s(START_S)
    assert sorted(world.asked()) == [A, A, A, B]


def test_many_srs_are_asked_a_bounded_number_in_a_turn(store: Store) -> None:
    store.put_connector(_pool(*(f"sip:{i}" for i in range(AT_ONCE + 7))))
    world = World(store)
    world.watch.care()
    world.now_s += START_S
    world.watch.care()
    assert len(world.questions) == AT_ONCE
    assert world.watch.next_due_s() <= world.now_s
    world.watch.care()
    assert len(set(world.asked())) == AT_ONCE + 7


def test_srs_is_not_asked_while_a_question_is_open(store: Store) -> None:
    store.put_connector(POOL)
    world = World(store)
    world.pass_s(ENDLESS_S - 1)
    assert world.asked() == [A]


def test_question_without_an_end_is_a_miss(store: Store) -> None:
    world = _alive(store)
    world.pass_s(5 + ENDLESS_S + AGAIN_S + ENDLESS_S)
    assert world.changes == [(A, False, "the check came to no end")]
    # The answers come after all, too late.
    for _, _, done in world.questions[:2]:
        done(True, "200", None)
    assert len(world.changes) == 1


def test_answer_that_comes_while_asking_counts(store: Store) -> None:
    store.put_connector(POOL)
    world = World(store)
    watch = HealthWatch(
        store,
        owns=lambda _: True,
        ask=lambda _connector, _uri, done: done(False, "no such host", None),
        on_change=lambda _, uri, health: world.changes.append((uri, False, health.text)),
        on_expiring=lambda *_: None,
        monotonic_s=lambda: world.now_s,
        now_ms=lambda: world.now_ms,
    )
    for _ in range(3):
        watch.care()
        world.now_s = watch.next_due_s()
    watch.care()
    assert world.changes == [(A, False, "no such host")]
    assert store.healths()[KEY_A].text == "no such host"


# What is noticed


def test_srs_that_answers_first_is_stored_and_no_change(store: Store) -> None:
    world = _alive(store)
    assert world.changes == []
    assert store.healths() == {
        KEY_A: SrsHealth(
            key=KEY_A,
            reachable=True,
            text="200",
            checked_ms=world.now_ms,
            since_ms=world.now_ms,
            answered_ms=world.now_ms,
        )
    }


def test_one_miss_is_asked_again_after_a_second_and_forgiven(store: Store) -> None:
    world = _alive(store)
    world.answer_next(False, "no answer")
    assert world.answer_next(True) == pytest.approx(AGAIN_S)
    assert world.answer_next(False, "no answer") == pytest.approx(5.0)
    assert world.changes == []
    assert store.healths()[KEY_A].reachable is True


def test_two_misses_in_a_row_are_unreachable_and_one_answer_is_back(
    store: Store, ksr: StrictKsr
) -> None:
    world = _alive(store)
    answered_ms = world.now_ms
    world.answer_next(False, "no answer")
    world.answer_next(False, "refused")
    health = store.healths()[KEY_A]
    assert (health.reachable, health.text, health.since_ms) == (False, "refused", world.now_ms)
    assert health.answered_ms == answered_ms
    assert world.answer_next(False, "refused") == pytest.approx(5.0)
    world.answer_next(True, "405")
    assert world.changes == [(A, False, "refused"), (A, True, "405")]
    assert store.healths()[KEY_A].reachable is True
    texts = [text for _, text in ksr.named("log")]
    assert texts == ["AC1 Pool sip:a: refused\n", "AC1 Pool sip:a: 405\n"]


def test_srs_that_never_answered_is_a_change(store: Store) -> None:
    store.put_connector(POOL)
    world = World(store)
    world.answer_next(False, "no answer")
    assert store.healths() == {}
    world.answer_next(False, "no answer")
    assert world.changes == [(A, False, "no answer")]


@pytest.mark.parametrize(
    ("options_s", "timeout_s", "within_s"),
    [(5, 0.0, 6.5), (30, 0.0, 34.0), (5, 4.0, 14.5), (30, 4.0, 42.0)],
)
def test_dead_srs_is_noticed_in_time(
    store: Store, options_s: int, timeout_s: float, within_s: float
) -> None:
    # One that refuses at once, and one that is silent for as long as a check waits.
    world = _alive(store, _pool(A, options_s=options_s))
    world.random = lambda: 1.0
    world.answer_next(True)
    died_s = world.now_s
    while not world.changes:
        world.until_asked()
        world.now_s += timeout_s
        world.answer(False, "no answer")
    assert world.now_s - died_s <= within_s + 1e-6


def test_suspected_srs_is_asked_at_once(store: Store) -> None:
    world = _alive(store)
    world.watch.suspect(POOL, A)
    assert world.until_asked() == 0.0
    # It is being asked already; the other is not ours.
    world.watch.suspect(POOL, A)
    world.watch.suspect(POOL, B)
    world.watch.care()
    assert world.asked() == [A]


# Certificates


def test_certificate_that_ends_soon_is_told_once_a_day(store: Store) -> None:
    store.put_connector(_pool(A, options_s=3_600))
    world = World(store)
    until_ms = world.now_ms + 32 * DAY_MS
    days_left = []
    for _ in range(4 * 6):
        # Every four hours, without what happens in between.
        world.now_s += 4 * 3_600
        world.answer_next(True, "200", until_ms)
        days_left += [(until_ms - world.now_ms) // DAY_MS for _ in world.expiring]
        assert set(world.expiring) <= {(A, until_ms)}
        world.expiring.clear()
    assert days_left == [29, 28, 27]
    # Nobody repeats it within the day: neither we nor a successor.
    successor = World(store, now_s=world.now_s)
    successor.answer_next(True, "200", until_ms)
    assert successor.expiring == []
    assert store.healths()[KEY_A].certificate_until_ms == until_ms


def test_certificate_of_an_srs_that_does_not_answer_is_not_told(store: Store) -> None:
    world = _alive(store)
    world.answer_next(False, "expired", world.now_ms)
    world.answer_next(False, "expired", world.now_ms)
    assert (world.expiring, len(world.changes)) == ([], 1)


# What is stored


def test_health_without_news_is_stored_every_ten_seconds(store: Store) -> None:
    world = _alive(store)
    stored = []
    for _ in range(6):
        world.answer_next(True)
        stored.append(world.now_ms - store.healths()[KEY_A].checked_ms)
    assert [age_ms < 1 for age_ms in stored] == [False, True] * 3
    assert SAVE_MS == 10_000


def test_text_that_differs_is_stored_at_once(store: Store) -> None:
    world = _alive(store)
    world.answer_next(True, "405")
    assert store.healths()[KEY_A].text == "405"
    assert world.changes == []


def test_srs_that_no_connector_names_is_forgotten(store: Store) -> None:
    world = _alive(store)
    store.put_connector(_pool(B))
    world.pass_s(LIST_S)
    assert KEY_A not in store.healths()
    world.pass_s(20)
    assert set(world.asked()) == {B}


def test_answer_of_an_srs_that_was_removed_is_not_stored(store: Store) -> None:
    world = _alive(store)
    world.until_asked()
    assert store.delete_connector("AC1", "Pool")
    world.watch.care()
    world.now_s += LIST_S
    world.watch.care()
    world.answer(True, "200")
    assert store.healths() == {}


def test_health_checks_that_are_switched_off_leave_nothing_behind(store: Store) -> None:
    world = _alive(store)
    store.put_connector(_pool(A, options_s=0))
    world.pass_s(LIST_S)
    assert store.healths() == {}


def test_leftovers_of_a_controller_that_died_are_swept(store: Store) -> None:
    world = _alive(store)
    store.put_health(SrsHealth(key="AC1 Gone sip:x", reachable=False))
    world.pass_s(SWEEP_S + LIST_S)
    assert store.healths().keys() == {KEY_A}


def test_connector_that_changes_is_asked_soon(store: Store) -> None:
    world = _alive(store, _pool(A, options_s=3_600))
    changed = _pool(A, options_s=1_800)
    store.put_connector(changed)
    assert world.until_asked() <= LIST_S + START_S
    ((connector, _, _),) = world.questions
    assert connector == changed
    # One that changes while it is asked is asked anew at its next turn.
    again = _pool(A, options_s=900)
    store.put_connector(again)
    world.pass_s(LIST_S)
    assert len(world.questions) == 1
    world.answer(True, "200")
    assert world.until_asked() == pytest.approx(900)


# Owners


def test_two_owners_ask_each_srs_once(store: Store) -> None:
    uris = [f"sip:{i}" for i in range(40)]
    connector = _pool(*uris)
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
    world = _alive(store)
    world.answer_next(False, "refused")
    world.answer_next(False, "refused")
    successor = World(store, now_s=world.now_s + 2)
    # Three of the five seconds are left.
    assert successor.answer_next(False, "refused") == pytest.approx(3.0)
    assert successor.changes == []
    successor.answer_next(True)
    assert successor.changes == [(A, True, "200")]


def test_owner_that_lost_its_shard_neither_asks_nor_stores_nor_tells(store: Store) -> None:
    world = _alive(store)
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
    world = _alive(store)
    world.watch.suspect(POOL, A)
    world.owned = set()
    world.watch.care()
    assert world.asked() == []


def test_answer_that_was_not_stored_when_the_shard_was_lost_is_dropped(store: Store) -> None:
    world = _alive(store)
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
    world = _alive(store)
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
    world = _alive(store)
    client.hset(health_key(prefix), "x", "{}")
    world.pass_s(SWEEP_S + LIST_S)
    assert A in world.asked()


class SlowStore(Store):
    """A store with so many connectors that reading them takes a while."""

    world: World
    reads = 0

    def all_connectors(self) -> list[Connector]:
        """Read them, slowly."""
        self.reads += 1
        self.world.now_s += 0.1
        return super().all_connectors()


def test_connectors_that_take_long_to_read_are_read_less_often(client: Client, prefix: str) -> None:
    store = SlowStore(client, prefix)
    store.world = World(store)
    store.world.pass_s(99.0)
    assert LIST_SHARE * 0.1 == 20.0
    assert store.reads == 5


def test_nothing_to_check_is_looked_at_every_two_seconds(store: Store) -> None:
    world = World(store)
    world.watch.care()
    assert world.watch.next_due_s() == world.now_s + LIST_S


def test_checks_of_many_srs_keep_their_pace(store: Store) -> None:
    # Against a peer that answers each after 0.1 s: all in turn, none forgotten.
    store.put_connector(_pool(*(f"sip:{i}" for i in range(30))))
    world = World(store)
    world.random = random.Random(7).random
    counts: dict[str, int] = {}
    replies: list[tuple[float, int, Done]] = []
    for step in range(6_000):
        world.now_s += 0.01
        world.watch.care()
        for _, uri, done in world.questions:
            counts[uri] = counts.get(uri, 0) + 1
            heapq.heappush(replies, (world.now_s + 0.1, len(replies) + step * 1_000, done))
        world.questions.clear()
        while replies and replies[0][0] <= world.now_s:
            heapq.heappop(replies)[2](True, "200", None)
    assert len(counts) == 30
    assert set(counts.values()) <= {11, 12, 13}
