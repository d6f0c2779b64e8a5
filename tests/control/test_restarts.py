"""Back-off and the end after three deaths."""

from hypothesis import given
from hypothesis import strategies as st

from siprec_control.restarts import BACKOFF_S, MAX_DEATHS, WINDOW_S, Restarts


def test_third_death_within_a_minute_gives_up() -> None:
    restarts = Restarts()
    assert restarts.died(0.0, 1.0) == 0.2
    assert restarts.died(30.0, 29.0) == 0.5
    assert restarts.died(59.0, 28.0) is None


def test_back_off_grows_while_lives_are_short_and_ends_at_5_s() -> None:
    restarts = Restarts()
    waits = [restarts.died(40.0 * n, 40.0) for n in range(7)]
    assert waits == [0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0]


def test_a_minute_of_life_starts_the_back_off_anew() -> None:
    restarts = Restarts()
    restarts.died(0.0, 0.1)
    restarts.died(40.0, 39.0)
    assert restarts.died(140.0, 99.0) == BACKOFF_S[0]


@given(st.lists(st.floats(0.01, 100.0), max_size=40))
def test_gives_up_exactly_when_three_deaths_are_within_a_minute(lives_s: list[float]) -> None:
    restarts, now_s, deaths = Restarts(), 0.0, list[float]()
    for lived_s in lives_s:
        now_s += lived_s
        deaths.append(now_s)
        recent = [at for at in deaths if now_s - at < WINDOW_S]
        assert (restarts.died(now_s, lived_s) is None) == (len(recent) >= MAX_DEATHS)


def test_one_that_is_patient_never_gives_up_and_waits_longer() -> None:
    restarts = Restarts(patient=True)
    assert [restarts.died(n / 10, 0.1) for n in range(7)] == [0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0]
