"""What transitions teach: a line in the log for people, and for the pools how the SRSs did."""

from collections.abc import Callable

from siprec import events as e
from siprec.changes import Changes
from siprec.connector import Connector
from siprec.model import Leg, Stream, StreamState
from siprec.store import StoreUnavailable
from siprec_kemi import ksr
from siprec_kemi.clock import now_ms
from siprec_kemi.src.health_watch import HealthWatch
from siprec_kemi.src.pools import Pools


class Lessons:
    """Learns from what changed, once for each change."""

    def __init__(
        self,
        pools: Pools,
        watch: HealthWatch,
        connector_of: Callable[[str, str], Connector | None],
    ) -> None:
        self._pools = pools
        self._watch = watch
        self._connector_of = connector_of

    def learn(self, changes: Changes) -> None:
        """Log what changed, and let the pools know how the SRSs did."""
        for before, event, after in changes.transitions:
            known = {} if event is None else {leg.number: leg for leg in before.legs}
            for leg in after.legs:
                old = known.get(leg.number)
                if leg != old:
                    _log(after, old, event, leg)
                    self._judge(after, old, leg)

    def _judge(self, stream: Stream, old: Leg | None, leg: Leg) -> None:
        has_recorded = old is not None and old.state is StreamState.RECORDING
        is_failed = leg.error_code is not None and (old is None or old.error_code is None)
        took_call = leg.state is StreamState.RECORDING and not has_recorded
        if not took_call and (not is_failed or leg.is_hopeless):
            return
        try:
            connector = self._connector_of(stream.account_sid, stream.order.connector_name)
        except StoreUnavailable:
            connector = None
        if connector is None:
            return
        if took_call:
            self._pools.succeeded(connector, leg.srs)
        else:
            self._pools.failed(connector, leg.srs, leg.error_text or "", now_ms())
            self._watch.suspect(connector, leg.srs)


def _log(stream: Stream, old: Leg | None, event: object, leg: Leg) -> None:
    """Log one line: call, stream, leg, old state, event, new state."""
    before = "-" if old is None else old.state.value
    name = "Started" if old is None else type(event).__name__
    if isinstance(event, e.LegHappened) and old is not None:
        name = type(event.event).__name__
    where = f"{stream.call_sid} {stream.sid} leg {leg.number} {leg.srs}"
    ksr.log("info", f"{where} {before} {name} {leg.state.value}")
