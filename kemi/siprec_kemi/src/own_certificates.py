"""Certificates that connectors hold, our own and those of CAs: people are told before they end."""

from collections.abc import Callable, Iterable

from siprec.connector import Connector
from siprec.health import DAY_MS, key_in
from siprec.sids import shard_of_call_id
from siprec.tls_profile import expiring
from siprec_kemi import clock


class OwnCertificates:
    """Tells of each certificate that ends within 30 days: when it is set, and once a day.

    `owns` tells whether a shard is ours: the one controller that has the shard of a connector's
    first SRS tells. `tell(connector, sentences)` passes it on. A controller that takes over
    tells once more.
    """

    def __init__(
        self,
        *,
        owns: Callable[[int], bool],
        tell: Callable[[Connector, tuple[str, ...]], None],
        now_ms: Callable[[], int] = clock.now_ms,
    ) -> None:
        self._owns = owns
        self._tell = tell
        self._now_ms = now_ms
        # What was looked at, and on which day.
        self._seen: dict[tuple[str, str], tuple[Connector, int]] = {}

    def look(self, connectors: Iterable[Connector]) -> None:
        """Look at those that hold a certificate and are new, changed, or not seen today."""
        now = self._now_ms()
        before, self._seen = self._seen, {}
        for connector in connectors:
            holds = bool(connector.tls_ca or connector.tls_certificate)
            if not holds or not self._owns(
                shard_of_call_id(key_in(connector, connector.srs[0].uri))
            ):
                continue
            name, seen = (connector.account_sid, connector.name), (connector, now // DAY_MS)
            self._seen[name] = seen
            if before.get(name) != seen and (sentences := tuple(expiring(connector, now))):
                self._tell(connector, sentences)
