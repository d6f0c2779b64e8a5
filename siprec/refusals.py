"""Commands that could not be understood: what is said of them. No I/O."""

from collections.abc import Callable

from siprec.alerts import About, Alert, Alerts
from siprec.changes import Changes
from siprec.inbox import CommandRefused
from siprec.model import Call
from siprec.verdict import Verdict


class Refusals:
    """Makes an alert and a verdict of each. `new_hex(n)` gives n random hex digits."""

    def __init__(self, new_hex: Callable[[int], str]) -> None:
        self._alerts = Alerts(new_hex)
        self._waiting: list[tuple[int, str, Alert, Verdict]] = []

    def take(self, shard: int, entry: CommandRefused, call: Call | None, now_ms: int) -> None:
        """Note one from the inbox of a shard; `call` is the call that it names, if it is here."""
        about = About(
            account_sid="" if call is None else call.account_sid,
            call_sid=entry.call_sid or None,
            stream_sid=entry.stream_sid or None,
        )
        alert = self._alerts.make(shard, about, entry.code, entry.text, now_ms)
        verdict = Verdict(accepted=False, code=entry.code, text=entry.text)
        self._waiting.append((shard, entry.request_id, alert, verdict))

    def tell(self, changes: Changes) -> None:
        """Add what was noted to what is saved next."""
        for shard, request_id, alert, verdict in self._waiting:
            changes.alerts.append((shard, alert))
            changes.verdicts.append((shard, request_id, verdict))
        self._waiting.clear()
