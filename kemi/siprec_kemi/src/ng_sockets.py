"""The sockets to rtpengines: one for each, opened when first used."""

import secrets
from collections.abc import Callable, Iterator

from rtpengine_ng.client import NgSocket
from rtpengine_ng.conversation import NgConversation


class NgSockets:
    """Sockets by NG address (`host:port`); `register` is given each that is opened."""

    def __init__(self, register: Callable[[NgSocket], None]) -> None:
        self._register = register
        self._sockets: dict[str, NgSocket] = {}

    def __iter__(self) -> Iterator[NgSocket]:
        """Go through those that are open."""
        return iter(self._sockets.values())

    def to(self, address: str) -> NgSocket:
        """Give the socket to an address.

        Raises:
            OSError, ValueError: there is no such address.
        """
        if not address:
            raise ValueError("the media of the call does not pass through any")
        socket = self._sockets.get(address)
        if socket is None:
            host, _, port = address.rpartition(":")
            conversation = NgConversation(secrets.token_hex(8))
            socket = NgSocket((host.strip("[]"), int(port or 0)), conversation)
            self._sockets[address] = socket
            self._register(socket)
        return socket

    def next_due_s(self) -> float | None:
        """Tell when something is to be repeated or given up, on the monotonic clock."""
        due = [due_s for socket in self if (due_s := socket.next_due()) is not None]
        return min(due, default=None)
