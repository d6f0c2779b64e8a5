"""Documents of called numbers: cached, and never waited for when Redis is away."""

from collections.abc import Iterator

import pytest

from siprec.connector import Connector, Srs
from siprec.health import SrsHealth, srs_key
from siprec.keys import connectors_key, health_key
from siprec.numbers import Number
from siprec.record import SEALED, to_json
from siprec.settings import RedisSettings
from siprec.store import Client, Store
from siprec.twiml import compile_document
from siprec.twiml_run import Program
from siprec_kemi.proxy import documents as module
from siprec_kemi.proxy.breaker import Breaker
from siprec_kemi.proxy.documents import (
    FRESH_S,
    HEALTH_FRESH_S,
    Document,
    Documents,
    DocumentUnknown,
)
from siprec_kemi.proxy.lookups import connect_for_lookups
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
        self._client = connect_for_lookups(RedisSettings(url=AWAY))
        self._store = Store(self._client, prefix)

    def close(self) -> None:
        """Close the connection."""
        self._store.close()


@pytest.fixture
def documents(
    redis_server: RedisServer, prefix: str, clock: list[float], ksr: StrictKsr
) -> Iterator[OpenDocuments]:
    opened = OpenDocuments(RedisSettings(url=redis_server.url, prefix=prefix), Breaker())
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


# Connectors that a call must have

URI = "sip:127.0.0.1:5090"


def start(*names: str) -> str:
    """Write a `<Start>` of a stream to each connector."""
    streams = (f'<Siprec name="{name}" connectorName="{name}"/>' for name in names)
    return f"<Start>{''.join(streams)}</Start>"


DIAL = "<Dial>+1</Dial>"


def put_twiml(store: Store, pattern: str, *verbs: str) -> None:
    program = compile_document(f"<Response>{''.join(verbs)}</Response>".encode())
    put(store, pattern, "AC1", to_json(program))


def put_connector(
    store: Store, name: str, *, required: bool = True, end_call_s: int | None = None
) -> Connector:
    connector = Connector(
        account_sid="AC1",
        name=name,
        srs=(Srs(uri=URI),),
        required=required,
        end_call_s=end_call_s,
    )
    store.put_connector(connector)
    return connector


def report(store: Store, name: str, *, reachable: bool) -> None:
    store.put_health(SrsHealth(key=srs_key("AC1", name, URI), reachable=reachable, checked_ms=1))


def required(documents: Documents, called: str = "1") -> list[str]:
    """Name the connectors that a call to the number must have."""
    document = documents.find(called)
    assert document is not None
    return [connector.name for connector in document.required]


def unmet(documents: Documents, called: str = "1") -> str | None:
    """Name the connector for whose sake a call to the number is refused."""
    document = documents.find(called)
    assert document is not None
    connector = documents.unmet(document)
    return None if connector is None else connector.name


@pytest.mark.parametrize(
    ("verbs", "names"),
    [
        ((start("A", "B", "Best", "Absent"), DIAL), ["A", "B"]),
        ((start("A"), "<Pause/>", start("B"), "<Pause/>", DIAL), ["A", "B"]),
        ((start("A"), DIAL, start("B"), DIAL), ["A"]),
        ((start("A", "B"), '<Stop><Siprec name="A"/></Stop>', DIAL), ["B"]),
        ((start("A"), "<Reject/>"), []),
        ((start("A"), "<Pause/>", "<Hangup/>"), []),
        ((start("A"),), []),
        ((DIAL,), []),
    ],
)
def test_connectors_are_required_when_the_first_dial_begins_streams_to_them(
    documents: OpenDocuments, store: Store, verbs: tuple[str, ...], names: list[str]
) -> None:
    put_connector(store, "A")
    put_connector(store, "B")
    put_connector(store, "Best", required=False)
    put_twiml(store, "1", *verbs)
    assert required(documents) == names


