"""Controllers share shards: fairly, one owner each, and none beyond its time."""

import pytest

from siprec.shard_store import LEASE_MS, ShardStore
from siprec.sids import SHARDS
from siprec.store import Client, StoreUnavailable, connect
from siprec_kemi.src import leases as module
from siprec_kemi.src.leases import MARGIN_S, Leases, Turnover

ALL = set(range(SHARDS))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000.0]
    monkeypatch.setattr(module, "monotonic_s", lambda: now[0])
    return now


class Sharer(Leases):
    """A controller's leases, and which shards it holds by its own account."""

    def __init__(self, client: Client, prefix: str, name: str) -> None:
        super().__init__(ShardStore(client, prefix, name))
        # The first renewal only announces the controller.
        assert self.renew() == Turnover()

    @property
    def shards(self) -> set[int]:
        """Give the shards that are surely ours now."""
        return {shard for shard in range(SHARDS) if self.epoch(shard) is not None}


def test_first_alone_takes_all(client: Client, prefix: str) -> None:
    one = Sharer(client, prefix, "one")
    assert {grant.shard for grant in one.renew().gained} == ALL == one.shards
    assert one.renew() == Turnover()
    assert {one.epoch(shard) for shard in ALL} == {1}


def test_controllers_that_start_together_share_evenly(client: Client, prefix: str) -> None:
    sharers = [Sharer(client, prefix, name) for name in ("one", "two", "three")]
    for sharer in sharers:
        sharer.renew()
    assert sorted(len(sharer.shards) for sharer in sharers) == [20, 22, 22]
    assert set.union(*(sharer.shards for sharer in sharers)) == ALL


def test_newcomer_is_given_its_share_and_no_shard_has_two_owners(
    client: Client, prefix: str
) -> None:
    one = Sharer(client, prefix, "one")
    one.renew()
    two = Sharer(client, prefix, "two")
    assert two.renew() == Turnover()
    given = one.renew().given
    assert len(given) == SHARDS // 2
    assert not one.shards & set(given)
    assert {grant.shard for grant in two.renew().gained} == set(given) == two.shards
    assert all(two.epoch(shard) == 2 for shard in given)


def test_shards_of_a_dead_controller_are_taken_over(client: Client, prefix: str) -> None:
    one, two = Sharer(client, prefix, "one"), Sharer(client, prefix, "two")
    for sharer in (one, two):
        sharer.renew()
    keys = ShardStore(client, prefix, "").keys
    for shard in one.shards:
        client.delete(keys(shard).lease)
    client.zrem(f"{prefix}controllers", "one")
    assert {grant.shard for grant in two.renew().gained} == one.shards
    assert two.shards == ALL
    held = one.shards
    turnover = one.renew()
    assert (set(turnover.lost), turnover.gained) == (held, ())
    assert one.shards == set()


def test_owner_stops_by_its_own_clock_before_redis_gives_the_shard_away(
    client: Client, prefix: str, clock: list[float]
) -> None:
    one = Sharer(client, prefix, "one")
    one.renew()
    clock[0] += LEASE_MS / 1000 - MARGIN_S - 0.001
    assert one.shards == ALL
    assert one.expired() == []
    clock[0] += 0.001
    assert one.shards == set()
    assert set(one.expired()) == ALL
    assert one.expired() == []


def test_time_of_a_lease_counts_from_before_the_renewal(
    client: Client, prefix: str, clock: list[float]
) -> None:
    one = Sharer(client, prefix, "one")
    one.renew()
    clock[0] += 2.0
    one.renew()
    clock[0] += 2.0
    assert one.shards == ALL


def test_what_is_held_stays_held_while_redis_is_away(prefix: str, clock: list[float]) -> None:
    client = connect("redis://127.0.0.1:1", timeout_s=0.2)
    leases = Leases(ShardStore(client, prefix, "one"))
    with pytest.raises(StoreUnavailable):
        leases.renew()
    assert leases.due_s > clock[0]
    client.close()


def test_shard_that_is_forgotten_is_not_ours(client: Client, prefix: str) -> None:
    one = Sharer(client, prefix, "one")
    one.renew()
    one.forget(7)
    one.forget(7)
    assert one.shards == ALL - {7}
