"""Which controller owns a shard, as all processes of a node see it."""

import multiprocessing

from siprec.sids import SHARDS
from siprec_kemi.src.owners import Owners


def test_owner_of_each_shard_is_seen_by_processes_forked_later() -> None:
    owners = Owners()
    assert {owners.port(shard) for shard in range(SHARDS)} == {0}

    def own_all() -> None:
        for shard in range(SHARDS):
            owners.set_port(shard, 60_000 + shard)

    child = multiprocessing.get_context("fork").Process(target=own_all)
    child.start()
    child.join()
    assert [owners.port(shard) for shard in range(SHARDS)] == [60_000 + n for n in range(SHARDS)]


def test_owner_clears_only_what_is_still_its_own() -> None:
    owners = Owners()
    owners.set_port(1, 7)
    owners.clear(1, 8)
    assert owners.port(1) == 7
    owners.clear(1, 7)
    assert owners.port(1) == 0
