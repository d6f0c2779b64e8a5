"""Certificates of recorders against the host of their URI, made by a real library."""

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from siprec.certificates import (
    CertificateError,
    check_certificate,
    expires_ms,
    names_host,
    soon,
)

KEY = ec.generate_private_key(ec.SECP256R1())
BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2026, 12, 31, tzinfo=datetime.UTC)
DAY_MS = 86_400_000
SRS = "srs.example.com"


def ms(moment: datetime.datetime) -> int:
    """Give ms since the epoch."""
    return int(moment.timestamp() * 1000)


def dns(name: str) -> x509.GeneralName:
    """Name a host."""
    return x509.DNSName(name)


def uri(text: str) -> x509.GeneralName:
    """Name a URI."""
    return x509.UniformResourceIdentifier(text)


def ip(text: str) -> x509.GeneralName:
    """Name an address or a network."""
    return x509.IPAddress(ipaddress.ip_network(text) if "/" in text else ipaddress.ip_address(text))


def certificate(*sans: x509.GeneralName, common_name: str | None = SRS) -> str:
    """Make a certificate, self-signed; without `sans` it has no such extension."""
    attributes = [] if common_name is None else [common_name]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn) for cn in attributes])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
    )
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    built = builder.sign(KEY, hashes.SHA256())
    return built.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("sans", "host"),
    [
        ((dns(SRS),), SRS),
        ((dns("SRS.Example.COM"),), "srs.EXAMPLE.com"),
        ((dns(SRS),), f"{SRS}."),
        ((dns("a.example"), dns("b.example"), dns(SRS)), SRS),
        ((uri(f"sip:{SRS}"),), SRS),
        ((uri(f"SIP:{SRS.upper()}"), dns("other.example")), SRS),
        ((uri("sip:192.0.2.1"),), "192.0.2.1"),
        ((uri("sip:[2001:db8::1]"),), "2001:db8:0::1"),
        ((ip("192.0.2.1"),), "192.0.2.1"),
        ((dns(SRS), ip("2001:db8::1")), "2001:DB8:0:0::1"),
        ((), SRS),
    ],
)
def test_certificate_names_its_host(sans: tuple[x509.GeneralName, ...], host: str) -> None:
    assert names_host(certificate(*sans), host)


@pytest.mark.parametrize(
    ("sans", "host"),
    [
        ((dns("other.example"),), SRS),
        ((dns("example.com"),), SRS),
        ((dns(f"deep.{SRS}"),), SRS),
        # RFC 5922 §7.2: no form of wildcard.
        ((dns("*.example.com"),), SRS),
        ((dns(".example.com"),), SRS),
        ((dns("*"),), SRS),
        # RFC 5922 §7.1: sip: without a user only.
        ((uri(f"sips:{SRS}"),), SRS),
        ((uri(f"https://{SRS}"),), SRS),
        ((uri(f"sip:recorder@{SRS}"),), SRS),
        # The common name counts where there is no SAN at all, whatever kind it is.
        ((x509.RFC822Name("a@b.example"),), SRS),
        ((ip("192.0.2.1"),), SRS),
        ((ip("192.0.2.1"),), "192.0.2.2"),
        ((ip("192.0.2.0/24"),), "192.0.2.1"),
        ((dns("192.0.2.1"),), "192.0.2.1"),
        ((), "other.example"),
    ],
)
def test_certificate_of_others_does_not_name_the_host(
    sans: tuple[x509.GeneralName, ...], host: str
) -> None:
    assert not names_host(certificate(*sans), host)


def test_common_name_that_is_an_address_is_no_identity() -> None:
    assert not names_host(certificate(common_name="192.0.2.1"), "192.0.2.1")


def test_certificate_that_fits_passes() -> None:
    check_certificate(certificate(dns(SRS)), SRS, ms(BEGIN))
    check_certificate(certificate(dns(SRS)), SRS, ms(END) - 1)


@pytest.mark.parametrize(
    ("sans", "common_name", "now", "why"),
    [
        ((dns("a.example"), ip("192.0.2.1")), SRS, BEGIN, "is for a.example, 192.0.2.1"),
        ((), None, BEGIN, "is for nobody"),
        ((dns("a\r\nb\x1b[1m"),), SRS, BEGIN, "is for a??b?[1m"),
        ((dns("a" * 999),), SRS, BEGIN, f"is for {'a' * 200}"),
        ((dns(SRS),), SRS, END, "expired on 2026-12-31"),
        (
            (dns(SRS),),
            SRS,
            BEGIN - datetime.timedelta(seconds=1),
            "is valid only from 2026-01-01 on",
        ),
    ],
)
def test_certificate_that_does_not_fit_is_told_why(
    sans: tuple[x509.GeneralName, ...], common_name: str | None, now: datetime.datetime, why: str
) -> None:
    with pytest.raises(CertificateError) as caught:
        check_certificate(certificate(*sans, common_name=common_name), SRS, ms(now))
    assert str(caught.value) == caught.value.why == f"certificate of {SRS} {why}"


@pytest.mark.parametrize("pem", ["", "nonsense", "é", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_certificate_that_is_none_is_told(pem: str) -> None:
    for look in (expires_ms, lambda text: names_host(text, SRS)):
        with pytest.raises(CertificateError, match="cannot be read"):
            look(pem)


def test_certificate_with_a_broken_name_is_told() -> None:
    """A SAN whose text is no ASCII: the library refuses it when it is asked for."""
    raw = bytes(
        x509.load_pem_x509_certificate(certificate(dns(SRS)).encode()).public_bytes(
            serialization.Encoding.DER
        )
    )
    end = raw.rindex(SRS.encode())
    broken = raw[:end] + b"\xff" + raw[end + 1 :]
    pem = x509.load_der_x509_certificate(broken).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(CertificateError, match="cannot be read"):
        names_host(pem.decode(), SRS)


def test_expiry_is_in_ms() -> None:
    assert expires_ms(certificate()) == ms(END)


@pytest.mark.parametrize(("left_ms", "is_soon"), [(30 * DAY_MS, True), (30 * DAY_MS + 1, False)])
def test_expiry_is_soon_thirty_days_ahead(left_ms: int, is_soon: bool) -> None:
    assert soon(ms(END), ms(END) - left_ms) is is_soon
    assert soon(ms(END), ms(END) - 8 * DAY_MS, days=7) is False
