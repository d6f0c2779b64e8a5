"""A controller knows a connector that was set a second ago, and asks Redis no more often."""

from pathlib import Path

import pytest

from siprec.connector import Connector, Srs
from siprec.store import Client, Store, StoreUnavailable
from siprec_kemi.src import connectors as module
from siprec_kemi.src.connectors import FRESH_S, KEPT, Connectors
from tests.control.processes import RedisServer
from tests.kemi.redis_link import RedisLink


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000.0]
    monkeypatch.setattr(module, "monotonic_s", lambda: now[0])
    return now


def _connector(uri: str, account_sid: str = "AC1") -> Connector:
    return Connector(account_sid=account_sid, name="Pool", srs=(Srs(uri=uri),))


def test_find_gives_the_connector_of_that_account(client: Client, prefix: str) -> None:
    store = Store(client, prefix)
    one, two = _connector("sip:a"), _connector("sip:b", "AC2")
    for connector in (one, two):
        store.put_connector(connector)
    connectors = Connectors(store)
    assert connectors.find("AC1", "Pool") == one
    assert connectors.find("AC2", "Pool") == two
    assert connectors.find("AC2", "Other") is None


def test_find_within_a_second_asks_once(client: Client, prefix: str, clock: list[float]) -> None:
    store = Store(client, prefix)
    connectors = Connectors(store)
    assert connectors.find("AC1", "Pool") is None
    connector = _connector("sip:a")
    store.put_connector(connector)
    clock[0] += FRESH_S - 0.01
    assert connectors.find("AC1", "Pool") is None
    clock[0] += 0.01
    assert connectors.find("AC1", "Pool") == connector


def test_find_without_redis_gives_what_is_known_for_a_second(
    redis_server: RedisServer, tmp_path: Path, prefix: str, clock: list[float]
) -> None:
    link = RedisLink(redis_server.url, tmp_path)
    store = Store(link.client, prefix)
    connector = _connector("sip:a")
    store.put_connector(connector)
    connectors = Connectors(store)
    connectors.find("AC1", "Pool")
    link.cut()
    assert connectors.find("AC1", "Pool") == connector
    clock[0] += FRESH_S
    with pytest.raises(StoreUnavailable):
        connectors.find("AC1", "Pool")
    link.close()


def test_find_of_endless_names_keeps_a_bounded_number(
    client: Client, prefix: str, clock: list[float]
) -> None:
    store = Store(client, prefix)
    connectors = Connectors(store)
    for i in range(KEPT):
        assert connectors.find("AC1", f"no {i}") is None
    store.put_connector(_connector("sip:a"))
    # One more, and all that was known is asked for again, also within its second.
    assert connectors.find("AC1", "Pool") is not None
    store.put_connector(Connector(account_sid="AC1", name="no 7", srs=(Srs(uri="sip:a"),)))
    assert connectors.find("AC1", "no 7") is not None
