"""HTTP servers of a test, in threads, that note what reaches them."""

import contextlib
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class Asked:
    """A request that came: method, path, headers by lower-case name, body."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.path, self.headers, self.body = method, path, headers, body


Answer = Callable[[BaseHTTPRequestHandler, Asked], None]


def say(status: int = 200, body: bytes = b"hello", headers: dict[str, str] | None = None) -> Answer:
    """Answer always the same."""

    def answer(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        with contextlib.suppress(OSError):
            handler.wfile.write(body)

    return answer


class Server:
    """A server at `url`, on a host of loopback, that answers as it is told. Use it with `with`."""

    def __init__(self, answer: Answer | None = None, host: str = "127.0.0.1") -> None:
        self.asked: list[Asked] = []
        self.connections = 0
        server, say_so = self, answer or say()

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                server.connections += 1
                super().handle_one_request()

            def _take(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                named = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, named, body)
                server.asked.append(asked)
                say_so(self, asked)

            do_GET = do_POST = _take

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Http(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        self._http = Http((host, 0), Handler)
        self.port: int = self._http.server_address[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