@pytest.mark.parametrize(
    ("is_required", "end_call_s", "expected"),
    [(True, 5, True), (True, None, False), (False, 5, False)],
)
def test_document_may_end_calls_when_a_required_connector_says_so(
    documents: OpenDocuments,
    store: Store,
    is_required: bool,
    end_call_s: int | None,
    expected: bool,
) -> None:
    put_connector(store, "A", required=is_required, end_call_s=end_call_s)
    put_twiml(store, "1", DIAL, start("A"), DIAL)
    document = documents.find("1")
    assert document is not None
    assert document.may_end_calls is expected


def test_connector_is_looked_at_again_with_the_number(
    documents: OpenDocuments, store: Store, clock: list[float]
) -> None:
    put_connector(store, "A", required=False)
    put_twiml(store, "1", start("A"), DIAL)
    assert required(documents) == []
    put_connector(store, "A")
    clock[0] += FRESH_S
    assert required(documents) == ["A"]
    put_connector(store, "B")
    put_twiml(store, "1", start("B"), DIAL)
    clock[0] += FRESH_S
    assert required(documents) == ["B"]


def test_number_costs_one_round_trip_once_its_connectors_are_known(
    documents: OpenDocuments, store: Store, client: Client, clock: list[float]
) -> None:
    put_connector(store, "A", required=False)
    put_twiml(store, "*", start("A"), DIAL)
    documents.find("1")

    def round_trips(called: str) -> int:
        before: int = client.info("stats")["total_reads_processed"]
        document = documents.find(called)
        assert document is not None
        assert documents.unmet(document) is None
        return int(client.info("stats")["total_reads_processed"]) - before - 1

    assert round_trips("2") == 1
    assert round_trips("2") == 0
    clock[0] += FRESH_S
    assert round_trips("1") == 1


def test_connector_that_is_damaged_is_logged_and_does_not_lose_the_document(
    documents: OpenDocuments, store: Store, client: Client, prefix: str, ksr: StrictKsr
) -> None:
    client.hset(connectors_key(prefix, "AC1"), "A", "{")
    put_twiml(store, "1", start("A"), DIAL)
    assert required(documents) == []
    assert [level for level, _ in ksr.named("log")] == ["err"]


def test_connector_with_sealed_secrets_is_read_without_a_key(
    documents: OpenDocuments, store: Store, client: Client, prefix: str
) -> None:
    text = to_json(put_connector(store, "A"))
    sealed = f'{text[:-1]},"credential_value":"{SEALED}secret"}}'
    client.hset(connectors_key(prefix, "AC1"), "A", sealed)
    put_twiml(store, "1", start("A"), DIAL)
    document = documents.find("1")
    assert document is not None
    assert [connector.credential_value for connector in document.required] == [""]


def test_required_connector_is_unmet_once_its_recorder_is_known_to_be_dead(
    documents: OpenDocuments, store: Store, clock: list[float]
) -> None:
    put_connector(store, "A")
    put_connector(store, "B")
    put_twiml(store, "1", start("A", "B"), DIAL)
    assert unmet(documents) is None
    report(store, "A", reachable=True)
    report(store, "B", reachable=False)
    assert unmet(documents) is None
    clock[0] += HEALTH_FRESH_S
    assert unmet(documents) == "B"
    report(store, "B", reachable=True)
    clock[0] += HEALTH_FRESH_S
    assert unmet(documents) is None


def test_required_connector_counts_as_alive_while_redis_is_away(
    documents: OpenDocuments, store: Store, prefix: str, ksr: StrictKsr, clock: list[float]
) -> None:
    put_connector(store, "A")
    put_twiml(store, "1", start("A"), DIAL)
    report(store, "A", reachable=False)
    assert unmet(documents) == "A"
    documents.lose_redis(prefix)
    clock[0] += HEALTH_FRESH_S
    assert unmet(documents) is None
    assert unmet(documents) is None
    assert [level for level, _ in ksr.named("log")] == ["warn"]


def test_required_connector_counts_as_alive_when_its_health_is_damaged(
    documents: OpenDocuments, store: Store, client: Client, prefix: str, ksr: StrictKsr
) -> None:
    put_connector(store, "A")
    put_twiml(store, "1", start("A"), DIAL)
    client.hset(health_key(prefix), "x", "{")
    assert unmet(documents) is None
    assert [level for level, _ in ksr.named("log")] == ["err"]
