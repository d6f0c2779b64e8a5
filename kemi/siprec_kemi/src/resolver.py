"""Names of recorders to addresses, in threads: a dead DNS must not stop the event loop."""

import ipaddress
import socket
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from siprec_kemi.clock import monotonic_s

THREADS = 4
FRESH_S = 60.0
DEFAULT_PORT = 5060

Done = Callable[[str | None, str], None]


@dataclass(frozen=True, slots=True)
class _Known:
    ip: str
    until_s: float


class Resolver:
    """Looks host names up (A, AAAA) and keeps the answer for a minute.

    `wake` is called from another thread when an answer waits for `deliver`.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="dns")
        self._known: dict[str, _Known] = {}
        self._asked: dict[str, list[Done]] = {}
        self._answers: deque[tuple[str, Future[str]]] = deque()

    def resolve(self, host: str, done: Done) -> None:
        """Call `done(ip, "")` or `done(None, why)`: at once when known, else from `deliver`."""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            pass
        else:
            done(host, "")
            return
        known = self._known.get(host)
        if known is not None and monotonic_s() < known.until_s:
            done(known.ip, "")
            return
        waiting = self._asked.setdefault(host, [])
        waiting.append(done)
        if len(waiting) == 1:
            future = self._pool.submit(_look_up, host)
            future.add_done_callback(lambda answer: self._note(host, answer))

    def _note(self, host: str, answer: Future[str]) -> None:
        self._answers.append((host, answer))
        self._wake()

    def deliver(self) -> None:
        """Hand out the answers that came."""
        while self._answers:
            host, answer = self._answers.popleft()
            error = answer.exception()
            ip = None if error is not None else answer.result()
            if ip is not None:
                self._known[host] = _Known(ip, monotonic_s() + FRESH_S)
            for done in self._asked.pop(host, ()):
                done(ip, f"{host}: {error}" if ip is None else "")


def _look_up(host: str) -> str:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return str(found[0][4][0])
