"""Documents that are fetched over HTTP: SIP workers ask, one process fetches and goes on.

A worker suspends the INVITE and throws a request in; it waits for nothing. The process fetches in
threads, and its main thread goes on with the transaction: tm runs the handler inside that.
"""

import queue
import selectors
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_network

from siprec.inbox import Notice
from siprec.record import RecordError, from_json, to_json
from siprec.settings import Runtime
from siprec.store import Store, connect
from siprec.vault import Vault
from siprec_documents.library import MAX_BYTES, Found, Library, Wanted
from siprec_kemi import ksr
from siprec_kemi.loopback import open_receiver, open_sender
from siprec_kemi.proxy.shares import FETCHES, Shares
from siprec_web.fetch import Fetcher
from siprec_web.guard import Guard

RECEIVE_BYTES = 8 * 1024 * 1024
REQUEST_BYTES = 65_000
REDIS_S = 2.0
BATCH = 64

ON_FETCHED = "ksr_call_fetched"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest(Wanted):
    """What a suspended INVITE waits for. A record."""

    index: int
    label: int


class FetchesFull(RuntimeError):
    """The request could not be handed over."""


class Fetches:
    """Both ends. Made before Kamailio forks, so that every worker knows the port."""

    def __init__(self) -> None:
        self._receiver = open_receiver(RECEIVE_BYTES)
        self._sender = open_sender()
        self._sender.connect(self._receiver.getsockname())
        self.found: Found | None = None

    def put(self, request: FetchRequest) -> None:
        """Hand a request over without waiting.

        Raises:
            FetchesFull: it is too long for a datagram, or the socket is full.
        """
        datagram = to_json(request).encode()
        if len(datagram) > REQUEST_BYTES:
            raise FetchesFull(f"a request of {len(datagram)} bytes is too long")
        try:
            self._sender.send(datagram)
        except OSError as error:
            raise FetchesFull(str(error)) from error

    def serve(self, library: Library) -> None:
        """Fetch, for ever. Runs in a process of its own; `found` is for its handler."""
        _Desk(self, self._receiver, library).run()


def library_of(runtime: Runtime) -> Library:
    """Open what the process needs to fetch: the guard of the operator, tokens that sign."""
    settings = runtime.settings
    allow = tuple(ip_network(text) for text in settings.control.allow_private_urls)
    url, prefix = settings.redis.url or "", settings.redis.prefix
    store = Store(connect(url, timeout_s=REDIS_S), prefix, Vault.from_runtime(runtime))
    return Library(Fetcher(Guard(allow=allow), max_bytes=MAX_BYTES), store.account_token)


class _Desk:
    """What is asked for, and what was found."""

    def __init__(self, fetches: Fetches, receiver: socket.socket, library: Library) -> None:
        self._fetches = fetches
        self._receiver = receiver
        self._library = library
        self._done: queue.SimpleQueue[tuple[FetchRequest, Found]] = queue.SimpleQueue()
        self._bell, self._ring = socket.socketpair()
        for each in (receiver, self._bell, self._ring):
            each.setblocking(False)
        self._shares = Shares(FETCHES)
        self._threads = ThreadPoolExecutor(FETCHES, thread_name_prefix="fetch")

    def run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._receiver, selectors.EVENT_READ, self._take_requests)
            selector.register(self._bell, selectors.EVENT_READ, self._take_done)
            while True:
                for key, _ in selector.select():
                    key.data()

    def _take_requests(self) -> None:
        for _ in range(BATCH):
            try:
                data = self._receiver.recv(REQUEST_BYTES + 1)
            except BlockingIOError:
                return
            try:
                request = from_json(FetchRequest, data.decode())
            except (RecordError, UnicodeDecodeError) as error:
                ksr.log("error", f"a request for a document is not understood: {error}")
                continue
            if self._shares.take(request.account_sid):
                self._threads.submit(self._fetch, request)
            else:
                # At once, here: nobody is asked.
                self._go_on(request, self._library.find_kept(request))

    def _take_done(self) -> None:
        try:
            self._bell.recv(4096)
        except BlockingIOError:
            return
        while not self._done.empty():
            request, found = self._done.get()
            self._shares.give_back(request.account_sid)
            self._go_on(request, found)

    def _go_on(self, request: FetchRequest, found: Found) -> None:
        self._fetches.found = found
        # One that was cancelled meanwhile, or given up, is gone.
        ksr.resume(request.index, request.label, ON_FETCHED)
        self._fetches.found = None

    def _fetch(self, request: FetchRequest) -> None:
        """Look for a document; whatever happens, the call goes on."""
        try:
            found = self._library.find(request)
        except Exception as error:
            ksr.log("error", f"a document could not be looked for: {type(error).__name__}: {error}")
            notice = Notice(code=11200, text="the document could not be fetched: a defect of ours")
            found = Found(program=None, notices=(notice,))
        self._done.put((request, found))
        try:
            self._ring.send(b".")
        except BlockingIOError:
            # It rings already.
            return
