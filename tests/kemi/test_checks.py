"""What health checks ask of recorders, and what people are told."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from siprec.alerts import AlertLevel
from siprec.connector import Connector, Srs
from siprec.health import DAY_MS, SrsHealth, key_in
from siprec.inbox import SrsReplied
from siprec.recorder import Recorder
from siprec.settings import LimitSettings
from siprec.sids import shard_of_call_id
from siprec.tls_profile import tls_profile
from siprec_kemi.clock import now_ms
from siprec_kemi.src.checks import NOT_SECURE, UNREACHABLE, Checks
from tests.kemi.reach_world import Ways, header_of, listen, port_of, shut
from tests.kemi.strict_ksr import StrictKsr
from tests.siprec.pem import NOW_MS as PEM_NOW_MS

HOST = "recorder.example"
POOL = Connector(account_sid="AC1", name="Pool", srs=(Srs(uri="sip:a"),))
Checked = tuple[bool, str, int | None]


class Office(Ways):
    """Checks, what came of the questions, and a recorder for the alerts."""

    def __init__(self, folder: Path, ksr: StrictKsr) -> None:
        super().__init__(folder, ksr)
        self.hosts.write_text(f"127.0.0.1 {HOST}\n")
        self.recorder = Recorder(LimitSettings(), lambda n: "0" * n, lambda url: None)
        self.checks = Checks(self.probes, self.tls, self.recorder)
        self.done: list[Checked] = []

    def ask(self, uri: str, connector: Connector = POOL) -> None:
        """Ask an SRS."""
        self.checks.ask(connector, uri, lambda *checked: self.done.append(checked))

    def reply(self, status: int, reason: str) -> None:
        """Answer the one OPTIONS that was sent."""
        self.until(lambda: self.sent("OPTIONS"))
        (headers,) = self.sent("OPTIONS")
        reply = SrsReplied(
            call_id=header_of(headers, "Call-ID"),
            method="OPTIONS",
            cseq=1,
            status=status,
            reason=reason,
        )
        assert self.probes.take(reply)

    def load_profile(self, connector: Connector) -> None:
        """Let the TLS proxies know the profile of a connector."""
        self.loaded.write_text(f"{tls_profile(connector).name}\n")


@pytest.fixture
def office(tmp_path: Path, ksr: StrictKsr) -> Iterator[Office]:
    with contextlib.closing(Office(tmp_path, ksr)) as opened:
        yield opened


def test_any_answer_means_that_an_srs_lives(office: Office) -> None:
    with listen() as recorder:
        office.ask(f"sip:127.0.0.1:{port_of(recorder)}")
        office.reply(405, "Method Not Allowed")
    assert office.done == [(True, "405 Method Not Allowed", None)]


def test_srs_that_refuses_connections_is_dead(office: Office) -> None:
    with shut() as closed:
        port = port_of(closed)
        office.ask(f"sip:127.0.0.1:{port}")
        office.until(lambda: office.done)
    assert office.done == [(False, f"127.0.0.1:{port}: Connection refused", None)]


def test_srs_over_tls_is_asked_by_the_profile_of_its_connector(office: Office) -> None:
    office.load_profile(POOL)
    office.ask(f"sips:{HOST}")
    office.answer_probe(HOST)
    ((reachable, why, until_ms),) = office.done
    assert (reachable, why) == (True, "")
    assert until_ms == PEM_NOW_MS + 365 * DAY_MS
    # Even when a way is known: a health check proves it anew.
    office.ask(f"sips:{HOST}")
    office.answer_probe(HOST)
    assert len(office.done) == 2


def test_srs_over_tls_with_the_wrong_certificate_is_dead(office: Office) -> None:
    office.load_profile(POOL)
    office.ask(f"sip:{HOST};secure=true")
    office.answer_probe("other.example")
    assert office.done == [(False, f"certificate of {HOST} is for other.example", None)]


@pytest.mark.parametrize(
    ("reachable", "text"),
    [
        (False, "the SRS sip:a does not answer health checks: 408 Timeout"),
        (True, "the SRS sip:a answers health checks again"),
    ],
)
def test_change_is_told_in_a_shard_of_the_srs(office: Office, reachable: bool, text: str) -> None:
    health = SrsHealth(key=key_in(POOL, "sip:a"), reachable=reachable, text="408 Timeout")
    office.checks.changed(POOL, "sip:a", health)
    ((shard, alert),) = office.recorder.take_changes().alerts
    assert shard == shard_of_call_id(key_in(POOL, "sip:a"))
    assert (alert.code, alert.text, alert.level) == (UNREACHABLE, text, AlertLevel.WARNING)
    assert (alert.account_sid, alert.connector_name) == ("AC1", "Pool")
    assert alert.sid.startswith(f"NO{shard:02x}")


def test_certificates_of_a_connector_that_end_soon_are_told_in_one_alert(office: Office) -> None:
    office.checks.own_expiring(POOL, ["tls_ca: CN=a expires", "tls_certificate: CN=b expires"])
    ((_, alert),) = office.recorder.take_changes().alerts
    text = "certificates of the connector Pool: tls_ca: CN=a expires; tls_certificate: CN=b expires"
    assert (alert.code, alert.level, alert.text) == (NOT_SECURE, AlertLevel.WARNING, text)


@pytest.mark.parametrize(("left_ms", "days"), [(3 * DAY_MS + 60_000, 3), (-DAY_MS, 0)])
def test_certificate_that_ends_soon_is_told_with_the_days_left(
    office: Office, left_ms: int, days: int
) -> None:
    office.checks.expiring(POOL, "sips:a", now_ms() + left_ms)
    ((_, alert),) = office.recorder.take_changes().alerts
    text = f"the certificate of the SRS sips:a expires in {days} days"
    assert (alert.code, alert.text) == (NOT_SECURE, text)
