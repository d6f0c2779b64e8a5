"""Which SRS gets the next call: exactly by weight, the living before the dead."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.balance import order_candidates, rank
from siprec.connector import Connector, Delivery, Srs
from siprec.health import Circuit, Load, SrsHealth, SrsLoad, is_usable, key_in

NOW_MS = 1_800_000_000_000


def _connector(*srs: Srs, delivery: Delivery = Delivery.FAILOVER) -> Connector:
    return Connector(account_sid="AC1", name="Pool", srs=srs, delivery=delivery)


def _of_weights(*weights: int) -> Connector:
    return _connector(*(Srs(uri=f"sip:{i}", weight=w) for i, w in enumerate(weights)))


def _firsts(connector: Connector, turns: range) -> list[str]:
    return [order_candidates(connector, {}, (), turn, NOW_MS)[0] for turn in turns]


def _dead(connector: Connector, *uris: str) -> dict[str, SrsHealth]:
    keys = (key_in(connector, uri) for uri in uris)
    return {key: SrsHealth(key=key, reachable=False) for key in keys}


def test_weights_over_a_thousand_turns_are_exact() -> None:
    for start in (0, 1, 7, 123_456_789):
        firsts = Counter(_firsts(_of_weights(5, 3, 2), range(start, start + 1_000)))
        assert firsts == {"sip:0": 500, "sip:1": 300, "sip:2": 200}


def test_weights_with_a_common_divisor_have_the_short_period() -> None:
    assert _firsts(_of_weights(500, 300, 200), range(40)) == _firsts(
        _of_weights(5, 3, 2), range(40)
    )


def test_heavy_srs_does_not_get_its_share_in_one_piece() -> None:
    # The example that made this algorithm known: 5:1:1.
    firsts = "".join(uri[-1] for uri in _firsts(_of_weights(5, 1, 1), range(7)))
    assert firsts == "0010200"


@pytest.mark.parametrize("weights", [(5, 3, 2), (1, 1, 1, 1), (7, 1), (9, 5, 4, 3, 1)])
def test_shares_in_any_window_are_less_than_two_calls_off(weights: tuple[int, ...]) -> None:
    total = sum(weights)
    firsts = _firsts(_of_weights(*weights), range(2 * total))
    for start in range(total):
        for length in range(1, total + 1):
            window = Counter(firsts[start : start + length])
            for i, weight in enumerate(weights):
                off = window[f"sip:{i}"] - Fraction(length * weight, total)
                assert abs(off) < 2


def test_others_of_a_group_come_in_the_order_of_their_next_turns() -> None:
    connector = _of_weights(5, 3, 2)
    firsts = _firsts(connector, range(20))
    for turn in range(10):
        coming = list(dict.fromkeys(firsts[turn:]))
        assert list(order_candidates(connector, {}, (), turn, NOW_MS)) == coming


def test_weights_without_the_dead_are_exact_among_the_living() -> None:
    connector = _of_weights(1, 1, 1)
    healths = _dead(connector, "sip:0")
    orders = [order_candidates(connector, healths, (), turn, NOW_MS) for turn in range(1_000)]
    assert Counter(order[0] for order in orders) == {"sip:1": 500, "sip:2": 500}
    assert {order[2] for order in orders} == {"sip:0"}


def test_groups_come_by_priority_and_the_dead_after_all() -> None:
    connector = _connector(
        Srs(uri="sip:spare", priority=9),
        Srs(uri="sip:first"),
        Srs(uri="sip:second", priority=2),
    )
    order = order_candidates(connector, {}, (), 5, NOW_MS)
    assert order == ("sip:first", "sip:second", "sip:spare")
    healths = _dead(connector, "sip:first", "sip:spare")
    order = order_candidates(connector, healths, (), 5, NOW_MS)
    assert order == ("sip:second", "sip:first", "sip:spare")


def test_srs_that_is_drained_or_full_is_left_out() -> None:
    connector = _connector(
        Srs(uri="sip:drained", drained=True),
        Srs(uri="sip:full", max_sessions=3),
        Srs(uri="sip:free", max_sessions=4),
    )
    views = tuple(SrsLoad(key=key_in(connector, s.uri), sessions=3) for s in connector.srs)
    loads = [Load(controller="c", at_ms=NOW_MS, srs=views)]
    assert order_candidates(connector, {}, loads, 0, NOW_MS) == ("sip:free",)


def test_parallel_connector_uses_all_the_living_by_priority() -> None:
    connector = _connector(
        Srs(uri="sip:b", priority=2),
        Srs(uri="sip:a", weight=7),
        Srs(uri="sip:c", priority=3),
        Srs(uri="sip:d", drained=True),
        delivery=Delivery.PARALLEL,
    )
    for turn in range(8):
        order = order_candidates(connector, {}, (), turn, NOW_MS)
        assert order == ("sip:a", "sip:b", "sip:c")
    healths = _dead(connector, "sip:a")
    assert order_candidates(connector, healths, (), 0, NOW_MS) == ("sip:b", "sip:c")
    healths = _dead(connector, "sip:a", "sip:b", "sip:c")
    order = order_candidates(connector, healths, (), 0, NOW_MS)
    assert order == ("sip:a", "sip:b", "sip:c")


def test_rank_puts_what_is_shunned_last() -> None:
    ranking = rank(_of_weights(1, 1), {}, {}, NOW_MS, shunned={"sip:0"})
    assert [ranking.order(turn) for turn in (0, 1)] == [("sip:1", "sip:0")] * 2


def test_turn_is_needed_only_where_the_first_place_is_shared_out() -> None:
    two, spare = _of_weights(1, 1), _connector(Srs(uri="sip:a"), Srs(uri="sip:b", priority=2))
    parallel = _connector(Srs(uri="sip:a"), Srs(uri="sip:b"), delivery=Delivery.PARALLEL)
    assert rank(two, {}, {}, NOW_MS).needs_turn
    assert rank(two, _dead(two, "sip:0", "sip:1"), {}, NOW_MS).needs_turn
    assert not rank(two, _dead(two, "sip:0"), {}, NOW_MS).needs_turn
    assert not rank(spare, {}, {}, NOW_MS).needs_turn
    assert not rank(parallel, {}, {}, NOW_MS).needs_turn
    assert not rank(_connector(), {}, {}, NOW_MS).needs_turn


_SRS = st.builds(
    Srs,
    uri=st.sampled_from([f"sip:{i}" for i in range(8)]),
    priority=st.integers(1, 3),
    weight=st.integers(1, 12),
    max_sessions=st.none() | st.integers(1, 3),
    drained=st.booleans(),
)


@st.composite
def _pools(draw: st.DrawFn) -> tuple[Connector, dict[str, SrsHealth], list[Load]]:
    srs = draw(st.lists(_SRS, max_size=8))
    connector = _connector(*srs, delivery=draw(st.sampled_from(Delivery)))
    keys = st.sampled_from([key_in(connector, f"sip:{i}") for i in range(8)])
    health = st.builds(SrsHealth, key=keys, reachable=st.none() | st.booleans())
    view = st.builds(
        SrsLoad,
        key=keys,
        sessions=st.integers(0, 2),
        circuit=st.sampled_from(Circuit),
        opened_ms=st.sampled_from([NOW_MS - 60_000, NOW_MS]),
    )
    views = st.lists(view, max_size=4, unique_by=lambda v: v.key).map(tuple)
    loads = st.builds(Load, controller=st.text(), at_ms=st.just(NOW_MS), srs=views)
    healths = {h.key: h for h in draw(st.lists(health, max_size=8))}
    return connector, healths, draw(st.lists(loads, max_size=3))


@given(pool=_pools(), turn=st.integers(0, 10**9))
def test_order_of_any_pool_has_none_twice_no_drained_and_the_usable_first(
    pool: tuple[Connector, dict[str, SrsHealth], list[Load]], turn: int
) -> None:
    connector, healths, loads = pool
    by_uri = {srs.uri: srs for srs in reversed(connector.srs)}
    order = order_candidates(connector, healths, loads, turn, NOW_MS)
    assert len(set(order)) == len(order)
    assert set(order) <= {uri for uri, srs in by_uri.items() if not srs.drained}

    def usable(uri: str) -> bool:
        key = key_in(connector, uri)
        views = [view for load in loads for view in load.srs if view.key == key]
        return is_usable(by_uri[uri], healths.get(key), views, NOW_MS)

    goodness = [usable(uri) for uri in order]
    assert goodness == sorted(goodness, reverse=True)
    assert {uri for uri in by_uri if usable(uri)} <= set(order)
