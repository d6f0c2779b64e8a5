"""How a phone of the tests sends and receives: UDP, or TCP with connections both ways."""

import re
import selectors
import socket
import time
from typing import Protocol

Address = tuple[str, int]
Datagram = tuple[bytes, Address]

_LENGTH = re.compile(rb"^(?:content-length|l)\s*:\s*(\d+)", re.IGNORECASE | re.MULTILINE)


class Wire(Protocol):
    """What a phone needs of a transport."""

    address: Address

    def send(self, data: bytes, to: Address) -> None:
        """Send one message."""

    def receive(self, within_s: float) -> Datagram | None:
        """Give the next message, None when none comes."""

    def close(self) -> None:
        """Close every socket."""


def family_of(host: str) -> socket.AddressFamily:
    """Tell IPv6 from IPv4."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class UdpWire:
    """One socket for everything."""

    def __init__(self, host: str) -> None:
        self._socket = socket.socket(family_of(host), socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self.address: Address = self._socket.getsockname()[:2]

    def send(self, data: bytes, to: Address) -> None:
        """Send a datagram."""
        self._socket.sendto(data, to)

    def receive(self, within_s: float) -> Datagram | None:
        """Give the next datagram."""
        self._socket.settimeout(max(within_s, 0.001))
        try:
            data, source = self._socket.recvfrom(65535)
        except TimeoutError:
            return None
        return data, source[:2]

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class TcpWire:
    """Listens, and keeps what it or the peer opened."""

    def __init__(self, host: str) -> None:
        self._listener = socket.create_server((host, 0), family=family_of(host))
        self.address: Address = self._listener.getsockname()[:2]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._connections: dict[Address, socket.socket] = {}
        self._received: dict[Address, bytes] = {}

    def send(self, data: bytes, to: Address) -> None:
        """Send on the connection to that peer, or open one."""
        if to not in self._connections:
            self._keep(socket.create_connection(to, timeout=5), to)
        self._connections[to].sendall(data)

    def receive(self, within_s: float) -> Datagram | None:
        """Give the next message of any connection."""
        give_up = time.monotonic() + within_s
        while True:
            for peer in self._received:
                message = self._take(peer)
                if message is not None:
                    return message, peer
            left_s = give_up - time.monotonic()
            if left_s <= 0:
                return None
            for key, _ in self._selector.select(left_s):
                self._read(key.fileobj)

    def close(self) -> None:
        """Close the listener and all connections."""
        self._selector.close()
        for each in (self._listener, *self._connections.values()):
            each.close()

    def _keep(self, connection: socket.socket, peer: Address) -> None:
        self._connections[peer] = connection
        self._received.setdefault(peer, b"")
        self._selector.register(connection, selectors.EVENT_READ, peer)

    def _read(self, source: object) -> None:
        if source is self._listener:
            connection, peer = self._listener.accept()
            self._keep(connection, peer[:2])
            return
        peer = next(each for each, known in self._connections.items() if known is source)
        data = self._connections[peer].recv(65535)
        self._received[peer] += data
        if not data:
            self._selector.unregister(self._connections[peer])
            self._connections.pop(peer).close()

    def _take(self, peer: Address) -> bytes | None:
        data = self._received[peer].lstrip(b"\r\n")
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            return None
        match = _LENGTH.search(head)
        length = int(match[1]) if match else 0
        if len(rest) < length:
            return None
        self._received[peer] = rest[length:]
        return head + end + rest[:length]
