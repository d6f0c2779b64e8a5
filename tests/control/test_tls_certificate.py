"""The certificate that is shown to peers."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from siprec.settings import TlsSettings
from siprec_control.errors import StartError
from siprec_control.state import StateFolder
from siprec_control.tls_certificate import LIFE, resolve_tls, self_signed
from tests.tls.certificates import Authority

HOSTS = ("192.0.2.1", "sip.example.com")


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_self_signed_is_made_once_for_us_alone(state: StateFolder) -> None:
    tls = resolve_tls(TlsSettings(), state, HOSTS)
    assert tls == TlsSettings(certificate=str(state.tls), private_key=str(state.tls))
    assert stat.S_IMODE(state.tls.stat().st_mode) == 0o600
    sans = certificate(state.tls).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert sans.value.get_values_for_type(x509.DNSName) == ["sip.example.com"]
    assert [str(ip) for ip in sans.value.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]
    kept = state.tls.read_bytes()
    resolve_tls(TlsSettings(), state, HOSTS)
    assert state.tls.read_bytes() == kept


def test_self_signed_is_made_anew_for_other_hosts(state: StateFolder) -> None:
    resolve_tls(TlsSettings(), state, HOSTS)
    kept = state.tls.read_bytes()
    resolve_tls(TlsSettings(), state, HOSTS[:1])
    assert state.tls.read_bytes() != kept


@pytest.mark.parametrize(("left_days", "stays"), [(300, False), (400, True)])
def test_self_signed_is_made_anew_in_its_last_year(
    state: StateFolder, left_days: int, stays: bool
) -> None:
    made = datetime.now(UTC) - LIFE + timedelta(days=left_days)
    old = self_signed(HOSTS, made)
    state.tls.write_text(old)
    resolve_tls(TlsSettings(), state, HOSTS)
    assert (state.tls.read_text() == old) is stays


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAA==\n"])
def test_broken_self_signed_is_made_anew(state: StateFolder, text: str) -> None:
    state.tls.write_text(text)
    resolve_tls(TlsSettings(), state, HOSTS)
    assert certificate(state.tls).subject == certificate(state.tls).issuer


def test_certificate_of_the_operator_is_taken_as_it_is(state: StateFolder, tmp_path: Path) -> None:
    ca = Authority(tmp_path, "ca")
    us = ca.issue("sip.example.com")
    tls = TlsSettings(
        certificate=str(us.certificate), private_key=str(us.key), client_ca=str(ca.certificate)
    )
    assert resolve_tls(tls, state, HOSTS) == tls
    assert not state.tls.exists()


def test_certificate_that_cannot_be_used_is_named(state: StateFolder, tmp_path: Path) -> None:
    ca = Authority(tmp_path, "ca")
    us, other = ca.issue("a.example.com"), ca.issue("b.example.com")
    missing = TlsSettings(certificate=str(us.certificate), private_key=str(tmp_path / "none"))
    with pytest.raises(StartError, match=r"^\[tls\] certificate, private_key: .*No such file"):
        resolve_tls(missing, state, HOSTS)
    wrong = TlsSettings(certificate=str(us.certificate), private_key=str(other.key))
    with pytest.raises(StartError, match="KEY_VALUES_MISMATCH"):
        resolve_tls(wrong, state, HOSTS)
    with pytest.raises(StartError, match=r"^\[tls\] client_ca: .*ca-1.key"):
        resolve_tls(TlsSettings(client_ca=str(us.key)), state, HOSTS)
