"""How many requests each credential, and each address without one, may send. Pure."""

from collections import OrderedDict

KEPT = 10_000


class Buckets:
    """A token bucket for each name: `burst` at once, then `per_s` a second."""

    def __init__(self, per_s: int, burst: int, *, kept: int = KEPT) -> None:
        self._per_s = per_s
        self._burst = burst
        self._kept = kept
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, now_s: float) -> float:
        """Take one; give 0.0, else in how many seconds there is one again."""
        level, at_s = self._levels.pop(name, (float(self._burst), now_s))
        level = min(float(self._burst), level + (now_s - at_s) * self._per_s)
        wait_s = 0.0 if level >= 1 else (1 - level) / self._per_s
        self._levels[name] = (level - 1 if level >= 1 else level, now_s)
        # Who has not come for longest has a full bucket, or nearly.
        while len(self._levels) > self._kept:
            self._levels.popitem(last=False)
        return wait_s
