"""How each SRS of a connector is: what health checks and calls have shown. Pure.

One controller checks an SRS with OPTIONS and writes `SrsHealth`; each controller counts its own
sessions and failures toward it, and writes `Load`. docs/redis.md tells where.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from siprec.connector import Connector, Srs

OPEN_MS = 30_000
# A trial without an outcome by then (its caller hung up, say) is not waited for.
TRIAL_MS = 30_000
DAY_MS = 86_400_000
EXPIRING_DAYS = 30


class Circuit(StrEnum):
    """Whether calls go to an SRS: closed yes, open no, half-open one at a time as a trial."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsHealth:
    """What the last health checks of an SRS showed. `reachable` None: not checked yet.

    `key` is `srs_key`. `since_ms` is when `reachable` last changed, `answered_ms` when the SRS
    last answered anything. `certificate_until_ms` is when its certificate expires (TLS only).
    """

    key: str
    reachable: bool | None = None
    text: str = ""
    checked_ms: int = 0
    since_ms: int = 0
    answered_ms: int = 0
    certificate_until_ms: int | None = None

    @property
    def back_ms(self) -> int:
        """Give since when the SRS answers; 0 when it does not, or nobody knows."""
        return self.since_ms if self.reachable else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsLoad:
    """One controller's own view of an SRS: live sessions, and the circuit breaker.

    `failures` counts calls in a row, `text` is why the last failed. `opened_ms` is when the
    circuit opened, or, of a half-open one, when its trial call began.
    """

    key: str
    sessions: int = 0
    circuit: Circuit = Circuit.CLOSED
    failures: int = 0
    opened_ms: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """All views of a controller, written once a second while they change."""

    controller: str
    at_ms: int
    srs: tuple[SrsLoad, ...] = ()


def srs_key(account_sid: str, connector_name: str, srs_uri: str) -> str:
    """Name an SRS of a connector; connectors do not share health, for their profiles differ."""
    return f"{account_sid} {connector_name} {srs_uri}"


def key_in(connector: Connector, srs_uri: str) -> str:
    """Give `srs_key` of an SRS of that connector."""
    return srs_key(connector.account_sid, connector.name, srs_uri)


# Health checks


def checked(
    health: SrsHealth,
    *,
    reachable: bool,
    text: str,
    now_ms: int,
    certificate_until_ms: int | None = None,
) -> SrsHealth:
    """Give the health after one more check. A certificate that was seen stays known."""
    has_changed = reachable is not health.reachable
    return replace(
        health,
        reachable=reachable,
        text=text,
        checked_ms=now_ms,
        since_ms=now_ms if has_changed else health.since_ms,
        answered_ms=now_ms if reachable else health.answered_ms,
        certificate_until_ms=certificate_until_ms or health.certificate_until_ms,
    )


def is_warning_due(before: SrsHealth, after: SrsHealth) -> bool:
    """Tell whether to warn, after a check, of a certificate that ends within EXPIRING_DAYS.

    Once for each day that is left: the check before, by whichever controller, tells the day.
    """
    until_ms = after.certificate_until_ms
    if until_ms is None or until_ms - after.checked_ms >= EXPIRING_DAYS * DAY_MS:
        return False
    days_before = (until_ms - before.checked_ms) // DAY_MS
    days_left = (until_ms - after.checked_ms) // DAY_MS
    return until_ms != before.certificate_until_ms or days_left != days_before


# The circuit breaker of one controller for one SRS


def circuit_at(load: SrsLoad, now_ms: int, back_ms: int = 0) -> Circuit:
    """Give the circuit as it is now: an open one is half-open after OPEN_MS.

    So it is when the SRS came back (`SrsHealth.back_ms`) after it had opened. That one which
    refuses recordings answers health checks all the time says nothing.
    """
    if load.circuit is not Circuit.OPEN:
        return load.circuit
    is_over = now_ms - load.opened_ms >= OPEN_MS or back_ms > load.opened_ms
    return Circuit.HALF_OPEN if is_over else Circuit.OPEN


def failed(load: SrsLoad, text: str, now_ms: int, threshold: int, back_ms: int = 0) -> SrsLoad:
    """Count a call that the SRS failed; open the circuit at `threshold`, or after a trial.

    A failure while it is open is a last resort that failed: it does not hold it open for longer.
    """
    circuit = circuit_at(load, now_ms, back_ms)
    failures = load.failures + 1
    if circuit is Circuit.OPEN:
        return replace(load, failures=failures, text=text)
    if circuit is Circuit.HALF_OPEN or failures >= threshold:
        return replace(load, circuit=Circuit.OPEN, failures=failures, opened_ms=now_ms, text=text)
    return replace(load, failures=failures, text=text)


def succeeded(load: SrsLoad) -> SrsLoad:
    """Close the circuit: the SRS took a call."""
    return replace(load, circuit=Circuit.CLOSED, failures=0, opened_ms=0, text="")


def try_call(load: SrsLoad, now_ms: int, back_ms: int = 0) -> SrsLoad | None:
    """Give the load with one call more on its way; None when the circuit lets none through.

    A half-open circuit lets one through, and the next when that one neither succeeded nor
    failed within TRIAL_MS.
    """
    if load.circuit is Circuit.CLOSED:
        return load
    if load.circuit is Circuit.HALF_OPEN:
        is_underway = now_ms - load.opened_ms < TRIAL_MS
    else:
        is_underway = circuit_at(load, now_ms, back_ms) is Circuit.OPEN
    if is_underway:
        return None
    return replace(load, circuit=Circuit.HALF_OPEN, opened_ms=now_ms)


# All views together


def views_by_srs(loads: Iterable[Load]) -> dict[str, list[SrsLoad]]:
    """Sort the views of all controllers by the key of the SRS."""
    views: dict[str, list[SrsLoad]] = {}
    for load in loads:
        for view in load.srs:
            views.setdefault(view.key, []).append(view)
    return views


def has_room(srs: Srs, views: Iterable[SrsLoad]) -> bool:
    """Tell whether the sessions of all controllers leave room for one more."""
    return srs.max_sessions is None or sum(v.sessions for v in views) < srs.max_sessions


def is_alive(health: SrsHealth | None, views: Collection[SrsLoad], now_ms: int) -> bool:
    """Tell whether nothing says that the SRS is dead; one that nobody knows counts as alive."""
    if health is not None and health.reachable is False:
        return False
    back_ms = health.back_ms if health is not None else 0
    circuits = [circuit_at(view, now_ms, back_ms) for view in views]
    return not circuits or any(circuit is not Circuit.OPEN for circuit in circuits)


def is_usable(srs: Srs, health: SrsHealth | None, views: Collection[SrsLoad], now_ms: int) -> bool:
    """Tell whether the SRS may get the next call: it is alive, has room, and is not drained.

    `views` are those of all controllers that wrote one lately, of this SRS.
    """
    return not srs.drained and has_room(srs, views) and is_alive(health, views, now_ms)


def knows_living_srs(
    connector: Connector,
    healths: Mapping[str, SrsHealth],
    loads: Iterable[Load],
    now_ms: int,
) -> bool:
    """Tell the proxy role whether some SRS of the connector would take one more call.

    By what is known: an SRS that nobody has asked or called yet counts as alive.
    """
    views = views_by_srs(loads)
    keys = ((srs, key_in(connector, srs.uri)) for srs in connector.srs)
    return any(is_usable(s, healths.get(k), views.get(k, ()), now_ms) for s, k in keys)
