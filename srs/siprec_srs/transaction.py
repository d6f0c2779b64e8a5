"""SIP transactions (RFC 3261 §17) without I/O: sending and scheduling are handed in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from siprec_srs.address import Via, parse_name_addr, parse_via
from siprec_srs.message import Request, Response
from siprec_srs.transport import Address, Flow

_COOKIE = "z9hG4bK"


class Timer(Protocol):
    """What scheduling returns, as asyncio's TimerHandle."""

    def cancel(self) -> None:
        """Do not run it any more."""


Schedule = Callable[[float, Callable[[], None]], Timer]
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """T1 and T2 of RFC 3261 §17.1.1.1, in seconds."""

    t1_s: float = 0.5
    t2_s: float = 4.0

    @property
    def give_up_s(self) -> float:
        """Return 64*T1, how long anything is tried or remembered."""
        return 64 * self.t1_s


class Repeater:
    """Do something again and again, at doubling intervals from T1, until stopped."""

    def __init__(
        self, action: Callable[[], None], timers: Timers, schedule: Schedule, *, capped: bool = True
    ) -> None:
        self._action = action
        self._timers = timers
        self._schedule = schedule
        self._capped = capped
        self._interval = timers.t1_s
        self._timer: Timer | None = schedule(self._interval, self._again)

    def _again(self) -> None:
        self._interval *= 2
        if self._capped:
            self._interval = min(self._interval, self._timers.t2_s)
        self._timer = self._schedule(self._interval, self._again)
        self._action()

    def stop(self) -> None:
        """Stop; harmless when already stopped."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def server_key(request: Request) -> Key:
    """Return what makes a request the same one again (RFC 3261 §17.2.3).

    ACK has the key of its INVITE. Raises: ParseError.
    """
    via = parse_via(request.values("Via")[0] if request.values("Via") else "")
    method = "INVITE" if request.method == "ACK" else request.method
    sent_by = f"{via.host.lower()}:{via.port}"
    if via.branch.startswith(_COOKIE):
        return via.branch, sent_by, method
    tag = parse_name_addr(request.need("From")).tag
    return f"{request.call_id} {request.cseq[0]} {tag}", sent_by, method


def response_address(via: Via, peer: Address) -> Address:
    """Return where a response over UDP goes (RFC 3261 §18.2.2, RFC 3581 §4)."""
    if "rport" in via.params:
        return peer
    return peer[0], via.port or 5060


class ServerTransaction:
    """One request and its responses. A final response is repeated to whoever asks again."""

    def __init__(
        self, *, request: Request, flow: Flow, timers: Timers, schedule: Schedule, via: Via
    ) -> None:
        self.request = request
        self.flow = flow
        self.status = 0
        self._timers = timers
        self._schedule = schedule
        self._to = response_address(via, flow.peer)
        self._last: bytes | None = None
        self._repeater: Repeater | None = None
        self._timer_h: Timer | None = None

    def respond(self, response: Response) -> None:
        """Send a response; a final one can only be the last."""
        if self.status >= 200:
            return
        self.status = response.status
        self._last = response.encode()
        self.repeat()
        # RFC 3261 §17.2.1: timer G repeats a refusal over UDP until the ACK, timer H ends it.
        # A 2xx is repeated by the dialog, over every transport (§13.3.1.4).
        if self.request.method == "INVITE" and response.status >= 300:
            if self.flow.transport == "UDP":
                self._repeater = Repeater(self.repeat, self._timers, self._schedule)
            self._timer_h = self._schedule(self._timers.give_up_s, self.acknowledged)

    def repeat(self) -> None:
        """Send the last response again, if there is one."""
        if self._last is not None:
            self.flow.send(self._last, self._to)

    def acknowledged(self) -> None:
        """Stop repeating: the ACK is here, or will never be."""
        for timer in (self._repeater, self._timer_h):
            if isinstance(timer, Repeater):
                timer.stop()
            elif timer is not None:
                timer.cancel()
        self._repeater = self._timer_h = None


class ClientTransaction:
    """One request of ours. `on_final` gets the final response, or None after 64*T1."""

    def __init__(
        self,
        *,
        request: bytes,
        flow: Flow,
        timers: Timers,
        schedule: Schedule,
        on_final: Callable[[Response | None], None],
    ) -> None:
        self._request = request
        self._flow = flow
        self._on_final = on_final
        self._is_done = False
        self._repeater: Repeater | None = None
        self.send()
        if flow.transport == "UDP":
            self._repeater = Repeater(self.send, timers, schedule)
        self._timer = schedule(timers.give_up_s, lambda: self._finish(None))

    def send(self) -> None:
        """Send the request once more."""
        self._flow.send(self._request)

    def receive(self, response: Response) -> None:
        """Take a response; provisional ones only stop the repetition of an INVITE."""
        if response.status >= 200:
            self._finish(response)
        elif self._repeater is not None and response.cseq[1] == "INVITE":
            self._repeater.stop()

    def _finish(self, response: Response | None) -> None:
        if self._is_done:
            return
        self.stop()
        self._on_final(response)

    def stop(self) -> None:
        """Stop all timers and call nobody."""
        self._is_done = True
        self._timer.cancel()
        if self._repeater is not None:
            self._repeater.stop()


class TransactionTable:
    """Remember server transactions for 64*T1 so that a repeated request finds its answer."""

    def __init__(self, timers: Timers, schedule: Schedule) -> None:
        self.timers = timers
        self.schedule = schedule
        self._servers: dict[Key, ServerTransaction] = {}

    def find(self, key: Key) -> ServerTransaction | None:
        """Return the transaction of this key."""
        return self._servers.get(key)

    def find_invite(self, cancel: Request) -> ServerTransaction | None:
        """Return the INVITE that a CANCEL means (RFC 3261 §9.2)."""
        branch, sent_by, _ = server_key(cancel)
        return self._servers.get((branch, sent_by, "INVITE"))

    def open(self, key: Key, request: Request, flow: Flow) -> ServerTransaction:
        """Begin a transaction for a request that was not seen before."""
        transaction = ServerTransaction(
            request=request,
            flow=flow,
            timers=self.timers,
            schedule=self.schedule,
            via=parse_via(request.values("Via")[0]),
        )
        self._servers[key] = transaction
        # A pending INVITE may take longer; it is forgotten only after its final response.
        self.schedule(self.timers.give_up_s, lambda: self._forget(key))
        return transaction

    def _forget(self, key: Key) -> None:
        transaction = self._servers.get(key)
        if transaction is not None and transaction.status < 200:
            self.schedule(self.timers.give_up_s, lambda: self._forget(key))
        else:
            self._servers.pop(key, None)
