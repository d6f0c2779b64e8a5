"""SIP over UDP and TCP on one port, and TLS on another (RFC 3261 §18). No SIP logic."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Protocol, cast

from siprec_srs.errors import ParseError, SrsError
from siprec_srs.message import StreamFramer
from siprec_srs.tls import TlsFacts, TlsPolicy, client_context, server_context

Address = tuple[str, int]
_BUFFER_BYTES = 4_194_304
_CONNECT_S = 5.0


class Flow(Protocol):
    """Where a message came from, and the way back."""

    @property
    def transport(self) -> str:
        """Return `UDP`, `TCP` or `TLS`."""

    @property
    def peer(self) -> Address:
        """Return the address the message came from."""

    @property
    def local_host(self) -> str:
        """Return our own address as the peer sees it."""

    @property
    def tls(self) -> TlsFacts | None:
        """Return what is known of the TLS connection, None for none."""

    @property
    def is_open(self) -> bool:
        """Tell whether something sent now has a chance to arrive."""

    def send(self, data: bytes, to: Address | None = None) -> None:
        """Send back; `to` matters for UDP only."""


Received = Callable[[bytes, Flow], None]


def local_address_towards(host: str, port: int) -> str:
    """Return the address that the kernel would send from."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port or 9))
        return str(probe.getsockname()[0])


class UdpFlow:
    """A datagram's peer."""

    transport = "UDP"
    tls: TlsFacts | None = None
    is_open = True

    def __init__(self, channel: asyncio.DatagramTransport, peer: Address, bound: str) -> None:
        self._channel = channel
        self.peer = peer
        self._bound = bound

    @property
    def local_host(self) -> str:
        """Return our own address as the peer sees it."""
        if self._bound not in ("0.0.0.0", "::"):
            return self._bound
        return local_address_towards(*self.peer)

    def send(self, data: bytes, to: Address | None = None) -> None:
        """Send one datagram, to the peer unless told otherwise."""
        if not self._channel.is_closing():
            self._channel.sendto(data, to or self.peer)


class _UdpSide(asyncio.DatagramProtocol):
    def __init__(self, endpoint: "Endpoint") -> None:
        self._endpoint = endpoint

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # In 3.11 the selector loop's transport is a DatagramTransport by duck typing only.
        self._channel = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        flow = UdpFlow(self._channel, (addr[0], addr[1]), self._endpoint.host)
        self._endpoint.received(data, flow)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error: the peer's port is closed, timers will find out."""


