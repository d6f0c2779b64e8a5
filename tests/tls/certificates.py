"""Certificates for tests: authorities, servers, clients, expired ones, in files."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its key, each in a PEM file."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority; `certificate` is the file that others trust it by."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._issued = 0
        built = (
            self._builder(name, self._key.public_key(), -_DAY, _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = folder / f"{name}.pem"
        self.certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))

    def issue(self, *names: str, days: int = 1) -> Identity:
        """Issue a certificate whose SANs are `names`; it expired when `days` is negative."""
        key = ec.generate_private_key(ec.SECP256R1())
        begin = min(-_DAY, (days - 1) * _DAY)
        built = (
            self._builder(names[0], key.public_key(), begin, days * _DAY)
            .add_extension(x509.SubjectAlternativeName([*map(_san, names)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self._issued += 1
        stem = self._folder / f"{self._name}-{self._issued}"
        identity = Identity(stem.with_suffix(".crt"), stem.with_suffix(".key"))
        identity.certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
        identity.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return identity

    def _builder(
        self,
        name: str,
        public_key: ec.EllipticCurvePublicKey,
        begin: datetime.timedelta,
        end: datetime.timedelta,
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._name)]))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begin)
            .not_valid_after(now + end)
        )


def _san(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
