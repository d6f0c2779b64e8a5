"""Certificates that connectors hold: who is told of their end, and how often."""

from dataclasses import replace

import pytest

from siprec.connector import Connector, Srs
from siprec.health import DAY_MS, key_in
from siprec.sids import shard_of_call_id
from siprec_kemi.src.own_certificates import OwnCertificates
from tests.siprec.pem import NOW_MS, certificate, ec_key

PLAIN = Connector(account_sid="AC1", name="Plain", srs=(Srs(uri="sip:a"),))
SOON = Connector(
    account_sid="AC1",
    name="Soon",
    srs=(Srs(uri="sips:a"),),
    tls_ca=certificate(ec_key(), name="ca.example", is_ca=True, days=20),
    tls_certificate=certificate(ec_key(), days=29.5),
)
LATE = replace(SOON, name="Late", tls_ca="", tls_certificate=certificate(ec_key(), days=40))


class Desk:
    """What is told on a day, by the owner of these shards."""

    def __init__(self) -> None:
        self.owned = set(range(256))
        self.day = 0
        self.told: list[tuple[str, tuple[str, ...]]] = []
        self._watch = OwnCertificates(
            owns=lambda shard: shard in self.owned,
            tell=lambda connector, sentences: self.told.append((connector.name, sentences)),
            now_ms=lambda: NOW_MS + self.day * DAY_MS,
        )

    def look(self, *connectors: Connector) -> list[tuple[str, tuple[str, ...]]]:
        """Give what a look at these connectors tells."""
        self.told.clear()
        self._watch.look(connectors)
        return list(self.told)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_certificates_that_end_soon_are_told_once_a_day(desk: Desk) -> None:
    sentences = (
        "tls_ca: CN=ca.example expires on 2030-01-21",
        "tls_certificate: CN=client.example expires on 2030-01-30",
    )
    assert desk.look(PLAIN, SOON, LATE) == [("Soon", sentences)]
    assert desk.look(PLAIN, SOON, LATE) == []
    desk.day = 1
    assert desk.look(PLAIN, SOON, LATE) == [("Soon", sentences)]
    desk.day = 25
    assert [name for name, _ in desk.look(PLAIN, SOON, LATE)] == ["Soon", "Late"]


def test_certificate_is_told_again_when_the_connector_is_set(desk: Desk) -> None:
    assert desk.look(SOON)
    assert desk.look(replace(SOON, answer_s=3))
    assert not desk.look(LATE)
    assert desk.look(SOON)


def test_certificate_is_told_by_the_owner_of_the_shard_alone(desk: Desk) -> None:
    shard = shard_of_call_id(key_in(SOON, "sips:a"))
    desk.owned.remove(shard)
    assert desk.look(SOON) == []
    desk.owned = {shard}
    assert desk.look(SOON)
