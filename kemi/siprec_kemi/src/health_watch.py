"""Health checks: the SRSs whose shard a controller owns are asked, and what they show is stored.

One controller checks an SRS, for all of them. That one miss may be an accident, a second question
follows at once; two misses in a row are the end of it.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from siprec.connector import Connector
from siprec.health import SrsHealth, checked, is_warning_due, key_in
from siprec.record import RecordError
from siprec.sids import shard_of_call_id
from siprec.store import Store, StoreUnavailable
from siprec_kemi import clock, ksr

# The connectors are read as often, unless that takes more than a 200th of the time:
# measured 13 µs each without secrets.
LIST_S = 2.0
LIST_SHARE = 200
SWEEP_S = 30.0
RETRY_S = 2.0
SAVE_MS = 10_000
# The first questions, to SRSs of which nothing is known, are spread over so long.
START_S = 1.0
JITTER = 0.1
AGAIN_S = 1.0
MISSES = 2
# Names, profile and connection of a check may take 13 s together.
ENDLESS_S = 20.0
AT_ONCE = 50

Done = Callable[[bool, str, int | None], None]
Ask = Callable[[Connector, str, Done], None]


@dataclass(slots=True)
class _Watched:
    """An SRS that this controller checks. `question` is the number of the one that is open."""

    connector: Connector
    uri: str
    health: SrsHealth
    due_s: float
    misses: int = 0
    question: int | None = None
    saved_ms: int = 0
    is_unsaved: bool = False


class HealthWatch:
    """Checks SRSs, each every `Connector.options_s`.

    `owns` tells whether a shard is surely ours now. `ask(connector, srs_uri, done)` sends
    OPTIONS and calls `done(reachable, text, certificate_until_ms)` once, at once or later.
    `on_change(connector, srs_uri, health)` is called when an SRS began or ceased to answer, in
    the one controller that checks it; `on_expiring(connector, srs_uri, until_ms)` once a day
    when its certificate ends soon. `on_list` gets all connectors as they are read. `spread` gives
    a random number from 0 to 1.
    """

    def __init__(
        self,
        store: Store,
        *,
        owns: Callable[[int], bool],
        ask: Ask,
        on_change: Callable[[Connector, str, SrsHealth], None],
        on_expiring: Callable[[Connector, str, int], None],
        on_list: Callable[[Iterable[Connector]], None],
        monotonic_s: Callable[[], float] = clock.monotonic_s,
        now_ms: Callable[[], int] = clock.now_ms,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._owns = owns
        self._ask = ask
        self._on_change = on_change
        self._on_expiring = on_expiring
        self._on_list = on_list
        self._monotonic_s = monotonic_s
        self._now_ms = now_ms
        self._spread = spread
        self._watched: dict[str, _Watched] = {}
        self._questions = 0
        self._due_s = self._list_s = self._sweep_s = self._retry_s = 0.0
        self._complaint = ""

    def next_due_s(self) -> float:
        """Tell when `care` has something to do, on the monotonic clock."""
        return self._due_s

    def suspect(self, connector: Connector, srs_uri: str) -> None:
        """Ask an SRS at once, for a call has shown that it may be dead. Only its owner does."""
        watched = self._watched.get(key_in(connector, srs_uri))
        if watched is not None and watched.question is None:
            self._plan(watched, self._monotonic_s())

    def care(self) -> None:
        """Ask those whose turn has come, and store what was answered. Called each turn."""
        now_s = self._monotonic_s()
        if now_s < self._due_s:
            return
        if now_s >= self._list_s:
            self._look(now_s)
        due = [watched for watched in self._watched.values() if watched.due_s <= now_s]
        for watched in sorted(due, key=lambda watched: watched.due_s)[:AT_ONCE]:
            self._check(watched, now_s)
        self._save(now_s)
        dues = [watched.due_s for watched in self._watched.values()]
        if any(watched.is_unsaved for watched in self._watched.values()):
            dues.append(self._retry_s)
        self._due_s = min(dues, default=self._list_s)
        self._due_s = min(self._due_s, self._list_s)

    # Which

    def _look(self, now_s: float) -> None:
        """Read which SRSs there are; go on with those that are known when Redis is away."""
        try:
            connectors = self._store.all_connectors()
            took_s = self._monotonic_s() - now_s
            self._list_s = now_s + max(LIST_S, LIST_SHARE * took_s)
            self._watch(connectors, now_s)
            self._on_list(connectors)
            self._complaint = ""
        except (StoreUnavailable, RecordError) as error:
            self._list_s = now_s + LIST_S
            self._complain(f"cannot read the connectors: {error}")

    def _watch(self, connectors: Iterable[Connector], now_s: float) -> None:
        wanted: dict[str, tuple[Connector, str]] = {}
        for connector in connectors:
            for srs in connector.srs:
                key = key_in(connector, srs.uri)
                if connector.options_s and self._owns(shard_of_call_id(key)):
                    wanted[key] = (connector, srs.uri)
        if now_s >= self._sweep_s or wanted.keys() != self._watched.keys():
            stored = self._store.healths()
            self._forget(stored.keys() - wanted.keys())
            self._sweep_s = now_s + SWEEP_S
            self._watched = {
                key: self._watched.get(key) or self._begin(connector, uri, stored, now_s)
                for key, (connector, uri) in wanted.items()
            }
        for key, (connector, _) in wanted.items():
            self._renew(self._watched[key], connector, now_s)

    def _forget(self, keys: Iterable[str]) -> None:
        """Forget SRSs that are not checked any more; what others check is theirs."""
        self._store.forget_health(key for key in keys if self._owns(shard_of_call_id(key)))

    def _begin(
        self, connector: Connector, uri: str, stored: Mapping[str, SrsHealth], now_s: float
    ) -> _Watched:
        """Go on with what another controller, or we before a restart, found out."""
        key = key_in(connector, uri)
        health = stored.get(key) or SrsHealth(key=key)
        due_s = now_s + self._spread() * START_S
        if health.reachable is not None:
            age_s = (self._now_ms() - health.checked_ms) / 1000
            due_s = max(due_s, now_s + min(self._pause_s(connector) - age_s, connector.options_s))
        saved_ms = health.checked_ms
        return _Watched(connector=connector, uri=uri, health=health, due_s=due_s, saved_ms=saved_ms)

    def _renew(self, watched: _Watched, connector: Connector, now_s: float) -> None:
        """Ask soon when the connector has changed: another certificate may have mended it."""
        if watched.connector == connector:
            return
        watched.connector = connector
        if watched.question is None:
            watched.due_s = min(watched.due_s, now_s + self._spread() * START_S)

    # Questions and answers

    def _check(self, watched: _Watched, now_s: float) -> None:
        key = watched.health.key
        if not self._owns(shard_of_call_id(key)):
            watched.due_s = now_s + RETRY_S
            return
        if watched.question is not None:
            self._answered(key, watched.question, False, "the check came to no end", None)
            return
        self._questions += 1
        question = watched.question = self._questions
        watched.due_s = now_s + ENDLESS_S

        def done(reachable: bool, text: str, certificate_until_ms: int | None) -> None:
            self._answered(key, question, reachable, text, certificate_until_ms)

        self._ask(watched.connector, watched.uri, done)

    def _answered(
        self, key: str, question: int, reachable: bool, text: str, until_ms: int | None
    ) -> None:
        watched = self._watched.get(key)
        if watched is None or watched.question != question:
            return
        watched.question = None
        now_s = self._monotonic_s()
        if not self._owns(shard_of_call_id(key)):
            self._plan(watched, now_s + RETRY_S)
            return
        watched.misses = 0 if reachable else watched.misses + 1
        if not reachable and watched.misses < MISSES and watched.health.reachable is not False:
            self._plan(watched, now_s + AGAIN_S)
            return
        self._plan(watched, now_s + self._pause_s(watched.connector))
        self._note(
            watched,
            checked(
                watched.health,
                reachable=reachable,
                text=text,
                now_ms=self._now_ms(),
                certificate_until_ms=until_ms,
            ),
        )

    def _note(self, watched: _Watched, health: SrsHealth) -> None:
        before, watched.health = watched.health, health
        is_expiring = health.reachable is True and is_warning_due(before, health)
        has_turned = before.reachable is not health.reachable
        is_news = (
            has_turned
            or is_expiring
            or (before.text, before.certificate_until_ms)
            != (health.text, health.certificate_until_ms)
        )
        if is_news or health.checked_ms - watched.saved_ms >= SAVE_MS:
            watched.is_unsaved = True
            self._due_s = 0.0
        # That an SRS answers which nobody asked before is no change.
        if has_turned and (before.reachable is not None or not health.reachable):
            ksr.log("info" if health.reachable else "warning", f"{health.key}: {health.text}")
            self._on_change(watched.connector, watched.uri, health)
        if is_expiring and health.certificate_until_ms is not None:
            self._on_expiring(watched.connector, watched.uri, health.certificate_until_ms)

    def _pause_s(self, connector: Connector) -> float:
        return connector.options_s * (1 + JITTER * (2 * self._spread() - 1))

    def _plan(self, watched: _Watched, due_s: float) -> None:
        watched.due_s = due_s
        self._due_s = min(self._due_s, due_s)

    # Redis

    def _save(self, now_s: float) -> None:
        if now_s < self._retry_s:
            return
        try:
            for watched in self._watched.values():
                if watched.is_unsaved and self._owns(shard_of_call_id(watched.health.key)):
                    self._store.put_health(watched.health)
                    watched.saved_ms = watched.health.checked_ms
                    self._complaint = ""
                watched.is_unsaved = False
        except StoreUnavailable as error:
            self._retry_s = now_s + RETRY_S
            self._complain(f"cannot store the health of recorders: {error}")

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            self._complaint = text
            ksr.log("warning", f"health checks: {text}")
