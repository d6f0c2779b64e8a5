"""Documents of called numbers: cached, and never waited for when Redis is away."""

from collections.abc import Iterator

import pytest

from siprec.model import Number
from siprec.record import to_json
from siprec.store import Client, Store
from siprec.twiml_run import Program
from siprec_kemi.proxy import documents as module
from siprec_kemi.proxy.breaker import Breaker
from siprec_kemi.proxy.documents import FRESH_S, Document, Documents, DocumentUnknown
from tests.control.processes import RedisServer
from tests.kemi.strict_ksr import StrictKsr

PROGRAM = to_json(Program())
AWAY = "redis://127.0.0.1:1"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000.0]
    monkeypatch.setattr(module, "monotonic_s", lambda: now[0])
    return now


@pytest.fixture
def store(client: Client, prefix: str) -> Store:
    return Store(client, prefix)


class OpenDocuments(Documents):
    """Documents whose Redis a test may lose and close."""

    def lose_redis(self, prefix: str) -> None:
        """Let Redis be away from now on."""
        self.close()
        self._store = Store.connect(AWAY, prefix, timeout_s=module.REPLY_S)

    def close(self) -> None:
        """Close the connection."""
        self._store.close()


@pytest.fixture
def documents(
    redis_server: RedisServer, prefix: str, clock: list[float], ksr: StrictKsr
) -> Iterator[OpenDocuments]:
    opened = OpenDocuments(redis_server.url, prefix, Breaker())
    yield opened
    opened.close()


def put(store: Store, pattern: str, account_sid: str, program: str = PROGRAM) -> None:
    store.put_number(
        Number(pattern=pattern, account_sid=account_sid, twiml="<Response/>", program=program)
    )


def test_document_is_found_by_the_best_pattern(documents: OpenDocuments, store: Store) -> None:
    put(store, "+1555*", "AC1")
    assert documents.find("+15551") == Document("AC1", Program())
    assert documents.find("+49") is None
    assert documents.find("") is None


def test_document_is_kept_a_moment_and_then_asked_for_again(
    documents: OpenDocuments, store: Store, clock: list[float]
) -> None:
    put(store, "1", "AC1")
    documents.find("1")
    documents.find("2")
    put(store, "1", "AC2")
    put(store, "2", "AC2")
    clock[0] += FRESH_S - 0.01
    assert documents.find("1") == Document("AC1", Program())
    assert documents.find("2") is None
    clock[0] += 0.01
    assert documents.find("1") == Document("AC2", Program())
    assert documents.find("2") == Document("AC2", Program())


def test_redis_away_leaves_the_last_known_in_force_and_is_asked_once(
    documents: OpenDocuments, store: Store, clock: list[float], prefix: str, ksr: StrictKsr
) -> None:
    put(store, "1", "AC1")
    documents.find("1")
    clock[0] += FRESH_S
    documents.lose_redis(prefix)
    assert documents.find("1") == Document("AC1", Program())
    with pytest.raises(DocumentUnknown, match="number '2' is not known: Redis is away"):
        documents.find("2")
    assert [level for level, _ in ksr.named("log")] == ["warn"]


@pytest.mark.parametrize("program", ["", "{", '{"steps": 1}'])
def test_damaged_document_is_logged_and_counts_as_none(
    documents: OpenDocuments, store: Store, ksr: StrictKsr, program: str
) -> None:
    put(store, "1", "AC1", program)
    assert documents.find("1") is None
    assert [level for level, _ in ksr.named("log")] == ["err"]


def test_documents_known_are_bounded(
    documents: OpenDocuments,
    store: Store,
    clock: list[float],
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    put(store, "*", "AC1")
    for called in ("1", "2", "3"):
        documents.find(called)
    clock[0] += FRESH_S
    documents.lose_redis(prefix)
    with pytest.raises(DocumentUnknown):
        documents.find("1")
    assert documents.find("2") == documents.find("3") == Document("AC1", Program())
