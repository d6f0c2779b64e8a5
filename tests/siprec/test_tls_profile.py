"""TLS profiles: what is in them, and what is refused."""

import ssl
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import PrivateFormat

from siprec.connector import Connector, Srs, TlsVersion
from siprec.errors import ConnectorError
from siprec.tls_profile import MAX_PEM_CHARS, checked_tls, described, expiring, tls_profile
from tests.siprec.pem import NOW_MS, certificate, ec_key, pem

PLAIN = Connector(account_sid="AC1", name="c", srs=(Srs(uri="sips:srs.example"),))
CA_KEY, CLIENT_KEY = ec_key(), ec_key()
CA = certificate(CA_KEY, name="ca.example", is_ca=True)
CLIENT = certificate(CLIENT_KEY, issuer=("ca.example", CA_KEY), is_ca=False)
MUTUAL = replace(PLAIN, tls_ca=CA, tls_certificate=CLIENT, tls_key=pem(CLIENT_KEY))


def with_field(connector: Connector, field: str, value: str) -> Connector:
    """Give the connector with that field changed."""
    changed: Any = {field: value}
    return replace(connector, **changed)


def damaged(certificate_pem: str, old: bytes, new: bytes) -> str:
    """Give the certificate with some bytes of its DER replaced by as many others."""
    der = ssl.PEM_cert_to_DER_cert(certificate_pem)
    assert old in der
    assert len(old) == len(new)
    return ssl.DER_cert_to_PEM_cert(der.replace(old, new))


def why_not(connector: Connector) -> tuple[str, str]:
    """Give the field that is refused, and why."""
    with pytest.raises(ConnectorError) as caught:
        checked_tls(connector, NOW_MS)
    assert caught.value.code == 31942
    for line in connector.tls_key.splitlines()[1:]:
        assert not line or line not in str(caught.value)
    return caught.value.field, caught.value.why


def test_tls_profile_holds_what_the_connector_says() -> None:
    profile = tls_profile(replace(MUTUAL, tls_version=TlsVersion.V1_3))
    assert (profile.ca, profile.certificate, profile.key) == (CA, CLIENT, pem(CLIENT_KEY))
    assert profile.version is TlsVersion.V1_3


@pytest.mark.parametrize("field", ["tls_ca", "tls_certificate", "tls_key"])
def test_tls_profile_with_another_field_has_another_name(field: str) -> None:
    assert tls_profile(with_field(MUTUAL, field, "")).name != tls_profile(MUTUAL).name
    assert tls_profile(replace(PLAIN, srs=())).name == tls_profile(PLAIN).name


def test_checked_tls_without_certificates_changes_nothing() -> None:
    assert checked_tls(PLAIN, NOW_MS) == PLAIN


def test_checked_tls_normalises_what_is_written_differently() -> None:
    untidy = replace(
        MUTUAL,
        tls_ca=f"the CA of the recorder\r\n{CA}".replace("\n", "\r\n"),
        tls_certificate=f"{CLIENT}\n# and its CA\n{CA}",
        tls_key=pem(CLIENT_KEY, form=PrivateFormat.TraditionalOpenSSL),
    )
    tidy = checked_tls(untidy, NOW_MS)
    assert tidy == replace(MUTUAL, tls_certificate=CLIENT + CA)
    assert checked_tls(tidy, NOW_MS) == tidy


def test_checked_tls_takes_an_rsa_key_and_a_self_signed_recorder() -> None:
    key = rsa.generate_private_key(65537, 2048)
    for is_ca in (None, False):
        anchor = certificate(CA_KEY, is_ca=is_ca)
        connector = replace(
            PLAIN, tls_ca=anchor, tls_certificate=certificate(key), tls_key=pem(key)
        )
        assert checked_tls(connector, NOW_MS) == connector


def test_checked_tls_of_half_a_pair_names_the_missing_half() -> None:
    assert why_not(replace(MUTUAL, tls_key="")) == (
        "tls_certificate",
        "needs the client's key with it",
    )
    assert why_not(replace(MUTUAL, tls_certificate="")) == (
        "tls_key",
        "needs the client's certificate with it",
    )


@pytest.mark.parametrize("field", ["tls_ca", "tls_certificate", "tls_key"])
@pytest.mark.parametrize(
    "text",
    [
        "secret nonsense",
        "\ud800",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ],
)
def test_checked_tls_of_no_pem_names_the_field(field: str, text: str) -> None:
    where, why = why_not(with_field(MUTUAL, field, text))
    assert where == field
    assert "in PEM" in why


