"""What checks and calls show of an SRS, and when its circuit opens and closes."""

import pytest

from siprec.connector import Connector, Srs
from siprec.health import (
    DAY_MS,
    EXPIRING_DAYS,
    OPEN_MS,
    TRIAL_MS,
    Circuit,
    Load,
    SrsHealth,
    SrsLoad,
    checked,
    circuit_at,
    failed,
    is_usable,
    is_warning_due,
    key_in,
    knows_living_srs,
    srs_key,
    succeeded,
    try_call,
)

NOW_MS = 1_800_000_000_000
ALIVE = SrsHealth(key="k", reachable=True, since_ms=NOW_MS - 5_000, answered_ms=NOW_MS - 1_000)
IDLE = SrsLoad(key="k")
SRS = Srs(uri="sip:a")


def _opened(at_ms: int = NOW_MS) -> SrsLoad:
    return SrsLoad(key="k", circuit=Circuit.OPEN, failures=3, opened_ms=at_ms, text="503")


def _connector(*srs: Srs) -> Connector:
    return Connector(account_sid="AC1", name="Two words", srs=srs)


def test_key_in_a_connector_is_that_of_account_name_and_uri() -> None:
    assert key_in(_connector(), "sip:a") == srs_key("AC1", "Two words", "sip:a")


# Health checks


def test_checked_first_time_tells_since_when() -> None:
    health = checked(SrsHealth(key="k"), reachable=True, text="200 OK", now_ms=NOW_MS)
    assert health == SrsHealth(
        key="k",
        reachable=True,
        text="200 OK",
        checked_ms=NOW_MS,
        since_ms=NOW_MS,
        answered_ms=NOW_MS,
    )


def test_checked_again_alike_keeps_since_when() -> None:
    health = checked(ALIVE, reachable=True, text="405", now_ms=NOW_MS)
    assert (health.since_ms, health.answered_ms) == (ALIVE.since_ms, NOW_MS)


def test_checked_without_an_answer_keeps_the_time_of_the_last_and_the_certificate() -> None:
    alive = checked(ALIVE, reachable=True, text="", now_ms=NOW_MS, certificate_until_ms=7)
    dead = checked(alive, reachable=False, text="no answer", now_ms=NOW_MS + 9)
    assert (dead.reachable, dead.since_ms, dead.checked_ms) == (False, NOW_MS + 9, NOW_MS + 9)
    assert (dead.answered_ms, dead.certificate_until_ms) == (NOW_MS, 7)


def _with_certificate(at_ms: int, until_ms: int | None) -> SrsHealth:
    return SrsHealth(key="k", reachable=True, checked_ms=at_ms, certificate_until_ms=until_ms)


