"""Our responses in one session: written down, and a 2xx repeated until its ACK."""

import time
from collections.abc import Callable
from typing import Any

from siprec_srs.dialog import ACCEPT, ALLOW, SUPPORTED, Dialog, reply
from siprec_srs.environment import Environment
from siprec_srs.message import Header, Request
from siprec_srs.summary import Summary, iso
from siprec_srs.transaction import Repeater, ServerTransaction, Timer


class Answering:
    """Answers the requests of one dialog.

    on_no_ack: called with the CSeq number of an INVITE whose 200 nobody acknowledged.
    """

    def __init__(
        self,
        environment: Environment,
        dialog: Dialog,
        summary: Summary,
        on_no_ack: Callable[[int], None],
    ) -> None:
        self._environment = environment
        self._table = environment.table
        self._dialog = dialog
        self._summary = summary
        self._on_no_ack = on_no_ack
        self._unacknowledged: dict[int, Repeater] = {}
        self._limits: list[Timer] = []
        self._open: list[tuple[ServerTransaction, dict[str, Any]]] = []

    def note_request(self, transaction: ServerTransaction) -> None:
        """Write down a request that came inside the dialog."""
        number, method = transaction.request.cseq
        entry = {"method": method, "cseq": number, "status": None, "at": iso(time.time())}
        self._open.append((transaction, entry))
        self._summary.received_requests.append(entry)

    def respond(
        self,
        transaction: ServerTransaction,
        status: int,
        reason: str,
        extra: tuple[Header, ...] = (),
        body: bytes = b"",
    ) -> None:
        """Send a response with our tag."""
        tag = self._dialog.local_tag if status > 100 else ""
        request, flow = transaction.request, transaction.flow
        for known, entry in self._open:
            if known is transaction and status >= 200 and entry["status"] is None:
                entry["status"] = status
        if status >= 200:
            self._open = [pair for pair in self._open if pair[0] is not transaction]
        self._environment.keep_keys(body)
        transaction.respond(
            reply(request, status, reason, flow=flow, to_tag=tag, extra=extra, body=body)
        )

    def accept(
        self, transaction: ServerTransaction, body: bytes, extra: tuple[Header, ...] = ()
    ) -> None:
        """Send a 200 to an INVITE and repeat it until its ACK (RFC 3261 §13.3.1.4)."""
        common = (("Contact", self._dialog.contact), ("Allow", ALLOW), ("Accept", ACCEPT))
        headers = (*common, ("Supported", SUPPORTED), *extra)
        self.respond(transaction, 200, "OK", headers, body)
        number = transaction.request.cseq[0]
        timers, schedule = self._table.timers, self._table.schedule
        self._unacknowledged[number] = Repeater(transaction.repeat, timers, schedule)
        self._limits.append(schedule(timers.give_up_s, lambda: self._give_up(number)))

    def _give_up(self, number: int) -> None:
        if number in self._unacknowledged:
            self._on_no_ack(number)

    def acknowledge(self, ack: Request) -> bool:
        """Take the ACK of a 200; tell whether it is the first one."""
        repeater = self._unacknowledged.pop(ack.cseq[0], None)
        if repeater is not None:
            repeater.stop()
        return repeater is not None

    @property
    def awaits_ack(self) -> bool:
        """Tell whether a 200 of ours is not acknowledged yet."""
        return bool(self._unacknowledged)

    def stop(self) -> None:
        """Stop every timer."""
        for limit in self._limits:
            limit.cancel()
        for repeater in self._unacknowledged.values():
            repeater.stop()
        self._limits.clear()
