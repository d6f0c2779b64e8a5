"""A second 200 to one INVITE, as if a proxy had forked it (RFC 3261 §13.2.2.4)."""

import re
from typing import Any

from siprec_srs.address import parse_via
from siprec_srs.dialog import Dialog, new_tag, reply
from siprec_srs.environment import Environment
from siprec_srs.message import Header, Request
from siprec_srs.transaction import Repeater, ServerTransaction, Timer, response_address

_SESSION_ID = re.compile(rb"(?<=o=siprec-srs )\d+")


class Fork:
    """The dialog that nobody needs: the SRC must acknowledge it and end it with BYE."""

    def __init__(self, environment: Environment, dialog: Dialog) -> None:
        self._table = environment.table
        self._dialog = dialog
        self._repeater: Repeater | None = None
        self._limit: Timer | None = None
        self._is_acknowledged = self._is_ended = False
        self.tag = new_tag()

    @classmethod
    def of(cls, environment: Environment, dialog: Dialog) -> "Fork | None":
        """Return the fork of a dialog, None unless `--forked-200` asks for it."""
        return cls(environment, dialog) if environment.behaviour.mid_call.forked_200 else None

    def answer(self, invite: ServerTransaction, body: bytes) -> None:
        """Send the 200 and repeat it until its ACK."""
        request, flow = invite.request, invite.flow
        extra: tuple[Header, ...] = (("Contact", self._dialog.contact),)
        # Another answerer has another session description.
        body = _SESSION_ID.sub(lambda match: b"%d" % (int(match[0]) + 1), body)
        response = reply(request, 200, "OK", flow=flow, to_tag=self.tag, extra=extra, body=body)
        data = response.encode()
        to = response_address(parse_via(request.values("Via")[0]), flow.peer)
        flow.send(data, to)
        timers, schedule = self._table.timers, self._table.schedule
        self._repeater = Repeater(lambda: flow.send(data, to), timers, schedule)
        self._limit = schedule(timers.give_up_s, self.stop)

    def acknowledge(self) -> None:
        """Take the ACK."""
        self._is_acknowledged = True
        self.stop()

    def request(self, transaction: ServerTransaction) -> None:
        """Answer a request inside this dialog: BYE is what should come."""
        request: Request = transaction.request
        is_bye = request.method == "BYE" and not self._is_ended
        self._is_ended = self._is_ended or is_bye
        status, reason = (200, "OK") if is_bye else (481, "Call/Transaction Does Not Exist")
        transaction.respond(reply(request, status, reason, flow=transaction.flow))

    def stop(self) -> None:
        """Stop repeating."""
        for timer in (self._repeater, self._limit):
            if isinstance(timer, Repeater):
                timer.stop()
            elif timer is not None:
                timer.cancel()
        self._repeater = self._limit = None

    def describe(self) -> dict[str, Any]:
        """Return the `forked` of the summary."""
        return {"tag": self.tag, "acknowledged": self._is_acknowledged, "ended": self._is_ended}

    @property
    def problems(self) -> list[str]:
        """Return what the SRC left undone."""
        found = [] if self._is_acknowledged else ["no ACK for the second 200"]
        return found if self._is_ended else [*found, "no BYE for the dialog of the second 200"]
