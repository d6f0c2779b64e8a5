"""The NG conversation over a UDP socket.

`NgSocket` is for an event loop: it never blocks, and what the network loses it leaves to the
retransmissions. `ask` is for tools that have time to wait.
"""

import contextlib
import secrets
import select
import socket
import time
from collections.abc import Mapping

from rtpengine_ng.bencode import Value
from rtpengine_ng.conversation import DEADLINE_S, RETRANSMIT_S, NgConversation, Outcome
from rtpengine_ng.messages import Reply

# Asked for; the kernel gives at most net.core.rmem_max, by default room for some 200 replies.
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
_LARGEST_BYTES = 65535
# So that a flood on the socket cannot hold the event loop.
_MOST_AT_ONCE = 256


class NgSocket:
    """A non-blocking socket, connected to one rtpengine at `address`: IP address and port.

    An IPv6 address stands without brackets. The owner registers it for reading, calls
    `receive` when it is readable, `tick` when `next_due` has come, and at last `close`.

    Raises:
        ValueError: the address is a host name.
        OSError: no route to it, or no socket left.
    """

    def __init__(self, address: tuple[str, int], conversation: NgConversation) -> None:
        self._conversation = conversation
        self._socket = _connected(address)

    def fileno(self) -> int:
        """Give the descriptor, for a selector."""
        return self._socket.fileno()

    def send(
        self,
        command: Mapping[str, Value],
        key: object,
        now: float,
        deadline_s: float = DEADLINE_S,
        retransmit_s: float = RETRANSMIT_S,
    ) -> None:
        """Send a command. One `Outcome` with this `key` follows, from `receive` or `tick`.

        Raises:
            ValueError: the command cannot be encoded, or not in one datagram.
        """
        self._transmit(self._conversation.request(command, key, now, deadline_s, retransmit_s))

    def receive(self) -> list[Outcome]:
        """Take what is there, up to 256 datagrams."""
        outcomes: list[Outcome] = []
        for _ in range(_MOST_AT_ONCE):
            try:
                datagram = self._socket.recv(_LARGEST_BYTES)
            except BlockingIOError:
                break
            except OSError:
                # An ICMP error of an earlier datagram, e.g. port unreachable; replies that
                # came before it may be queued behind.
                continue
            outcome = self._conversation.received(datagram)
            if outcome is not None:
                outcomes.append(outcome)
        return outcomes

    def tick(self, now: float) -> list[Outcome]:
        """Send again what got no reply yet; give the requests that have timed out."""
        again, outcomes = self._conversation.due(now)
        for datagram in again:
            self._transmit(datagram)
        return outcomes

    def next_due(self) -> float | None:
        """Tell when to call `tick`; None when no request is open."""
        return self._conversation.next_due()

    def close(self) -> None:
        """Close the socket. Open requests get no outcome."""
        self._socket.close()

    def _transmit(self, datagram: bytes) -> None:
        # A pending ICMP error makes send() fail without sending: the second try sends. What
        # fails for another reason is sent again when it is due.
        for _ in range(2):
            with contextlib.suppress(OSError):
                self._socket.send(datagram)
                return


def ask(
    address: tuple[str, int], command: Mapping[str, Value], timeout_s: float = DEADLINE_S
) -> Reply:
    """Send one command and wait for its reply. For tools; it blocks up to `timeout_s`.

    Raises:
        NgError: refused, not understood, or no reply (also when nothing listens there).
        ValueError: the address is a host name, or the command cannot be encoded.
    """
    client = NgSocket(address, NgConversation(secrets.token_hex(8)))
    with contextlib.closing(client):
        client.send(command, None, time.monotonic(), timeout_s)
        outcomes: list[Outcome] = []
        while not outcomes:
            due = client.next_due()
            wait_s = 0.0 if due is None else max(0.0, due - time.monotonic())
            select.select([client], [], [], wait_s)
            outcomes = client.receive() or client.tick(time.monotonic())
    (outcome,) = outcomes
    if outcome.error is not None:
        raise outcome.error
    return outcome.reply


def _connected(address: tuple[str, int]) -> socket.socket:
    host, port = address
    try:
        (found, *_) = socket.getaddrinfo(
            host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )
    except socket.gaierror as error:
        raise ValueError(f"{host!r} is not an IP address") from error
    family, kind, protocol, _, target = found
    connected = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
    try:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        connected.connect(target)
    except OSError:
        connected.close()
        raise
    return connected
