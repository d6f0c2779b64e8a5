"""A web server that takes callbacks, and is slow, deaf, or in a bad mood when a test says so."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from twilio.request_validator import RequestValidator

from tests.scenarios.polling import poll

WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the server saw it. `url` has the host that was asked for."""

    method: str
    url: str
    fields: dict[str, str]
    headers: dict[str, str]

    @property
    def path(self) -> str:
        """Give the path."""
        return urlsplit(self.url).path

    @property
    def event(self) -> str:
        """Give the SiprecEvent."""
        return self.fields["SiprecEvent"]

    @property
    def token(self) -> str:
        """Give the idempotency token."""
        return self.headers["i-twilio-idempotency-token"]

    def is_signed_with(self, token: str) -> bool:
        """Let Twilio's own validator check the signature."""
        form = self.fields if self.method == "POST" else {}
        signature = self.headers["x-twilio-signature"]
        return bool(RequestValidator(token).validate(self.url, form, signature))


Answer = Callable[[Request], int]


class Receiver:
    """Answers 200, or what `answer` says of a request; keeps all requests, in order."""

    def __init__(self, port: int = 0) -> None:
        self.answer: Answer = lambda request: 200
        self.requests: list[Request] = []
        self._released = threading.Event()
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"receiver": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening; who hangs is let go."""
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, path: str = "/status", fragment: str = "") -> str:
        """Give the URL of a path here."""
        return f"http://127.0.0.1:{self.port}{path}" + (f"#{fragment}" if fragment else "")

    def hang(self, request: Request) -> int:
        """Answer nothing until `close` or `release`."""
        self._released.wait(WAIT_S)
        return 200

    def release(self) -> None:
        """Let those go that hang, and answer at once from now on."""
        self.answer = lambda request: 200
        self._released.set()

    def take(self, request: Request) -> int:
        """Keep a request; give the status of the answer."""
        with self._lock:
            self.requests.append(request)
            answer = self.answer
        return answer(request)

    def wait_for(self, count: int, within_s: float = WAIT_S) -> list[Request]:
        """Wait for so many requests; give all that there are."""
        poll(
            lambda: len(self.requests) >= count,
            within_s,
            why=lambda: f"{len(self.requests)} of {count} requests: {self.events}",
        )
        return list(self.requests)

    @property
    def events(self) -> list[str]:
        """Name the events of all requests."""
        return [request.event for request in list(self.requests)]


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        self._answer(dict(parse_qsl(body, keep_blank_values=True, strict_parsing=True)))

    def _answer(self, form: dict[str, str]) -> None:
        url = f"http://{self.headers['host']}{self.path}"
        query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        fields = form if self.command == "POST" else query
        status = self.receiver.take(Request(self.command, url, fields, headers))
        try:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()
        except OSError:
            # Who asked does not wait any more.
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
