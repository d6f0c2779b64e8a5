"""Requests of our own inside a dialog: BYE, OPTIONS, re-INVITE, and the ACK of its answer."""

import time
from collections.abc import Callable
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


class Outgoing:
    """Sends requests of one dialog and writes what became of them into the summary."""

    def __init__(self, environment: Environment, dialog: Dialog, summary: Summary) -> None:
        self._environment = environment
        self._dialog = dialog
        self._summary = summary
        self._fallback: Flow | None = None
        self._acks: dict[int, tuple[bytes, Flow]] = {}
        self.is_inviting = False

    def use_when_unreachable(self, flow: Flow) -> None:
        """Name the flow of the SRC's last request; TLS stays on it, others when all else fails."""
        self._fallback = flow

    def send(
        self,
        method: str,
        *,
        body: bytes = b"",
        extra: tuple[Header, ...] = (),
        done: Done | None = None,
    ) -> None:
        """Send a request; `done` gets its final response, or None when there is none."""
        entry: dict[str, Any] = {"method": method, "status": None, "at": iso(time.time())}
        self._summary.sent_requests.append(entry)
        self.is_inviting = self.is_inviting or method == "INVITE"
        self._environment.spawn(self._send(method, body, extra, entry, done))

    async def _send(
        self,
        method: str,
        body: bytes,
        extra: tuple[Header, ...],
        entry: dict[str, Any],
        done: Done | None,
    ) -> None:
        flow = await self._flow()
        if flow is None:
            self._finish(method, entry, None, done)
            return
        request = self._dialog.request(method, via=self._via(flow), extra=extra, body=body)
        key = parse_via(request.get("Via")).branch, method
        clients = self._environment.clients

        def on_final(response: Response | None) -> None:
            # A 2xx may come again: it is dialog business then, see `acknowledge_again`.
            clients.pop(key, None)
            if method == "INVITE" and response is not None:
                self._acknowledge(request, response, flow)
            self._finish(method, entry, response, done)

        clients[key] = ClientTransaction(
            request=request.encode(),
            flow=flow,
            timers=self._environment.table.timers,
            schedule=self._environment.table.schedule,
            on_final=on_final,
        )

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

    def _finish(
        self, method: str, entry: dict[str, Any], response: Response | None, done: Done | None
    ) -> None:
        if method == "INVITE":
            self.is_inviting = False
        entry["status"] = response.status if response is not None else None
        entry["answered_at"] = iso(time.time())
        if response is None:
            self._summary.note(f"no final response to our {method}")
        elif response.status >= 300:
            self._summary.note(f"our {method} was answered {response.status}")
        if done is not None:
            done(response)

    def _acknowledge(self, invite: Request, response: Response, flow: Flow) -> None:
        number = invite.cseq[0]
        if response.status < 300:
            self._dialog.refresh_target(response)
            ack = self._dialog.request("ACK", via=self._via(flow), cseq=number)
        else:
            # RFC 3261 §17.1.1.3: the ACK of a refusal has the Via and the routes of the INVITE.
            kept = tuple(
                (name, f"{number} ACK" if name == "CSeq" else value)
                for name, value in invite.headers
                if name in ("Via", "Max-Forwards", "Route", "From", "Call-ID", "CSeq")
            )
            headers = (*kept, ("To", response.get("To")))
            ack = Request(method="ACK", uri=invite.uri, headers=headers)
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
