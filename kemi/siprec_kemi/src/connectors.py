"""The connectors, as a controller sees them: a short-lived cache over the store."""

from siprec.connector import Connector
from siprec.store import Store
from siprec_kemi.clock import monotonic_s

FRESH_S = 1.0
# Anybody may write a name that no connector has; what is asked for often comes back at once.
KEPT = 1_000


class Connectors:
    """Looks connectors up. A connector set a second ago is known."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, str], tuple[float, Connector | None]] = {}

    def find(self, account_sid: str, name: str) -> Connector | None:
        """Give a connector, None when there is none.

        Raises:
            StoreUnavailable: Redis is away and it is not known from a second ago.
        """
        now = monotonic_s()
        until_s, connector = self._known.get((account_sid, name), (0.0, None))
        if now < until_s:
            return connector
        connector = self._store.connector(account_sid, name)
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[account_sid, name] = (now + FRESH_S, connector)
        return connector