def test_warning_of_a_certificate_is_due_once_for_each_day_that_is_left() -> None:
    until_ms = NOW_MS + 40 * DAY_MS + 1
    every_ms = DAY_MS // 8
    times = range(NOW_MS, until_ms + DAY_MS, every_ms)
    warned = [
        at_ms
        for at_ms in times
        if is_warning_due(
            _with_certificate(at_ms - every_ms, until_ms), _with_certificate(at_ms, until_ms)
        )
    ]
    assert (until_ms - warned[0]) // DAY_MS == EXPIRING_DAYS - 1
    assert [(until_ms - at_ms) // DAY_MS for at_ms in warned] == list(range(29, -2, -1))


def test_warning_of_a_certificate_not_seen_before_is_due_at_once() -> None:
    soon = _with_certificate(NOW_MS, NOW_MS + DAY_MS // 2)
    assert is_warning_due(_with_certificate(NOW_MS, None), soon)
    assert not is_warning_due(soon, soon)


def test_warning_without_a_certificate_is_not_due() -> None:
    health = _with_certificate(NOW_MS, None)
    assert not is_warning_due(health, health)


# The circuit breaker


def test_failed_opens_the_circuit_at_the_threshold() -> None:
    once = failed(IDLE, "503", NOW_MS, 3)
    twice = failed(once, "503", NOW_MS + 1, 3)
    assert (once.circuit, twice.circuit, twice.failures) == (Circuit.CLOSED, Circuit.CLOSED, 2)
    thrice = failed(twice, "timeout", NOW_MS + 2, 3)
    assert thrice == SrsLoad(
        key="k", circuit=Circuit.OPEN, failures=3, opened_ms=NOW_MS + 2, text="timeout"
    )


def test_failed_while_open_does_not_hold_it_open_for_longer() -> None:
    again = failed(_opened(), "500", NOW_MS + OPEN_MS - 1, 3)
    assert (again.circuit, again.opened_ms, again.failures) == (Circuit.OPEN, NOW_MS, 4)
    assert circuit_at(again, NOW_MS + OPEN_MS) is Circuit.HALF_OPEN


def test_succeeded_forgets_the_failures_and_closes_the_circuit() -> None:
    busy = SrsLoad(key="k", sessions=4, circuit=Circuit.OPEN, failures=3, opened_ms=1, text="x")
    assert succeeded(busy) == SrsLoad(key="k", sessions=4)
    assert failed(succeeded(busy), "503", NOW_MS, 3).circuit is Circuit.CLOSED


@pytest.mark.parametrize(
    ("after_ms", "circuit"), [(OPEN_MS - 1, Circuit.OPEN), (OPEN_MS, Circuit.HALF_OPEN)]
)
def test_open_circuit_is_half_open_after_its_time(after_ms: int, circuit: Circuit) -> None:
    assert circuit_at(_opened(), NOW_MS + after_ms) is circuit


def test_srs_that_comes_back_after_it_opened_makes_it_half_open_at_once() -> None:
    assert circuit_at(_opened(), NOW_MS + 2, back_ms=NOW_MS) is Circuit.OPEN
    assert circuit_at(_opened(), NOW_MS + 2, back_ms=NOW_MS + 1) is Circuit.HALF_OPEN


def test_try_call_closed_lets_all_through() -> None:
    assert try_call(IDLE, NOW_MS) is IDLE


def test_try_call_open_lets_none_through() -> None:
    assert try_call(_opened(), NOW_MS + OPEN_MS - 1) is None


def test_try_call_half_open_lets_one_through_at_a_time() -> None:
    at_ms = NOW_MS + OPEN_MS
    trial = try_call(_opened(), at_ms)
    assert trial is not None
    assert trial.circuit is Circuit.HALF_OPEN
    assert try_call(trial, at_ms + 1) is None
    assert try_call(trial, at_ms + TRIAL_MS - 1) is None
    assert try_call(trial, at_ms + TRIAL_MS) is not None


def test_trial_that_fails_opens_the_circuit_again() -> None:
    at_ms = NOW_MS + OPEN_MS
    trial = try_call(_opened(), at_ms)
    assert trial is not None
    reopened = failed(trial, "503", at_ms + 5, 3)
    assert (reopened.circuit, reopened.opened_ms) == (Circuit.OPEN, at_ms + 5)
    assert try_call(reopened, at_ms + 6) is None


def test_trial_that_succeeds_closes_the_circuit() -> None:
    trial = try_call(_opened(), NOW_MS + 2, back_ms=NOW_MS + 1)
    assert trial is not None
    assert succeeded(trial).circuit is Circuit.CLOSED


# All views together


def test_srs_that_nobody_knows_is_usable() -> None:
    assert is_usable(SRS, None, (), NOW_MS)
    assert is_usable(SRS, SrsHealth(key="k"), (), NOW_MS)


def test_srs_that_is_drained_or_does_not_answer_is_not_usable() -> None:
    dead = checked(ALIVE, reachable=False, text="no answer", now_ms=NOW_MS)
    assert not is_usable(Srs(uri="sip:a", drained=True), ALIVE, (), NOW_MS)
    assert not is_usable(SRS, dead, (), NOW_MS)


def test_srs_with_an_open_circuit_is_usable_while_another_controller_has_it_closed() -> None:
    assert not is_usable(SRS, ALIVE, (_opened(),), NOW_MS)
    assert not is_usable(SRS, None, (_opened(), _opened(NOW_MS - 1)), NOW_MS)
    assert is_usable(SRS, ALIVE, (_opened(), IDLE), NOW_MS)


def test_srs_whose_circuits_are_open_is_usable_when_it_came_back_since() -> None:
    dead = checked(ALIVE, reachable=False, text="no answer", now_ms=NOW_MS)
    back = checked(dead, reachable=True, text="200", now_ms=NOW_MS + 1)
    assert is_usable(SRS, back, (_opened(),), NOW_MS + 2)


def test_srs_that_refuses_recordings_is_not_usable_because_it_answers_checks() -> None:
    still = checked(ALIVE, reachable=True, text="200", now_ms=NOW_MS + 1)
    assert not is_usable(SRS, still, (_opened(),), NOW_MS + 2)


def test_srs_is_full_by_the_sessions_of_all_controllers() -> None:
    srs = Srs(uri="sip:a", max_sessions=5)
    views = [SrsLoad(key="k", sessions=3), SrsLoad(key="k", sessions=1)]
    assert is_usable(srs, ALIVE, views, NOW_MS)
    assert not is_usable(srs, ALIVE, [*views, SrsLoad(key="k", sessions=1)], NOW_MS)


def test_knows_living_srs_by_health_and_loads_of_its_own_connector() -> None:
    connector = _connector(Srs(uri="sip:a"), Srs(uri="sip:b"))
    key_a, key_b = key_in(connector, "sip:a"), key_in(connector, "sip:b")
    dead = {key_a: SrsHealth(key=key_a, reachable=False)}
    assert knows_living_srs(connector, dead, (), NOW_MS)
    view = SrsLoad(key=key_b, circuit=Circuit.OPEN, opened_ms=NOW_MS)
    loads = [Load(controller="c", at_ms=NOW_MS, srs=(view,))]
    assert knows_living_srs(connector, {}, loads, NOW_MS)
    assert not knows_living_srs(connector, dead, loads, NOW_MS)
    assert not knows_living_srs(_connector(), {}, (), NOW_MS)
