"""When something is due, soonest first. No I/O."""

import heapq
from collections.abc import Callable, Iterator

SWEPT = 1_000


class Deadlines:
    """Deadlines of calls and streams by sid. `is_awaited(due_ms, sid)` tells those not void."""

    def __init__(self, is_awaited: Callable[[int, str], bool]) -> None:
        self._is_awaited = is_awaited
        self._heap: list[tuple[int, str]] = []
        self._sweep_above = SWEPT

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_ms(self) -> int | None:
        """Tell when the next one is due, be it void."""
        return self._heap[0][0] if self._heap else None

    def add(self, due_ms: int, sid: str) -> None:
        """Add one; those before it stay."""
        heapq.heappush(self._heap, (due_ms, sid))
        if len(self._heap) > self._sweep_above:
            # Most calls end hours before their longest duration.
            self._heap = [due for due in self._heap if self._is_awaited(*due)]
            heapq.heapify(self._heap)
            self._sweep_above = max(SWEPT, 2 * len(self._heap))

    def pass_to(self, now_ms: int) -> Iterator[str]:
        """Go through what has come due and is awaited; what is added meanwhile counts."""
        while self._heap and self._heap[0][0] <= now_ms:
            due_ms, sid = heapq.heappop(self._heap)
            if self._is_awaited(due_ms, sid):
                yield sid
