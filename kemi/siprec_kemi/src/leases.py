"""The shards of one controller: taken, renewed, shared evenly, given up in time."""

import math
from dataclasses import dataclass

from siprec.shard_store import LEASE_MS, Grant, ShardStore
from siprec.sids import SHARDS
from siprec_kemi.clock import monotonic_s

RENEW_S = 1.0
# Those that start together count each other before they share.
ANNOUNCE_S = 0.3
# By its own clock the owner stops this long before Redis gives the shard to another.
MARGIN_S = 0.5


@dataclass(slots=True)
class Held:
    """A shard that is ours until `until_s` on the monotonic clock."""

    epoch: int
    until_s: float


@dataclass(frozen=True, slots=True)
class Turnover:
    """What a renewal changed: shards gained, lost to another, and given to a newcomer."""

    gained: tuple[Grant, ...] = ()
    lost: tuple[int, ...] = ()
    given: tuple[int, ...] = ()


class Leases:
    """Leases of one controller. `renew` is called every `RENEW_S`."""

    def __init__(self, store: ShardStore) -> None:
        self._store = store
        self._held: dict[int, Held] = {}
        self._is_announced = False
        self.due_s = 0.0

    def epoch(self, shard: int) -> int | None:
        """Give the epoch of a shard that is surely ours now; None when it may not be."""
        held = self._held.get(shard)
        return held.epoch if held is not None and monotonic_s() < held.until_s else None

    def forget(self, shard: int) -> None:
        """Note that a shard turned out not to be ours."""
        self._held.pop(shard, None)

    def expired(self) -> list[int]:
        """Forget and name the shards whose time ran out, because Redis was away."""
        now = monotonic_s()
        gone = [shard for shard, held in self._held.items() if now >= held.until_s]
        for shard in gone:
            del self._held[shard]
        return gone

    def renew(self) -> Turnover:
        """Renew what is held, take a fair share of what is free, give back what is too much.

        Raises:
            StoreUnavailable: Redis is away; what is held stays held until its time runs out.
        """
        started = monotonic_s()
        self.due_s = started + RENEW_S
        until_s = started + LEASE_MS / 1000 - MARGIN_S
        living = self._store.attend()
        if not self._is_announced:
            self._is_announced = True
            self.due_s = started + ANNOUNCE_S
            return Turnover()
        lost = self._store.renew(list(self._held))
        for shard in lost:
            self._held.pop(shard, None)
        for held in self._held.values():
            held.until_s = until_s
        fair = math.ceil(SHARDS / max(1, len(living)))
        surplus = sorted(self._held)[fair:]
        free = [shard for shard in range(SHARDS) if shard not in self._held]
        gained = self._store.acquire(free, fair - len(self._held))
        for grant in gained:
            self._held[grant.shard] = Held(grant.epoch, until_s)
        return Turnover(tuple(gained), tuple(lost), tuple(self._give_back(surplus)))

    def _give_back(self, surplus: list[int]) -> list[int]:
        for shard in surplus:
            del self._held[shard]
        if surplus:
            self._store.release(surplus)
        return surplus
