"""The SRS: sorts messages to transactions and sessions, and keeps the process together."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from siprec_srs.access import Access, Verdict
from siprec_srs.address import parse_name_addr, parse_via
from siprec_srs.behaviour import Behaviour
from siprec_srs.checks import missing_header, unknown_options, warning_headers
from siprec_srs.dialog import ACCEPT, ALLOW, SUPPORTED, contact_of, new_tag, reply
from siprec_srs.environment import Environment
from siprec_srs.errors import ParseError
from siprec_srs.message import Header, Request, Response, parse
from siprec_srs.ports import PortPairs
from siprec_srs.session import Session
from siprec_srs.summary import next_number, safe_name
from siprec_srs.transaction import ServerTransaction, Timer, TransactionTable, server_key
from siprec_srs.transport import Endpoint, Flow

_DEATH_POLL_S = 0.05
_RETRY_AFTER_S = 5

DialogKey = tuple[str, str, str]


class Server:
    """One SRS. `start`, then wait for `over`, then `stop`."""

    def __init__(self, behaviour: Behaviour, ports: PortPairs | None = None) -> None:
        self._behaviour = behaviour
        self.endpoint = Endpoint(self._received, behaviour.tls)
        self._access = Access(behaviour.access)
        self._environment = Environment(
            behaviour=behaviour,
            endpoint=self.endpoint,
            table=TransactionTable(behaviour.timers, _schedule),
            ports=ports or PortPairs(),
        )
        self._table = self._environment.table
        self._sessions: dict[DialogKey, Session] = {}
        self._pending: dict[int, Session] = {}
        self._ended = 0
        self._number = 1
        self._death: Timer | None = None
        self.over = asyncio.Event()

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises: SrsError."""
        self._behaviour.out.mkdir(parents=True, exist_ok=True)
        self._number = next_number(self._behaviour.out)
        await self.endpoint.start(host, port)
        self._await_death()

    def connection_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take what the event loop complains of: a peer's bad handshake is no fault of ours."""
        error = context.get("exception")
        if isinstance(error, OSError):
            self._environment.tell("connection-failed", "-", error=str(error))
        else:
            loop.default_exception_handler(context)

    def _await_death(self) -> None:
        if self._behaviour.die_on is not None:
            if self._behaviour.die_on.exists():
                self._environment.die()
            self._death = _schedule(_DEATH_POLL_S, self._await_death)

    async def stop(self) -> None:
        """Close every file and socket; live sessions end as `shutdown`, without BYE."""
        if self._death is not None:
            self._death.cancel()
        for session in list(self._sessions.values()):
            session.finish(ended_by="shutdown")
        await self._environment.stop_tasks()
        self.endpoint.close()
        # The event loop closes the sockets in its next rounds.
        for _ in range(3):
            await asyncio.sleep(0)

    # ------------------------------------------------------------- messages

    def _received(self, data: bytes, flow: Flow) -> None:
        if not data.strip(b"\r\n\0 "):
            return
        self._environment.keep_keys(data)
        try:
            message = parse(data)
            if isinstance(message, Response):
                self._response(message)
            else:
                self._request(message, flow)
        except ParseError as error:
            self._malformed(data, flow, error)

    def _malformed(self, data: bytes, flow: Flow, error: ParseError) -> None:
        """Answer 400 to what is a request with a Via at least (RFC 3261 §16.3)."""
        self._environment.tell("malformed", "-", error=str(error))
        head = data.partition(b"\r\n\r\n")[0] + b"\r\nContent-Length: 0\r\n\r\n"
        kept = [line for line in head.split(b"\r\n") if not _is_length(line)]
        with contextlib.suppress(ParseError):
            request = parse(b"\r\n".join(kept))
            if isinstance(request, Request) and request.method != "ACK":
                parse_via(request.values("Via")[0] if request.values("Via") else "")
                extra = warning_headers([str(error)])
                flow.send(reply(request, 400, "Bad Request", flow=flow, extra=extra).encode())

    def _response(self, response: Response) -> None:
        vias = response.values("Via")
        if not vias:
            return
        key = parse_via(vias[0]).branch, response.cseq[1]
        client = self._environment.clients.get(key)
        if client is not None:
            client.receive(response)
            return
        tags = parse_name_addr(response.get("From")).tag, parse_name_addr(response.get("To")).tag
        session = self._sessions.get((response.call_id, *tags))
        if session is not None and response.status >= 200:
            session.outgoing.acknowledge_again(response)

    def _request(self, request: Request, flow: Flow) -> None:
        missing = missing_header(request)
        if missing:
            raise ParseError(f"header {missing} is missing")
        if request.cseq[1] != request.method:
            raise ParseError("the method in CSeq is another one")
        key = server_key(request)
        known = self._table.find(key)
        if request.method == "ACK":
            self._ack(request, known)
        elif known is not None:
            known.repeat()
        else:
            self._dispatch(self._table.open(key, request, flow))

    def _ack(self, ack: Request, transaction: ServerTransaction | None) -> None:
        if transaction is not None and transaction.status >= 300:
            transaction.acknowledged()
            return
        session = self._session_of(ack)
        if session is not None:
            session.acknowledge(ack)

    def _dispatch(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        options = unknown_options(request)
        if request.method == "CANCEL":
            self._cancel(transaction)
        elif parse_name_addr(request.need("To")).tag:
            session = self._session_of(request)
            if session is None:
                _respond(transaction, 481, "Call/Transaction Does Not Exist")
            elif options:
                _respond(transaction, 420, "Bad Extension", _unsupported(options))
            elif not self._challenges(transaction):
                session.request(transaction)
        elif request.method == "INVITE":
            self._invite(transaction, options)
        elif options:
            _respond(transaction, 420, "Bad Extension", _unsupported(options))
        elif request.method == "OPTIONS":
            extra = (("Allow", ALLOW), ("Accept", ACCEPT), ("Supported", SUPPORTED))
            flow = transaction.flow
            contact = contact_of(flow, self.endpoint.port_of(flow.transport))
            _respond(transaction, 200, "OK", (*extra, ("Contact", contact)))
        elif request.method in ("BYE", "UPDATE", "INFO"):
            _respond(transaction, 481, "Call/Transaction Does Not Exist")
        else:
            _respond(transaction, 405, "Method Not Allowed", (("Allow", ALLOW),))

    def _challenges(self, transaction: ServerTransaction) -> bool:
        """Answer 401 or 407 to a request inside the dialog when each must prove who sent it."""
        if not self._behaviour.access.every_request:
            return False
        verdict = self._access.judge(transaction.request)
        if verdict.is_challenge:
            self._challenge(transaction, verdict)
        return verdict.is_challenge

    def _challenge(self, transaction: ServerTransaction, verdict: Verdict) -> None:
        method, call_id = transaction.request.method, transaction.request.call_id
        self._environment.tell("challenged", call_id, method=method, why=verdict.why)
        reason = {401: "Unauthorized"}.get(verdict.status, "Proxy Authentication Required")
        _respond(transaction, verdict.status, reason, verdict.headers)

    def _session_of(self, request: Request) -> Session | None:
        local = parse_name_addr(request.need("To")).tag
        remote = parse_name_addr(request.need("From")).tag
        return self._sessions.get((request.call_id, local, remote))

    def _invite(self, transaction: ServerTransaction, options: list[str]) -> None:
        is_silent = self._behaviour.silent
        verdict = Verdict() if is_silent else self._access.judge(transaction.request)
        if verdict.is_challenge:
            # It only asks for credentials: no session yet, so no folder.
            self._challenge(transaction, verdict)
            return
        session = self._new_session(transaction, verdict)
        if verdict.status:
            session.summary.note(verdict.why)
            session.refuse(verdict.status, "Forbidden")
        elif options and not is_silent:
            session.summary.note(f"Require with unknown {', '.join(options)}")
            session.refuse(420, "Bad Extension", _unsupported(options))
        elif self._is_full() and not is_silent:
            default = (("Retry-After", str(_RETRY_AFTER_S)),)
            session.refuse(503, "Service Unavailable", self._behaviour.retry_after or default)
        else:
            session.begin()

    def _is_full(self) -> bool:
        """Tell whether there are more sessions, the newest included, than we may have."""
        live = sum(not session.is_over for session in set(self._sessions.values()))
        return bool(self._behaviour.capacity) and live > self._behaviour.capacity

    def _new_session(self, transaction: ServerTransaction, verdict: Verdict) -> Session:
        folder = self._behaviour.out / f"{self._number}-{safe_name(transaction.request.call_id)}"
        self._number += 1
        folder.mkdir(parents=True, exist_ok=True)
        session = Session(
            environment=self._environment,
            folder=folder,
            transaction=transaction,
            on_over=self._over,
            hidden=self._access.hidden_headers,
            proof=verdict.proof,
        )
        dialog = session.dialog
        self._sessions[dialog.call_id, dialog.local_tag, dialog.remote_tag] = session
        if session.fork is not None:
            self._sessions[dialog.call_id, session.fork.tag, dialog.remote_tag] = session
        self._pending[id(transaction)] = session
        return session

    def _cancel(self, transaction: ServerTransaction) -> None:
        invite = self._table.find_invite(transaction.request)
        session = None
        if invite is not None:
            session = self._pending.get(id(invite)) or self._session_of(invite.request)
        if session is None or invite is None:
            _respond(transaction, 481, "Call/Transaction Does Not Exist")
        else:
            session.cancel(transaction, invite)

    def _over(self, session: Session) -> None:
        dialog = session.dialog
        self._sessions.pop((dialog.call_id, dialog.local_tag, dialog.remote_tag), None)
        if session.fork is not None:
            self._sessions.pop((dialog.call_id, session.fork.tag, dialog.remote_tag), None)
        self._pending.pop(id(session.invite), None)
        self._ended += 1
        if self._ended == self._behaviour.max_sessions:
            self.over.set()


def _schedule(delay_s: float, action: Callable[[], None]) -> Timer:
    return asyncio.get_running_loop().call_later(delay_s, action)


def _respond(
    transaction: ServerTransaction, status: int, reason: str, extra: tuple[Header, ...] = ()
) -> None:
    """Answer a request that belongs to no session."""
    request, flow = transaction.request, transaction.flow
    transaction.respond(reply(request, status, reason, flow=flow, to_tag=new_tag(), extra=extra))


def _unsupported(options: list[str]) -> tuple[Header, ...]:
    return (("Unsupported", ", ".join(options)),)


def _is_length(line: bytes) -> bool:
    return line.partition(b":")[0].strip().lower() in (b"content-length", b"l")
