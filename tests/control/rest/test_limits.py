"""Buckets: a burst, then so many a second, for each name apart. No I/O."""

import pytest

from siprec_control.rest.limits import Buckets


def test_burst_passes_and_what_follows_waits() -> None:
    buckets = Buckets(2, 3)
    assert [buckets.take("a", 100.0) for _ in range(3)] == [0.0] * 3
    assert buckets.take("a", 100.0) == pytest.approx(0.5)
    assert buckets.take("a", 100.25) == pytest.approx(0.25)
    assert buckets.take("a", 100.5) == 0.0


def test_names_do_not_share() -> None:
    buckets = Buckets(1, 1)
    assert buckets.take("a", 0.0) == 0.0
    assert buckets.take("b", 0.0) == 0.0
    assert buckets.take("a", 0.0) > 0


def test_pause_fills_a_bucket_to_its_burst_only() -> None:
    buckets = Buckets(1, 2)
    buckets.take("a", 0.0)
    assert [buckets.take("a", 1e6) > 0 for _ in range(3)] == [False, False, True]


def test_names_are_forgotten_in_the_order_of_their_last_request() -> None:
    buckets = Buckets(1, 1, kept=2)
    for name in ("a", "b", "a", "c"):
        buckets.take(name, 0.0)
    assert buckets.take("a", 0.0) > 0
    assert buckets.take("b", 0.0) == 0.0
