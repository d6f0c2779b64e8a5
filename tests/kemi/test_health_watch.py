"""SRSs are asked by the owner of their shard, and what they show is stored and told."""

import heapq
import random

import pytest

from siprec.connector import Connector, Srs
from siprec.health import DAY_MS, SrsHealth
from siprec.store import Client, Store
from siprec_kemi.src.health_watch import (
    AGAIN_S,
    AT_ONCE,
    ENDLESS_S,
    LIST_S,
    LIST_SHARE,
    SAVE_MS,
    START_S,
    SWEEP_S,
    Done,
    HealthWatch,
)
from tests.kemi.health_world import KEY_A, POOL, A, B, World, alive, pool_of
from tests.kemi.strict_ksr import StrictKsr


@pytest.fixture(autouse=True)
def _logs(ksr: StrictKsr) -> None:
    """Let the modules log."""


@pytest.fixture
def store(client: Client, prefix: str) -> Store:
    return Store(client, prefix)


# Asking


def test_srs_is_asked_soon_and_then_as_often_as_its_connector_says(store: Store) -> None:
    store.put_connector(POOL)
    world = World(store)
    assert world.answer_next(True) <= START_S
    assert [world.answer_next(True) for _ in range(3)] == pytest.approx([5.0] * 3)


def test_pauses_are_spread_by_a_tenth(store: Store) -> None:
    world = alive(store)
    world.random = random.Random(1).random
    pauses = [world.answer_next(True) for _ in range(200)]
    assert 4.5 <= min(pauses) < 4.6
    assert 5.4 < max(pauses) <= 5.5 + 1e-6


def test_all_srs_of_all_accounts_are_asked(store: Store) -> None:
    store.put_connector(pool_of(A, B))
    store.put_connector(pool_of(A, name="Other"))
    store.put_connector(Connector(account_sid="AC2", name="Pool", srs=(Srs(uri=A),)))
    store.put_connector(pool_of("sip:never", options_s=0, name="Never"))
    world = World(store)
    world.pass_s(START_S)
    assert sorted(world.asked()) == [A, A, A, B]


def test_many_srs_are_asked_a_bounded_number_in_a_turn(store: Store) -> None:
    store.put_connector(pool_of(*(f"sip:{i}" for i in range(AT_ONCE + 7))))
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
    world = alive(store)
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
        on_list=lambda _: None,
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
    world = alive(store)
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
    world = alive(store)
    world.answer_next(False, "no answer")
    assert world.answer_next(True) == pytest.approx(AGAIN_S)
    assert world.answer_next(False, "no answer") == pytest.approx(5.0)
    assert world.changes == []
    assert store.healths()[KEY_A].reachable is True


def test_two_misses_in_a_row_are_unreachable_and_one_answer_is_back(
    store: Store, ksr: StrictKsr
) -> None:
    world = alive(store)
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
    world = alive(store, pool_of(A, options_s=options_s))
    world.random = lambda: 1.0
    world.answer_next(True)
    died_s = world.now_s
    while not world.changes:
        world.until_asked()
        world.now_s += timeout_s
        world.answer(False, "no answer")
    assert world.now_s - died_s <= within_s + 1e-6


def test_suspected_srs_is_asked_at_once(store: Store) -> None:
    world = alive(store)
    world.watch.suspect(POOL, A)
    assert world.until_asked() == 0.0
    # It is being asked already; the other is not ours.
    world.watch.suspect(POOL, A)
    world.watch.suspect(POOL, B)
    world.watch.care()
    assert world.asked() == [A]


# Certificates


def test_certificate_that_ends_soon_is_told_once_a_day(store: Store) -> None:
    store.put_connector(pool_of(A, options_s=3_600))
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
    world = alive(store)
    world.answer_next(False, "expired", world.now_ms)
    world.answer_next(False, "expired", world.now_ms)
    assert (world.expiring, len(world.changes)) == ([], 1)


# What is stored


def test_health_without_news_is_stored_every_ten_seconds(store: Store) -> None:
    world = alive(store)
    stored = []
    for _ in range(6):
        world.answer_next(True)
        stored.append(world.now_ms - store.healths()[KEY_A].checked_ms)
    assert [age_ms < 1 for age_ms in stored] == [False, True] * 3
    assert SAVE_MS == 10_000


def test_text_that_differs_is_stored_at_once(store: Store) -> None:
    world = alive(store)
    world.answer_next(True, "405")
    assert store.healths()[KEY_A].text == "405"
    assert world.changes == []


def test_srs_that_no_connector_names_is_forgotten(store: Store) -> None:
    world = alive(store)
    store.put_connector(pool_of(B))
    world.pass_s(LIST_S)
    assert KEY_A not in store.healths()
    world.pass_s(20)
    assert set(world.asked()) == {B}


def test_answer_of_an_srs_that_was_removed_is_not_stored(store: Store) -> None:
    world = alive(store)
    world.until_asked()
    assert store.delete_connector("AC1", "Pool")
    world.watch.care()
    world.now_s += LIST_S
    world.watch.care()
    world.answer(True, "200")
    assert store.healths() == {}


def test_health_checks_that_are_switched_off_leave_nothing_behind(store: Store) -> None:
    world = alive(store)
    store.put_connector(pool_of(A, options_s=0))
    world.pass_s(LIST_S)
    assert store.healths() == {}


def test_leftovers_of_a_controller_that_died_are_swept(store: Store) -> None:
    world = alive(store)
    store.put_health(SrsHealth(key="AC1 Gone sip:x", reachable=False))
    world.pass_s(SWEEP_S + LIST_S)
    assert store.healths().keys() == {KEY_A}


def test_connector_that_changes_is_asked_soon(store: Store) -> None:
    world = alive(store, pool_of(A, options_s=3_600))
    changed = pool_of(A, options_s=1_800)
    store.put_connector(changed)
    assert world.until_asked() <= LIST_S + START_S
    ((connector, _, _),) = world.questions
    assert connector == changed
    # One that changes while it is asked is asked anew at its next turn.
    again = pool_of(A, options_s=900)
    store.put_connector(again)
    world.pass_s(LIST_S)
    assert len(world.questions) == 1
    world.answer(True, "200")
    assert world.until_asked() == pytest.approx(900)


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
    store.put_connector(pool_of(*(f"sip:{i}" for i in range(30))))
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
