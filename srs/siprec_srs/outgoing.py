"""Requests of our own inside a dialog: sent, cancelled, acknowledged, and written down."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from siprec_srs.address import parse_via
from siprec_srs.dialog import Dialog
from siprec_srs.environment import Environment
from siprec_srs.errors import SrsError
from siprec_srs.message import Header, Request, Response
from siprec_srs.summary import Summary, iso
from siprec_srs.transaction import ClientTransaction
from siprec_srs.transport import Flow

Done = Callable[[Response | None], None]

# Who sends a request that is answered so tries again (RFC 3261 §14.1, RFC 4028 §7.3).
_TRIED_AGAIN = (422, 491)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A request to be sent. `tells` goes into the summary; `done` gets the final response.

    answers: makes the body of the ACK from the 200 to an INVITE without offer.
    cancels: sends CANCEL right behind the INVITE.
    """

    method: str
    body: bytes = b""
    extra: tuple[Header, ...] = ()
    done: Done | None = None
    tells: tuple[tuple[str, Any], ...] = ()
    answers: Callable[[Response], bytes] | None = None
    cancels: bool = False
    offers: bool = False


class Outgoing:
    """Sends requests of one dialog and writes what became of them into the summary."""

    def __init__(self, environment: Environment, dialog: Dialog, summary: Summary) -> None:
        self._environment = environment
        self._dialog = dialog
        self._summary = summary
        self._fallback: Flow | None = None
        self._acks: dict[int, tuple[bytes, Flow]] = {}
        self._open: list[Order] = []

    @property
    def is_inviting(self) -> bool:
        """Tell whether an INVITE of ours has no final response yet."""
        return any(order.method == "INVITE" for order in self._open)

    @property
    def is_offering(self) -> bool:
        """Tell whether an offer of ours has no answer yet."""
        return any(order.offers for order in self._open)

    def use_when_unreachable(self, flow: Flow) -> None:
        """Name the flow of the SRC's last request; TLS stays on it, others when all else fails."""
        self._fallback = flow

    def send(self, order: Order) -> dict[str, Any]:
        """Send a request; returns what the summary says of it."""
        entry: dict[str, Any] = {"method": order.method, "status": None, "at": iso(time.time())}
        entry |= dict(order.tells)
        self._summary.sent_requests.append(entry)
        self._open.append(order)
        self._environment.spawn(self._send(order, entry))
        return entry

    async def _send(self, order: Order, entry: dict[str, Any]) -> None:
        flow = await self._flow()
        if flow is None:
            self._finish(order, entry, None)
            return
        request = self._dialog.request(
            order.method, via=self._via(flow), extra=order.extra, body=order.body
        )

        def on_final(response: Response | None) -> None:
            # A 2xx may come again: it is dialog business then, see `acknowledge_again`.
            if order.method == "INVITE" and response is not None:
                self._acknowledge(request, response, flow, order)
            self._finish(order, entry, response)

        self._begin(request, flow, on_final)
        if order.cancels:
            self._cancel(request, flow)

    def _begin(self, request: Request, flow: Flow, on_final: Done) -> None:
        key = parse_via(request.get("Via")).branch, request.method
        clients = self._environment.clients

        def final(response: Response | None) -> None:
            clients.pop(key, None)
            on_final(response)

        clients[key] = ClientTransaction(
            request=request.encode(),
            flow=flow,
            timers=self._environment.table.timers,
            schedule=self._environment.table.schedule,
            on_final=final,
        )

    def _cancel(self, invite: Request, flow: Flow) -> None:
        """Cancel at once, provisional response or not: the race is what is to be tried."""
        entry: dict[str, Any] = {"method": "CANCEL", "status": None, "at": iso(time.time())}
        self._summary.sent_requests.append(entry)
        order = Order(method="CANCEL")
        cancel = _sibling(invite, "CANCEL", invite.get("To"))
        self._begin(cancel, flow, lambda response: self._finish(order, entry, response))

    async def _flow(self) -> Flow | None:
        known = self._fallback
        try:
            hop = self._dialog.next_hop()
            if known is not None and hop[0] == known.transport == "TLS" and known.is_open:
                # The connection that the SRC opened, and whose certificate it checked.
                return known
            return await self._environment.endpoint.flow_to(*hop)
        except SrsError as error:
            self._summary.note(f"next hop of the dialog: {error}")
            return self._fallback

    def _via(self, flow: Flow) -> tuple[str, str, int]:
        return flow.transport, flow.local_host, self._environment.endpoint.port_of(flow.transport)

    def _finish(self, order: Order, entry: dict[str, Any], response: Response | None) -> None:
        # By identity: two orders may be equal.
        self._open = [one for one in self._open if one is not order]
        entry["status"] = response.status if response is not None else None
        entry["answered_at"] = iso(time.time())
        if response is None:
            self._summary.note(f"no final response to our {order.method}")
        elif response.status >= 300 and not self._is_expected(order, response.status):
            self._summary.note(f"our {order.method} was answered {response.status}")
        if order.done is not None:
            order.done(response)

    def _is_expected(self, order: Order, status: int) -> bool:
        return status in _TRIED_AGAIN or (order.cancels and status == 487)

    def _acknowledge(self, invite: Request, response: Response, flow: Flow, order: Order) -> None:
        number = invite.cseq[0]
        if response.status < 300:
            self._dialog.refresh_target(response)
            body = order.answers(response) if order.answers is not None else b""
            ack = self._dialog.request("ACK", via=self._via(flow), cseq=number, body=body)
        else:
            # RFC 3261 §17.1.1.3: the ACK of a refusal has the Via and the routes of the INVITE.
            ack = _sibling(invite, "ACK", response.get("To"))
        self._acks[number] = (ack.encode(), flow)
        flow.send(self._acks[number][0])

    def acknowledge_again(self, response: Response) -> bool:
        """Send the ACK of an INVITE again whose final response came again."""
        number, method = response.cseq
        if method != "INVITE" or number not in self._acks:
            return False
        data, flow = self._acks[number]
        flow.send(data)
        return True


def _sibling(invite: Request, method: str, to: str) -> Request:
    """Write an ACK or CANCEL that belongs to the transaction of an INVITE (RFC 3261 §9.1)."""
    number = invite.cseq[0]
    kept = tuple(
        (name, f"{number} {method}" if name == "CSeq" else value)
        for name, value in invite.headers
        if name in ("Via", "Max-Forwards", "Route", "From", "Call-ID", "CSeq")
    )
    return Request(method=method, uri=invite.uri, headers=(*kept, ("To", to)))