class TcpFlow(asyncio.Protocol):
    """One TCP or TLS connection, either way."""

    def __init__(self, endpoint: "Endpoint", transport: str = "TCP") -> None:
        self._endpoint = endpoint
        self.transport = transport
        self.tls: TlsFacts | None = None
        self._framer = StreamFramer()
        self._channel: asyncio.Transport | None = None
        self.peer: Address = ("", 0)
        self.local_host = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over a connection."""
        if isinstance(transport, asyncio.Transport):
            self._channel = transport
            self.peer = transport.get_extra_info("peername")[:2]
            self.local_host = transport.get_extra_info("sockname")[0]
            secured = transport.get_extra_info("ssl_object")
            self.tls = TlsFacts.of(secured) if secured is not None else None
            self._endpoint.connections[self.peer] = self

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._channel = None
        if self._endpoint.connections.get(self.peer) is self:
            del self._endpoint.connections[self.peer]

    def data_received(self, data: bytes) -> None:
        """Hand on every complete message."""
        if data == b"\r\n\r\n":
            # RFC 5626 §3.5.1: a double CRLF is a ping, a single one the answer.
            self.send(b"\r\n")
        try:
            messages = self._framer.feed(data)
        except ParseError:
            self.close()
            return
        for message in messages:
            self._endpoint.received(message, self)

    @property
    def is_open(self) -> bool:
        """Tell whether something sent now has a chance to arrive."""
        return self._channel is not None and not self._channel.is_closing()

    def send(self, data: bytes, to: Address | None = None) -> None:
        """Write to the connection, nothing when it is gone."""
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(data)

    def close(self) -> None:
        """Close the connection after what was written."""
        if self._channel is not None:
            self._channel.close()

    def abort(self) -> None:
        """Close the connection now: a TLS peer may take its time to say goodbye."""
        if self._channel is not None:
            self._channel.abort()


class Endpoint:
    """Our side of SIP. `received` is called for each message with its flow."""

    def __init__(self, received: Received, tls: TlsPolicy | None = None) -> None:
        self.received = received
        self.tls_host = ""
        self.tls_port = 0
        self._tls = tls
        self._tls_server: asyncio.Server | None = None
        self.host = ""
        self.port = 0
        self.connections: dict[Address, TcpFlow] = {}
        self._udp: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Bind both transports to one port; port 0 finds one that is free for both.

        Raises: SrsError.
        """
        for _ in range(20):
            try:
                await self._bind(host, port)
                break
            except OSError as error:
                self.close()
                if port:
                    raise SrsError(f"cannot listen on {host}:{port}: {error}") from error
        else:
            raise SrsError(f"no port on {host} is free for both UDP and TCP")
        if self._tls is not None:
            await self._listen_tls(self._tls)

    async def _listen_tls(self, tls: TlsPolicy) -> None:
        context = server_context(tls)
        loop = asyncio.get_running_loop()
        try:
            self._tls_server = await loop.create_server(
                lambda: TcpFlow(self, "TLS"), tls.host, tls.port, backlog=512, ssl=context
            )
        except OSError as error:
            raise SrsError(f"cannot listen on {tls.host}:{tls.port}: {error}") from error
        self.tls_host, self.tls_port = self._tls_server.sockets[0].getsockname()[:2]

    def port_of(self, transport: str) -> int:
        """Return the port we listen on for this transport."""
        return self.tls_port if transport == "TLS" else self.port

    async def _bind(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: TcpFlow(self), host, port, backlog=512)
        self.host, self.port = self._server.sockets[0].getsockname()[:2]
        udp, _ = await loop.create_datagram_endpoint(
            lambda: _UdpSide(self), local_addr=(self.host, self.port)
        )
        self._udp = udp
        with contextlib.suppress(OSError):
            udp.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES
            )

    async def flow_to(self, transport: str, host: str, port: int) -> Flow:
        """Return a way to send a request: a UDP flow, or an open or new TCP connection.

        Raises: SrsError when the name does not resolve or nobody listens.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            peer = (str(found[0][4][0]), port)
            if transport == "UDP":
                if self._udp is None:
                    raise SrsError("not listening")
                return UdpFlow(self._udp, peer, self.host)
            known = self.connections.get(peer)
            if known is not None and known.is_open and known.transport == transport:
                return known
            return await asyncio.wait_for(self._connect(transport, host, peer), _CONNECT_S)
        except (OSError, TimeoutError) as error:
            raise SrsError(f"cannot reach {host}:{port} over {transport}: {error}") from error

    async def _connect(self, transport: str, host: str, peer: Address) -> Flow:
        context: ssl.SSLContext | None = None
        if transport == "TLS":
            if self._tls is None:
                raise SrsError("no certificate for a TLS connection")
            context = client_context(self._tls)
        loop = asyncio.get_running_loop()
        _, flow = await loop.create_connection(
            lambda: TcpFlow(self, transport),
            *peer,
            ssl=context,
            server_hostname=host if context is not None else None,
        )
        return flow

    def close(self) -> None:
        """Close the sockets."""
        for flow in list(self.connections.values()):
            if flow.transport == "TLS":
                flow.abort()
            else:
                flow.close()
        for server in (self._server, self._tls_server):
            if server is not None:
                server.close()
        if self._udp is not None:
            self._udp.close()
