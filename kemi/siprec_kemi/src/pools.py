"""Which SRS gets the next call, as one controller sees it: its own circuits, and the others' load.

What others know is read from Redis at most once a second, so a call costs a read of Redis at
most where several SRSs share the first place: their turn is counted over all nodes.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from siprec.balance import rank
from siprec.connector import Connector, Delivery
from siprec.health import (
    Circuit,
    Load,
    SrsHealth,
    SrsLoad,
    failed,
    key_in,
    succeeded,
    try_call,
    views_by_srs,
)
from siprec.record import RecordError
from siprec.store import Store, StoreUnavailable
from siprec_kemi import ksr

READ_MS = 1_000
WRITE_MS = 1_000
# siprec.store takes a load for fresh for 5 s.
REFRESH_MS = 2_000
# An SRS that nobody called for so long starts anew; the circuit has long been half-open.
FORGET_MS = 600_000


class Pools:
    """The SRSs of all connectors, for one controller. Nothing here raises when Redis is away.

    `sessions_of` gives the live sessions of this controller by `srs_key`, from the first INVITE
    to the end; it is asked for each call, so it must be cheap.
    """

    def __init__(
        self, store: Store, controller_name: str, sessions_of: Callable[[], Mapping[str, int]]
    ) -> None:
        self._store = store
        self._name = controller_name
        self._sessions_of = sessions_of
        self._circuits: dict[str, SrsLoad] = {}
        self._failed_ms: dict[str, int] = {}
        self._healths: Mapping[str, SrsHealth] = {}
        self._others: Mapping[str, list[SrsLoad]] = {}
        self._turns: dict[tuple[str, str], int] = {}
        self._tried_ms = 0
        self._cared_ms = 0
        self._written = Load(controller=controller_name, at_ms=0)
        self._is_away = False
        self._complaint = ""

    # Calls

    def candidates(self, connector: Connector, now_ms: int) -> tuple[str, ...]:
        """Give the SRS URIs for the next stream, best first; all to be used when parallel.

        The caller reports what became of each that it tried: `failed` or `succeeded`. Where a
        circuit is half-open, the first of them is its trial.
        """
        self._read(now_ms)
        shunned = {
            srs.uri for srs in connector.srs if self._try(connector, srs.uri, now_ms) is None
        }
        ranking = rank(connector, self._healths, self._views(connector), now_ms, shunned)
        order = ranking.order(self._turn(connector, is_exact=ranking.needs_turn, now_ms=now_ms))
        used = order if connector.delivery is Delivery.PARALLEL else order[:1]
        for uri in used:
            trial = self._try(connector, uri, now_ms)
            if trial is not None and trial.circuit is Circuit.HALF_OPEN:
                self._circuits[trial.key] = trial
        return order

    def failed(self, connector: Connector, uri: str, text: str, now_ms: int) -> bool:
        """Count a call that an SRS failed; tell whether that opened its circuit."""
        before = self._circuit(key_in(connector, uri))
        after = failed(before, text, now_ms, connector.failures, self._back_ms(before.key))
        self._circuits[after.key] = after
        self._failed_ms[after.key] = now_ms
        was_open = before.circuit is Circuit.OPEN and before.opened_ms == after.opened_ms
        is_opened = after.circuit is Circuit.OPEN and not was_open
        if is_opened:
            ksr.log("warning", f"{after.key}: circuit open after {after.failures} failures: {text}")
        return is_opened

    def succeeded(self, connector: Connector, uri: str) -> None:
        """Note that an SRS took a call."""
        before = self._circuits.get(key_in(connector, uri))
        if before is None:
            return
        # That ours is closed counts for controllers whose circuit is open.
        self._circuits[before.key] = succeeded(before)
        if before.circuit is not Circuit.CLOSED:
            ksr.log("info", f"{before.key}: circuit closed")

    # Time

    def care(self, now_ms: int) -> None:
        """Tell the others our load when it changed, and what they do not know any more.

        Called each turn; does something once a second at most.
        """
        if abs(now_ms - self._cared_ms) < WRITE_MS:
            return
        self._cared_ms = now_ms
        self._forget(now_ms)
        load = self._load(now_ms)
        if load.srs or self._is_away:
            # Sessions on an SRS that somebody found dead are to be saved: see `lost`.
            self._read(now_ms)
        is_old = bool(load.srs) and abs(now_ms - self._written.at_ms) >= REFRESH_MS
        if not self._is_away and (is_old or load.srs != self._written.srs):
            self._write(load)

    def lost(self) -> tuple[SrsHealth, ...]:
        """Give the SRSs that have sessions of ours and do not answer, whoever checked them.

        As of the last `care`, without I/O. What began before `since_ms` is to fail over; a
        session that began later did so as a last resort, and says itself how it is.
        """
        sessions = self._sessions_of()
        known = (self._healths.get(key) for key, count in sessions.items() if count)
        return tuple(health for health in known if health is not None and health.reachable is False)

    def survey(self, now_ms: int) -> dict[str, int]:
        """Count the live sessions of each SRS over all controllers, ours as of now."""
        self._read(now_ms)
        ours = {key: count for key, count in self._sessions_of().items() if count}
        return {
            key: ours.get(key, 0) + sum(view.sessions for view in self._others.get(key, ()))
            for key in ours.keys() | self._others.keys()
        }

    # Our own view

    def _circuit(self, key: str) -> SrsLoad:
        return self._circuits.get(key) or SrsLoad(key=key)

    def _try(self, connector: Connector, uri: str, now_ms: int) -> SrsLoad | None:
        key = key_in(connector, uri)
        return try_call(self._circuit(key), now_ms, self._back_ms(key))

    def _back_ms(self, key: str) -> int:
        health = self._healths.get(key)
        return health.back_ms if health is not None else 0

    def _views(self, connector: Connector) -> dict[str, list[SrsLoad]]:
        """Give what all controllers know of the SRSs of a connector, ours as of now."""
        sessions = self._sessions_of()
        views: dict[str, list[SrsLoad]] = {}
        for key in (key_in(connector, srs.uri) for srs in connector.srs):
            views[key] = list(self._others.get(key, ()))
            if key in self._circuits or sessions.get(key):
                views[key].append(replace(self._circuit(key), sessions=sessions.get(key, 0)))
        return views

    def _load(self, now_ms: int) -> Load:
        sessions = {key: count for key, count in self._sessions_of().items() if count}
        views = (
            replace(self._circuit(key), sessions=sessions.get(key, 0))
            for key in sorted(sessions.keys() | self._circuits.keys())
        )
        return Load(controller=self._name, at_ms=now_ms, srs=tuple(views))

    def _forget(self, now_ms: int) -> None:
        old = [key for key, at_ms in self._failed_ms.items() if abs(now_ms - at_ms) >= FORGET_MS]
        for key in old:
            del self._failed_ms[key]
            self._circuits.pop(key, None)

    # Redis

    def _turn(self, connector: Connector, *, is_exact: bool, now_ms: int) -> int:
        name = (connector.account_sid, connector.name)
        turn = self._turns.get(name, 0) + 1
        if is_exact and not self._is_away:
            try:
                turn = self._store.next_turn(*name)
            except StoreUnavailable as error:
                self._miss(error, now_ms)
        self._turns[name] = turn
        return turn

    def _read(self, now_ms: int) -> None:
        if abs(now_ms - self._tried_ms) < READ_MS:
            return
        self._tried_ms = now_ms
        try:
            healths, loads = self._store.healths(), self._store.loads(now_ms)
        except StoreUnavailable as error:
            self._miss(error, now_ms)
            return
        except RecordError as error:
            self._is_away = False
            self._complain(f"what others know cannot be read: {error}")
            return
        self._healths = healths
        self._others = views_by_srs(load for load in loads if load.controller != self._name)
        self._is_away, self._complaint = False, ""

    def _write(self, load: Load) -> None:
        try:
            self._store.put_load(load)
        except StoreUnavailable as error:
            self._miss(error, load.at_ms)
        else:
            self._written = load

    def _miss(self, error: Exception, now_ms: int) -> None:
        """Go on with what is known, and do not wait for Redis again for a second."""
        self._tried_ms = now_ms
        self._is_away = True
        self._complain(f"going on with what is known: {error}")

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            self._complaint = text
            ksr.log("warning", f"pools: {text}")
