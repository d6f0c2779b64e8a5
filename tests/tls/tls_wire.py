"""TLS for the phones of the tests: listens and connects, and notes what went wrong."""

import contextlib
import socket
import ssl

from tests.scenarios.phone import Phone
from tests.scenarios.wire import Address, TcpWire
from tests.tls.certificates import Identity

_HANDSHAKE_S = 5.0


class TlsWire(TcpWire):
    """As TcpWire, but TLS. `trusted` is the authority that clients must come from, if any."""

    def __init__(self, host: str, identity: Identity, *, trusted: str | None = None) -> None:
        super().__init__(host)
        self.failures: list[str] = []
        self.names_asked: list[str | None] = []
        self._server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._server.load_cert_chain(identity.certificate, identity.key)
        self._server.sni_callback = self._note_name
        if trusted is not None:
            self._server.load_verify_locations(trusted)
            self._server.verify_mode = ssl.CERT_REQUIRED
        self._client = ssl.create_default_context()
        self._client.check_hostname = False
        self._client.verify_mode = ssl.CERT_NONE
        self._client.load_cert_chain(identity.certificate, identity.key)

    @property
    def peers(self) -> list[Address]:
        """List the peers of the connections that are open."""
        return list(self._connections)

    def limit(self, version: ssl.TLSVersion) -> None:
        """Speak no later version than this one."""
        for context in (self._server, self._client):
            context.minimum_version = version
            context.maximum_version = version
            context.set_ciphers("ALL:@SECLEVEL=0")

    def cut(self) -> None:
        """Close all connections, but go on listening."""
        for connection in self._connections.values():
            self._selector.unregister(connection)
            connection.close()
        self._connections.clear()
        self._received.clear()

    def send(self, data: bytes, to: Address) -> None:
        """Send on the connection to that peer, or open one."""
        if to not in self._connections:
            plain = socket.create_connection(to, timeout=_HANDSHAKE_S)
            self._keep(self._client.wrap_socket(plain), to)
        self._connections[to].sendall(data)

    def _read(self, source: object) -> None:
        if source is self._listener:
            self._accept()
            return
        peer = next(each for each, known in self._connections.items() if known is source)
        connection = self._connections[peer]
        assert isinstance(connection, ssl.SSLSocket)
        data = b""
        try:
            data = connection.recv(65535)
            while connection.pending():
                data += connection.recv(65535)
        except OSError as error:
            self.failures.append(str(error))
        self._received[peer] += data
        if not data:
            self._selector.unregister(connection)
            self._connections.pop(peer).close()

    def _accept(self) -> None:
        plain, peer = self._listener.accept()
        plain.settimeout(_HANDSHAKE_S)
        with contextlib.ExitStack() as undo:
            undo.callback(plain.close)
            try:
                connection = self._server.wrap_socket(plain, server_side=True)
            except OSError as error:
                self.failures.append(str(error))
                return
            undo.pop_all()
        self._keep(connection, peer[:2])

    def _note_name(self, _: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        self.names_asked.append(name)


class TlsPhone(Phone):
    """A phone, or a recorder, that speaks TLS."""

    def __init__(
        self,
        name: str,
        proxy: Address,
        identity: Identity,
        *,
        trusted: str | None = None,
        claims: str | None = None,
    ) -> None:
        super().__init__(name, proxy, claims=claims)
        self.wire.close()
        self.tls = TlsWire("127.0.0.1", identity, trusted=trusted)
        self.wire, self.transport = self.tls, "tls"
        self.claims = claims or f"127.0.0.1:{self.tls.address[1]}"
        self.forget()
