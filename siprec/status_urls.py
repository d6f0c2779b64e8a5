"""Orders whose status callback could not be sent as it stands. Pure.

Only who sends callbacks knows what the fragment of a URL may hold: `UrlFault` says it.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from siprec.inbox import Notice
from siprec.model import StreamOrder
from siprec.orders import BAD_FIELD
from siprec.plans import Refusal

UrlFault = Callable[[str], str | None]
"""Says what is wrong with a URL; None when it can be used."""


class StatusUrls:
    """Judges the URLs of orders by `fault_of`."""

    def __init__(self, fault_of: UrlFault) -> None:
        self._fault_of = fault_of

    def refusal(self, order: StreamOrder) -> Refusal | None:
        """Tell why an order may not be followed: who ordered can order again."""
        why = self._why(order)
        return None if why is None else Refusal(BAD_FIELD, why)

    def mended(self, orders: Iterable[StreamOrder]) -> list[StreamOrder]:
        """Give the orders of a document without what cannot be used: their streams are recorded."""
        return [
            order if self._why(order) is None else replace(order, status_callback=None)
            for order in orders
        ]

    def notices(self, orders: Iterable[StreamOrder]) -> list[Notice]:
        """Tell people what `mended` takes away."""
        faults = [(order.name, self._why(order)) for order in orders]
        return [
            Notice(code=BAD_FIELD, text=f"{why}: stream {name!r} is recorded without callbacks")
            for name, why in faults
            if why is not None
        ]

    def _why(self, order: StreamOrder) -> str | None:
        url = order.status_callback
        why = None if url is None else self._fault_of(url)
        return None if why is None else f"status_callback: {why}"
