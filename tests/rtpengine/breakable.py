"""A UDP proxy before rtpengine that can be broken: it drops, delays, repeats, or is deaf."""

import contextlib
import heapq
import select
import socket
import threading
import time


class BreakableProxy:
    """Forwards between one client and `target` in a thread, until the `with` block ends.

    Set the attributes at any time. `requests` and `replies` hold what came, also what was
    then dropped.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.drop_requests = 0
        self.drop_replies = 0
        self.delay_s = 0.0
        self.repeat_replies = 0
        self.deaf = False
        self.requests: list[bytes] = []
        self.replies: list[bytes] = []
        self._client: tuple[str, int] | None = None
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._front.getsockname()
        self._back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._back.connect(target)
        self._waker, self._wakened = socket.socketpair()
        self._delayed: list[tuple[float, bytes]] = []
        self._thread = threading.Thread(target=self._run, name="breakable-proxy")

    def __enter__(self) -> "BreakableProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._waker.close()
        self._thread.join()
        for each in (self._front, self._back, self._wakened):
            each.close()

    def _run(self) -> None:
        while True:
            wait_s = max(0.0, self._delayed[0][0] - time.monotonic()) if self._delayed else None
            sockets = [self._front, self._back, self._wakened]
            readable, _, _ = select.select(sockets, [], [], wait_s)
            if self._wakened in readable:
                return
            if self._front in readable:
                self._take_request()
            if self._back in readable:
                self._take_reply()
            self._release()

    def _take_request(self) -> None:
        datagram, self._client = self._front.recvfrom(65535)
        self.requests.append(datagram)
        if self.deaf:
            return
        if self.drop_requests:
            self.drop_requests -= 1
            return
        with contextlib.suppress(ConnectionRefusedError):
            self._back.send(datagram)

    def _take_reply(self) -> None:
        try:
            datagram = self._back.recv(65535)
        except ConnectionRefusedError:
            return
        self.replies.append(datagram)
        if self.drop_replies:
            self.drop_replies -= 1
            return
        for _ in range(1 + self.repeat_replies):
            heapq.heappush(self._delayed, (time.monotonic() + self.delay_s, datagram))

    def _release(self) -> None:
        while self._delayed and self._delayed[0][0] <= time.monotonic():
            _, datagram = heapq.heappop(self._delayed)
            if self._client is not None:
                self._front.sendto(datagram, self._client)
