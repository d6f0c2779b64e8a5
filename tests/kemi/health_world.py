"""A controller's health checks in a time of their own, for the tests of them."""

from collections.abc import Callable

from siprec.connector import Connector, Srs
from siprec.health import key_in
from siprec.sids import SHARDS
from siprec.store import Store
from siprec_kemi.src.health_watch import Done, HealthWatch

A, B = "sip:a", "sip:b"
POOL = Connector(account_sid="AC1", name="Pool", srs=(Srs(uri=A),), options_s=5)
KEY_A = key_in(POOL, A)
Question = tuple[Connector, str, Done]


def pool_of(*uris: str, options_s: int = 5, name: str = "Pool") -> Connector:
    srs = tuple(Srs(uri=uri) for uri in uris)
    return Connector(account_sid="AC1", name=name, srs=srs, options_s=options_s)


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
            on_list=lambda _: None,
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


def alive(store: Store, connector: Connector = POOL) -> World:
    """Give a world in which the one SRS just answered for the first time."""
    store.put_connector(connector)
    world = World(store)
    world.answer_next(True)
    return world
