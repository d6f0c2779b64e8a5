"""Make a small certificate authority for trial runs: `siprec-srs make-ca`."""

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from siprec_srs.errors import SrsError

DEFAULT_HOSTS = ("localhost", "127.0.0.1", "::1")
WRONG_HOST = "wrong-host.invalid"
_DAY = datetime.timedelta(days=1)
_HOUR = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def write(self, folder: Path, name: str) -> None:
        """Write NAME.pem, and NAME.key that only its owner may read. Raises: SrsError."""
        try:
            pem = self.certificate.public_bytes(serialization.Encoding.PEM)
            (folder / f"{name}.pem").write_bytes(pem)
            secret = self.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            with os.fdopen(os.open(folder / f"{name}.key", flags, 0o600), "wb") as file:
                file.write(secret)
        except OSError as error:
            raise SrsError(f"cannot write {folder / name}: {error}") from error


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "siprec-srs trial"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]),
        ]
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    begin: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def new_authority(common_name: str, days: int) -> Issued:
    """Return a CA that is valid from an hour ago for so many days."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = _name(common_name)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = _builder(name, name, key, now - _HOUR, now + days * _DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return Issued(certificate=builder.sign(key, hashes.SHA256()), key=key)


def issue(
    authority: Issued, common_name: str, hosts: tuple[str, ...], days: int, *, expired: bool = False
) -> Issued:
    """Issue a certificate for both ends of a connection, as SIP peers are (RFC 5922, 5924).

    hosts: names and addresses, all of them subjectAltNames. expired: it ended an hour ago.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    begin, end = (now - _DAY, now - _HOUR) if expired else (now - _HOUR, now + days * _DAY)
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    issuer = authority.certificate
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    certificate = (
        _builder(_name(common_name), issuer.subject, key, begin, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(identifier, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Issued(certificate=certificate, key=key)


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def make_ca(folder: Path, hosts: tuple[str, ...], days: int, *, bad: bool = False) -> list[str]:
    """Write a CA, a server's and a client's certificate; with `bad` also those to be refused.

    Returns the names of what was written, each NAME.pem and NAME.key.
    Raises: SrsError when there is a CA already.
    """
    if (folder / "ca.pem").exists():
        raise SrsError(f"{folder / 'ca.pem'} is there already")
    folder.mkdir(parents=True, exist_ok=True)
    authority = new_authority("siprec-srs trial CA", days)
    made = {
        "ca": authority,
        "server": issue(authority, hosts[0], hosts, days),
        "client": issue(authority, "siprec-src", hosts, days),
    }
    if bad:
        other = new_authority("another CA", days)
        made |= {
            "server-wrong-host": issue(authority, WRONG_HOST, (WRONG_HOST,), days),
            "server-expired": issue(authority, hosts[0], hosts, days, expired=True),
            "server-untrusted": issue(other, hosts[0], hosts, days),
            "client-expired": issue(authority, "siprec-src", hosts, days, expired=True),
            "client-untrusted": issue(other, "siprec-src", hosts, days),
        }
    for name, issued in made.items():
        issued.write(folder, name)
    return list(made)
