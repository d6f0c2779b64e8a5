"""Commands to rtpengine that must not overtake one another."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """Lets one command of each key be on its way; rtpengine works on several at once.

    `send` is given what may go. It may call `ended` itself, when sending fails.
    """

    def __init__(self, send: Callable[[Item], None]) -> None:
        self._send = send
        self._waiting: dict[Hashable, deque[Item]] = {}

    def order(self, key: Hashable, item: Item) -> None:
        """Send it, after those of the same key before it were answered."""
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append(item)
            return
        self._waiting[key] = deque()
        self._send(item)

    def ended(self, key: Hashable) -> None:
        """Send the next one: the one on its way was answered, or given up."""
        waiting = self._waiting[key]
        if waiting:
            self._send(waiting.popleft())
        else:
            del self._waiting[key]

    def waiting(self, key: Hashable) -> Iterable[Item]:
        """Give those of a key that wait."""
        return self._waiting.get(key, ())
