"""A TCP proxy before a server that can be broken: deaf, slow, or gone."""

import selectors
import socket
import threading
import time

from tests.scenarios.polling import poll


class BreakableTcp:
    """Forwards TCP at `address` to a target in a thread, until the `with` block ends.

    The target is `host:port`, or the path of a unix socket. Set the attributes at any time:
    `deaf` takes and forwards nothing but keeps connections open, `delay_s` holds each reply,
    `refusing` closes what is open and what comes. `cut` closes what is open, once.
    """

    def __init__(self, target: str) -> None:
        self.deaf = False
        self.delay_s = 0.0
        self.refusing = False
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._other: dict[socket.socket, socket.socket] = {}
        self._is_reply: dict[socket.socket, bool] = {}
        self._to_cut = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="breakable-tcp")

    def cut(self) -> None:
        """Close all connections that are open, and go on listening; returns when it is done."""
        self._to_cut.set()
        poll(lambda: not self._to_cut.is_set())

    def __enter__(self) -> "BreakableTcp":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for each in list(self._other):
            self._drop(each)
        self._selector.close()
        self._listener.close()

    def _run(self) -> None:
        while not self._over.is_set():
            if self.refusing or self._to_cut.is_set():
                for each in list(self._other):
                    self._drop(each)
                self._to_cut.clear()
            ready = [key.fileobj for key, _ in self._selector.select(0.02)]
            if self.deaf:
                self._over.wait(0.005)
                continue
            for source in ready:
                assert isinstance(source, socket.socket)
                if source is self._listener:
                    self._accept()
                elif source in self._other:
                    self._forward(source)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if self.refusing:
            client.close()
            return
        try:
            server = self._connect()
        except OSError:
            client.close()
            return
        for each, other in ((client, server), (server, client)):
            self._other[each] = other
            self._is_reply[each] = each is server
            self._selector.register(each, selectors.EVENT_READ)

    def _connect(self) -> socket.socket:
        if "/" not in self._target:
            host, _, port = self._target.rpartition(":")
            return socket.create_connection((host, int(port)))
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self._target)
        except OSError:
            server.close()
            raise
        return server

    def _forward(self, source: socket.socket) -> None:
        try:
            data = source.recv(65536)
            if data and self.delay_s and self._is_reply[source]:
                time.sleep(self.delay_s)
            if data:
                self._other[source].sendall(data)
                return
        except OSError:
            pass
        self._drop(source)

    def _drop(self, source: socket.socket) -> None:
        other = self._other.get(source)
        for each in (source, other):
            if each is not None and each in self._other:
                self._selector.unregister(each)
                del self._other[each], self._is_reply[each]
                each.close()
