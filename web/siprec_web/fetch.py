"""Fetching URLs that others have given us: guarded, bounded in time and size, tried again."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from siprec_web.errors import FetchError, FetchFailed, FetchTimeout, UrlError
from siprec_web.guard import Guard
from siprec_web.overrides import Overrides, parse_url
from siprec_web.urls import origin, with_login

MAX_BYTES = 256 * 1024
MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_CHUNK = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The final answer: names of headers in lower case, `url` after redirects, number of tries."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    tries: int = 1


class Fetcher:
    """Fetches what the guard lets it. One may be used by many threads."""

    def __init__(self, guard: Guard, *, max_bytes: int = MAX_BYTES) -> None:
        self._guard = guard
        self._max_bytes = max_bytes

    def fetch(
        self,
        method: str,
        url: str,
        *,
        fields: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        overrides: Overrides | None = None,
    ) -> Response:
        """Send a GET, or a POST with a form, and follow redirects.

        Credentials in the URL are sent as Basic ones. What GET is to say stands in the URL
        already. An answer of 4xx or 5xx that the last try got is given like any other.

        Raises:
            FetchRefused, FetchTimeout, FetchFailed: of the last try.
            UrlError: the URL cannot be used.
        """
        overrides = overrides or Overrides()
        until_s = time.monotonic() + overrides.total_ms / 1000
        for number in range(1, overrides.retries + 2):
            is_last = number == overrides.retries + 1
            try:
                answer = _Try(self._guard, self._max_bytes, overrides, until_s).run(
                    method, url, dict(fields or {}), dict(headers or {})
                )
            except FetchError as error:
                if is_last or _kind(error) not in overrides.retry_on:
                    raise
                continue
            if is_last or f"{answer.status // 100}xx" not in overrides.retry_on:
                return Response(
                    status=answer.status,
                    headers=answer.headers,
                    body=answer.body,
                    url=answer.url,
                    tries=number,
                )
        raise AssertionError("the last try returns or raises")


def _kind(error: FetchError) -> str:
    kinds = {"connect": "ct", "read": "rt"}
    return kinds.get(error.kind, "") if isinstance(error, FetchTimeout) else ""


class _Try:
    """One try, with its redirects. All its connections end at `until_s`."""

    def __init__(self, guard: Guard, max_bytes: int, overrides: Overrides, until_s: float) -> None:
        self._guard = guard
        self._max_bytes = max_bytes
        self._overrides = overrides
        self._until_s = until_s
        self._open: list[socket.socket] = []
        self._is_late = False
        self._lock = threading.Lock()

    def run(
        self, method: str, url: str, fields: dict[str, str], headers: dict[str, str]
    ) -> Response:
        with self._bounded(), requests.Session() as session:
            # No proxies and no credentials of the environment.
            session.trust_env = False
            for scheme in ("http://", "https://"):
                session.mount(scheme, _Adapter(self._connect))
            for _ in range(MAX_REDIRECTS + 1):
                answer = self._ask(session, method, url, fields, headers)
                where = answer.headers.get("location")
                if answer.status not in _REDIRECTS or not where:
                    return answer
                before = url
                try:
                    url, _ = parse_url(with_login(urljoin(answer.url, where), before))
                except UrlError as error:
                    raise FetchFailed(f"redirected to what is no URL: {error}") from error
                if origin(url) != origin(before):
                    # What is for the first server, a signature for one, is not for others.
                    headers = {}
                if answer.status == 303 or (answer.status < 303 and method == "POST"):
                    method, fields = "GET", {}
            raise FetchFailed(f"redirected more than {MAX_REDIRECTS} times")

    def _ask(
        self,
        session: requests.Session,
        method: str,
        url: str,
        fields: dict[str, str],
        headers: dict[str, str],
    ) -> Response:
        plain, auth = _credentials(url)
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise FetchTimeout("total", f"no answer in {self._overrides.total_ms} ms")
        connect_s = min(self._overrides.connect_ms / 1000, left_s)
        read_s = min(self._overrides.read_ms / 1000, left_s)
        try:
            with session.request(
                method,
                plain,
                data=fields or None,
                headers=headers,
                auth=auth,
                timeout=(connect_s, read_s),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = self._body(response)
                named = {name.lower(): value for name, value in response.headers.items()}
                return Response(status=response.status_code, headers=named, body=body, url=plain)
        except FetchError:
            raise
        except (requests.RequestException, OSError, ValueError) as error:
            raise self._meaning(error) from error

    def _body(self, response: requests.Response) -> bytes:
        body = b""
        for chunk in response.iter_content(_CHUNK):
            body += chunk
            if len(body) > self._max_bytes:
                raise FetchFailed(f"the answer is over {self._max_bytes} bytes")
        if self._is_late:
            raise FetchTimeout("total", f"no answer in {self._overrides.total_ms} ms")
        return body

    def _meaning(self, error: Exception) -> FetchError:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, FetchError):
                return cause
            reason = getattr(cause, "reason", None)
            known = reason if isinstance(reason, BaseException) else None
            cause = known or cause.__cause__ or cause.__context__
        if self._is_late or time.monotonic() >= self._until_s:
            return FetchTimeout("total", f"no answer in {self._overrides.total_ms} ms")
        if isinstance(error, requests.ConnectTimeout):
            return FetchTimeout("connect", f"no connection in {self._overrides.connect_ms} ms")
        if isinstance(error, requests.Timeout) or "Read timed out" in str(error):
            return FetchTimeout("read", f"no answer in {self._overrides.read_ms} ms")
        return FetchFailed(f"{type(error).__name__}: the connection failed or broke")

    # Connections

    def _connect(self, connection: HTTPConnection) -> socket.socket:
        """Connect to an address that was checked, and no other."""
        host, port = connection.host, connection.port
        fault: Exception | None = None
        try:
            addresses = self._guard.resolve(host.strip("[]"), port, self._left_s())
        except TimeoutError as error:
            raise ConnectTimeoutError(connection, f"{host} took too long: {error}") from error
        for address in addresses:
            # Of several addresses each may be silent.
            try:
                made = socket.create_connection((str(address), port), self._left_s())
            except TimeoutError as error:
                fault = ConnectTimeoutError(connection, f"{host} took too long: {error}")
            except OSError as error:
                fault = NewConnectionError(connection, f"{host}: {error}")
            else:
                self._watch(made)
                return made
        raise fault or FetchFailed(f"no address of {host}")

    def _left_s(self) -> float:
        return max(0.001, min(self._overrides.connect_ms / 1000, self._until_s - time.monotonic()))

    def _watch(self, made: socket.socket) -> None:
        # TLS takes the socket itself over.
        with self._lock:
            if self._is_late:
                made.close()
                raise FetchTimeout("total", f"no answer in {self._overrides.total_ms} ms")
            self._open.append(made.dup())

    @contextlib.contextmanager
    def _bounded(self) -> Iterator[None]:
        """Break every connection at the end of the time: a server that drips has no timeout."""
        timer = threading.Timer(max(0.0, self._until_s - time.monotonic()), self._break)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                for each in self._open:
                    each.close()
                self._open.clear()

    def _break(self) -> None:
        with self._lock:
            self._is_late = True
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """Opens connections by a function of ours."""

    def __init__(self, connect: Any) -> None:
        self._connect = connect
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make a pool whose connections are checked."""
        super().init_poolmanager(*args, **kwargs)
        connect = self._connect

        class Http(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                made: socket.socket = connect(self)
                return made

        class Https(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                made: socket.socket = connect(self)
                return made

        class HttpPool(HTTPConnectionPool):
            ConnectionCls = Http

        class HttpsPool(HTTPSConnectionPool):
            ConnectionCls = Https

        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"http": HttpPool, "https": HttpsPool}


def _credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """Take credentials out of a URL."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    name, _, password = user.partition(":")
    return urlunsplit(parts._replace(netloc=host)), (unquote(name), unquote(password))
