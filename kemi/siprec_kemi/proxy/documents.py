"""The documents of called numbers: a short-lived cache, else Redis, while a call may wait."""

import contextlib
from collections import OrderedDict
from dataclasses import dataclass

from siprec.connector import Connector
from siprec.keys import connectors_key, numbers_key
from siprec.numbers import Number, candidates
from siprec.record import RecordError, from_json
from siprec.settings import RedisSettings
from siprec.store import Store, StoreUnavailable, redis_errors
from siprec.twiml_run import Program, Source
from siprec_kemi import ksr
from siprec_kemi.clock import monotonic_s, now_ms
from siprec_kemi.proxy.breaker import Breaker
from siprec_kemi.proxy.lookups import connect_for_lookups
from siprec_kemi.proxy.required import Recorders, certain_orders, named_connectors

FRESH_S = 1.5
HEALTH_FRESH_S = 1.0
KEPT = 20_000


class DocumentUnknown(RuntimeError):
    """Redis could not be asked, and nothing is known of the number from before."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a called number follows.

    `required` are the connectors without which no call to the number may be answered.
    `may_end_calls` tells whether a recording that is lost may have to end the call, and
    `records_early` whether one may begin before the answer. `sources` are where a document is
    fetched, before that of the number itself; `program` is None when it has none.
    """

    account_sid: str
    program: Program | None
    required: tuple[Connector, ...] = ()
    may_end_calls: bool = False
    records_early: bool = False
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class _Named:
    """Connectors by name, of one account."""

    account_sid: str
    names: tuple[str, ...]


class Documents:
    """One per SIP worker. A Redis that does not answer leaves what was known last in force."""

    def __init__(self, settings: RedisSettings, breaker: Breaker) -> None:
        self._client = connect_for_lookups(settings)
        self._store = Store(self._client, settings.prefix)
        self._prefix = settings.prefix
        self._breaker = breaker
        self._known: OrderedDict[str, tuple[float, Document | None]] = OrderedDict()
        self._recorders: tuple[float, Recorders] | None = None
        self._likely = _Named("", ())

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

    def of_program(self, account_sid: str, program: Program) -> Document:
        """Give a document that was fetched, with what its connectors ask of the call.

        Without Redis, they ask nothing.
        """
        named = _Named(account_sid, named_connectors(program))
        texts: list[str | None] = []
        if named.names and not self._breaker.is_open():
            try:
                texts = self._connectors(named)
            except StoreUnavailable as error:
                self._breaker.trip()
                ksr.log("warning", f"{error}; connectors of a fetched document are not known")
        return _document(account_sid, program, texts)

    def unmet(self, document: Document) -> Connector | None:
        """Give a required connector of the document of which no SRS lives; None when all is well.

        What nobody knows counts as alive, and so does everything while Redis is away: then
        nobody could say whether a call is recorded.
        """
        if not document.required or self._breaker.is_open():
            return None
        try:
            recorders = self._known_recorders()
        except StoreUnavailable as error:
            self._breaker.trip()
            ksr.log("warning", f"{error}; required connectors count as alive for a while")
            return None
        except RecordError as error:
            ksr.log("error", f"the stored health of recorders is damaged: {error}")
            return None
        return recorders.unmet(document.required, now_ms())

    def _known_recorders(self) -> Recorders:
        now = monotonic_s()
        if self._recorders is None or now >= self._recorders[0]:
            healths, loads = self._store.healths(), self._store.loads(now_ms())
            known = Recorders(healths=healths, loads=tuple(loads))
            self._recorders = (now + HEALTH_FRESH_S, known)
        return self._recorders[1]

    def _last_known(self, called: str, why: str) -> Document | None:
        if called not in self._known:
            raise DocumentUnknown(f"the document of number {called!r} is not known: {why}")
        return self._known[called][1]

    def _fetch(self, called: str) -> Document | None:
        """Ask for the number and, in the same round trip, for the connectors it likely names."""
        patterns = candidates(called)
        if not patterns:
            return None
        likely = self._likely
        with redis_errors():
            pipe = self._client.pipeline(transaction=False)
            pipe.hmget(numbers_key(self._prefix), patterns)
            if likely.names:
                pipe.hmget(connectors_key(self._prefix, likely.account_sid), likely.names)
            texts, *more = pipe.execute()
        best = next((text for text in texts if text is not None), None)
        if best is None:
            return None
        number = from_json(Number, best)
        if number.sources:
            # What the document will name is not known yet.
            own = from_json(Program, number.program) if number.program else None
            return Document(number.account_sid, own, sources=number.sources)
        program = from_json(Program, number.program)
        named = _Named(number.account_sid, named_connectors(program))
        if named.names and named != likely:
            self._likely = named
            more = [self._connectors(named)]
        return _document(number.account_sid, program, more[0] if named.names else [])

    def _connectors(self, named: _Named) -> list[str | None]:
        with redis_errors():
            key = connectors_key(self._prefix, named.account_sid)
            texts: list[str | None] = self._client.hmget(key, named.names)
            return texts

    def _keep(self, called: str, fresh_until: float, document: Document | None) -> None:
        self._known[called] = (fresh_until, document)
        self._known.move_to_end(called)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)


def _document(account_sid: str, program: Program, texts: list[str | None]) -> Document:
    read = [_connector(text) for text in texts if text is not None]
    connectors = [each for each in read if each is not None]
    required = {each.name: each for each in connectors if each.required}
    certain = dict.fromkeys(order.connector_name for order in certain_orders(program))
    return Document(
        account_sid,
        program,
        required=tuple(required[name] for name in certain if name in required),
        may_end_calls=any(each.end_call_s is not None for each in required.values()),
        records_early=any(each.early_media for each in connectors),
    )


def _connector(text: str) -> Connector | None:
    """Read a connector, without its secrets: they are none of the proxy's business."""
    try:
        return from_json(Connector, text, lambda sealed: "")
    except RecordError as error:
        ksr.log("error", f"a stored connector is damaged: {error}")
        return None
