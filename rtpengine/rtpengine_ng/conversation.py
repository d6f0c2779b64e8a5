"""Who asked what, and what came back: NG over datagrams, without I/O and without a clock.

A request is `cookie SP bencode`; its reply carries the same cookie. rtpengine executes a
cookie once and repeats its reply to whoever sends it again, so a lost datagram is cured by
sending the same bytes again. The cache of replies is one for all clients of the daemon: a
cookie must be unlike any other client's, therefore the random prefix.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

from rtpengine_ng.bencode import BencodeError, Value, decode, encode
from rtpengine_ng.errors import NgError, NgProtocolError, NgRefused, NgTimeout
from rtpengine_ng.messages import Reply

DEADLINE_S = 2.0
RETRANSMIT_S = 0.25
MAX_DATAGRAM_BYTES = 65507


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a request ended: `reply` when `error` is None. `key` is what the asker gave."""

    key: object
    reply: Reply = field(default_factory=dict)
    error: NgError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    key: object
    command: str
    datagram: bytes
    deadline: float
    retransmit_s: float


class NgConversation:
    """The open requests of one client to one rtpengine.

    Times are seconds of one monotonic clock, given by the caller. `prefix` is random for
    each process, without white space.
    """

    def __init__(self, prefix: str) -> None:
        if not prefix or prefix.split() != [prefix]:
            raise ValueError(f"{prefix!r} cannot begin a cookie")
        self._prefix = prefix
        self._count = 0
        self._pending: dict[bytes, _Pending] = {}
        # Those of answered requests stay until they are due.
        self._timers: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        """Count the requests that wait for a reply."""
        return len(self._pending)

    def request(
        self,
        command: Mapping[str, Value],
        key: object,
        now: float,
        deadline_s: float = DEADLINE_S,
        retransmit_s: float = RETRANSMIT_S,
    ) -> bytes:
        """Open a request and give the datagram to send. It ends in exactly one `Outcome`.

        Raises:
            ValueError: the command cannot be encoded, or not in one datagram.
        """
        self._count += 1
        cookie = f"{self._prefix}-{self._count}".encode()
        datagram = cookie + b" " + encode(command)
        if len(datagram) > MAX_DATAGRAM_BYTES:
            raise ValueError(f"the command takes {len(datagram)} bytes")
        self._pending[cookie] = _Pending(
            key=key,
            command=str(command.get("command")),
            datagram=datagram,
            deadline=now + deadline_s,
            retransmit_s=retransmit_s,
        )
        self._wake(cookie, now)
        return datagram

    def received(self, datagram: bytes) -> Outcome | None:
        """Take a datagram from rtpengine; None when it answers no open request.

        A second reply (to a retransmission) and one that comes after the deadline are such.
        """
        cookie, _, payload = datagram.partition(b" ")
        pending = self._pending.pop(cookie, None)
        if pending is None:
            return None
        try:
            return Outcome(key=pending.key, reply=_checked(payload))
        except NgError as error:
            return Outcome(key=pending.key, error=error)

    def due(self, now: float) -> tuple[list[bytes], list[Outcome]]:
        """Give the datagrams to send once more, and the requests whose deadline has come."""
        again: list[bytes] = []
        ended: list[Outcome] = []
        while self._timers and self._timers[0][0] <= now:
            _, cookie = heapq.heappop(self._timers)
            pending = self._pending.get(cookie)
            if pending is None:
                continue
            if now < pending.deadline:
                again.append(pending.datagram)
                self._wake(cookie, now)
                continue
            del self._pending[cookie]
            error = NgTimeout(f"no reply to {pending.command!r}")
            ended.append(Outcome(key=pending.key, error=error))
        return again, ended

    def next_due(self) -> float | None:
        """Tell when `due` will have something to do; None when nothing is open."""
        while self._timers and self._timers[0][1] not in self._pending:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _wake(self, cookie: bytes, now: float) -> None:
        pending = self._pending[cookie]
        heapq.heappush(self._timers, (min(now + pending.retransmit_s, pending.deadline), cookie))


def _checked(payload: bytes) -> Reply:
    """Decode a reply; raise what it means when it is not a success."""
    try:
        reply = decode(payload)
    except BencodeError as error:
        raise NgProtocolError(f"the reply is not bencode: {error}") from error
    if not isinstance(reply, dict):
        raise NgProtocolError("the reply is not a dictionary")
    match reply.get("result"):
        case "ok" | "pong":
            return reply
        case str() as result:
            reason = reply.get("error-reason", reply.get("message", result))
            raise NgRefused(str(reason), result=result)
        case _:
            raise NgProtocolError("the reply has no result")
