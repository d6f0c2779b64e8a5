"""The documents of called numbers: a short-lived cache, else Redis within 50 ms."""

import contextlib
from collections import OrderedDict
from dataclasses import dataclass

from siprec.numbers import candidates
from siprec.record import RecordError, from_json
from siprec.store import Store, StoreUnavailable, connect
from siprec.twiml_run import Program
from siprec_kemi import ksr
from siprec_kemi.clock import monotonic_s
from siprec_kemi.proxy.breaker import Breaker

FRESH_S = 1.5
KEPT = 20_000
# Connecting and asking together stay within the 50 ms that a call may pay once.
CONNECT_S = 0.01
REPLY_S = 0.04


class DocumentUnknown(RuntimeError):
    """Redis could not be asked, and nothing is known of the number from before."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a called number follows."""

    account_sid: str
    program: Program


class Documents:
    """One per SIP worker. A Redis that does not answer leaves what was known last in force."""

    def __init__(self, redis_url: str, prefix: str, breaker: Breaker) -> None:
        client = connect(redis_url, timeout_s=REPLY_S, connect_s=CONNECT_S)
        self._store = Store(client, prefix)
        self._breaker = breaker
        self._known: OrderedDict[str, tuple[float, Document | None]] = OrderedDict()

    def warm_up(self) -> None:
        """Connect before the first call has to."""
        with contextlib.suppress(StoreUnavailable):
            self._store.number("")

    def find(self, called: str) -> Document | None:
        """Give the document of a called user part, None when the number has none.

        Raises:
            DocumentUnknown: nobody can say; the call goes on without.
        """
        now = monotonic_s()
        fresh_until, document = self._known.get(called, (0.0, None))
        if now < fresh_until:
            return document
        if self._breaker.is_open():
            return self._last_known(called, "Redis is away")
        try:
            document = self._fetch(called)
        except StoreUnavailable as error:
            self._breaker.trip()
            ksr.log("warning", f"number {called}: {error}; what is known is used for a while")
            return self._last_known(called, str(error))
        except RecordError as error:
            ksr.log("error", f"number {called}: its stored document is damaged: {error}")
            document = None
        self._keep(called, now + FRESH_S, document)
        return document

    def _last_known(self, called: str, why: str) -> Document | None:
        if called not in self._known:
            raise DocumentUnknown(f"the document of number {called!r} is not known: {why}")
        return self._known[called][1]

    def _fetch(self, called: str) -> Document | None:
        if not candidates(called):
            return None
        number = self._store.find_number(called)
        if number is None:
            return None
        return Document(number.account_sid, from_json(Program, number.program))

    def _keep(self, called: str, fresh_until: float, document: Document | None) -> None:
        self._known[called] = (fresh_until, document)
        self._known.move_to_end(called)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
