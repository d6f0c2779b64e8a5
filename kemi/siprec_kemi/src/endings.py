"""Calls that must not go on without a recorder: their proxies are told to end them."""

from collections import deque
from collections.abc import Iterable

from siprec.actions import end_of
from siprec.model import Call
from siprec.store import Store, StoreUnavailable
from siprec_kemi import ksr


class Endings:
    """Keeps calls to end until their proxies are told."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[tuple[Call, str]] = deque()

    def order(self, calls: Iterable[tuple[Call, str]]) -> None:
        """Let proxies end these calls, each for its reason, and those that Redis did not take.

        Called each turn, before the save: an order may be repeated, but must not get lost.
        """
        self._waiting.extend(calls)
        while self._waiting:
            call, reason = self._waiting[0]
            action = end_of(call, reason, is_ordered=False)
            try:
                self._store.orders.action(call.node, action)
            except StoreUnavailable as error:
                ksr.log("warning", f"controller: {call.sid} not ended yet: {error}")
                return
            self._waiting.popleft()