@pytest.mark.parametrize("field", ["tls_ca", "tls_certificate", "tls_key"])
def test_checked_tls_of_a_huge_pem_is_refused(field: str) -> None:
    where, why = why_not(with_field(MUTUAL, field, "x" * (MAX_PEM_CHARS + 1)))
    assert (where, why) == (field, "is over 65536 characters")


def test_checked_tls_of_a_key_that_cannot_be_used_says_why() -> None:
    sealed = pem(CLIENT_KEY, passphrase="secret")
    assert "passphrase" in why_not(replace(MUTUAL, tls_key=sealed))[1]
    other = pem(ed25519.Ed25519PrivateKey.generate())
    assert "neither an RSA nor an EC key" in why_not(replace(MUTUAL, tls_key=other))[1]
    small = rsa.generate_private_key(65537, 1024)
    assert "has 1024 bits" in why_not(replace(MUTUAL, tls_key=pem(small)))[1]


def test_checked_tls_of_a_pair_that_does_not_match_is_refused() -> None:
    assert why_not(replace(MUTUAL, tls_key=pem(CA_KEY)))[0] == "tls_certificate"
    # The chain in the wrong order.
    field, why = why_not(replace(MUTUAL, tls_certificate=CA + CLIENT))
    assert field == "tls_certificate"
    assert "comes first" in why


def test_checked_tls_of_a_certificate_with_an_unknown_kind_of_key_is_refused() -> None:
    # The last byte of the OID of P-256 (1.2.840.10045.3.1.7).
    curve = bytes.fromhex("2a8648ce3d0301")
    odd = damaged(CLIENT, curve + b"\x07", curve + b"\x7f")
    field, why = why_not(replace(MUTUAL, tls_certificate=odd))
    assert (field, "does not belong" in why) == ("tls_certificate", True)


def test_checked_tls_of_a_ca_whose_name_cannot_be_read_still_says_what_is_wrong() -> None:
    old = certificate(CA_KEY, name="ca.example", is_ca=True, days=-1)
    odd = damaged(old, b"ca.example", b"\xff\xff.example")
    field, why = why_not(replace(MUTUAL, tls_ca=odd))
    assert (field, why) == (
        "tls_ca",
        "the certificate of an unreadable name expired on 2029-12-31",
    )


def test_checked_tls_of_a_ca_that_is_none_is_refused() -> None:
    assert why_not(replace(PLAIN, tls_ca=CLIENT)) == ("tls_ca", "holds no certificate of a CA")


def test_checked_tls_after_the_end_of_a_certificate_names_it_and_the_day() -> None:
    old = certificate(CLIENT_KEY, name="old.example", days=-1)
    assert why_not(replace(MUTUAL, tls_certificate=old)) == (
        "tls_certificate",
        "that of CN=old.example expired on 2029-12-31",
    )
    old_ca = certificate(CA_KEY, name="ca.example", is_ca=True, days=-1)
    assert why_not(replace(MUTUAL, tls_ca=old_ca)) == (
        "tls_ca",
        "the certificate of CN=ca.example expired on 2029-12-31",
    )
    # One that is still good is enough: bundles hold old ones, too.
    assert checked_tls(replace(MUTUAL, tls_ca=old_ca + CA), NOW_MS).tls_ca == old_ca + CA


def test_expiring_tells_what_ends_within_thirty_days() -> None:
    assert list(expiring(MUTUAL, NOW_MS)) == []
    assert list(expiring(PLAIN, NOW_MS)) == []
    soon = replace(
        MUTUAL,
        tls_ca=certificate(CA_KEY, name="ca.example", is_ca=True, days=-1) + CA,
        tls_certificate=certificate(CLIENT_KEY, days=29),
    )
    assert list(expiring(soon, NOW_MS)) == [
        "tls_ca: CN=ca.example expired on 2029-12-31",
        "tls_certificate: CN=client.example expires on 2030-01-30",
    ]
    assert list(expiring(soon, NOW_MS, days=28)) == ["tls_ca: CN=ca.example expired on 2029-12-31"]


def test_described_names_each_certificate_and_its_end() -> None:
    assert described(CLIENT + CA) == (
        "CN=client.example until 2031-01-01; CN=ca.example until 2031-01-01"
    )
