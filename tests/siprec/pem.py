"""Keys and certificates for tests."""

from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)

Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def ec_key() -> ec.EllipticCurvePrivateKey:
    """Make a key, quickly."""
    return ec.generate_private_key(ec.SECP256R1())


def certificate(
    key: Key,
    *,
    name: str = "client.example",
    issuer: tuple[str, Key] | None = None,
    is_ca: bool | None = None,
    days: float = 365,
) -> str:
    """Give a certificate in PEM that ends `days` after NOW, self-signed without an issuer."""
    issued_by, signer = issuer or (name, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issued_by))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=3650))
        .not_valid_after(NOW + timedelta(days=days))
    )
    if is_ca is not None:
        constraints = x509.BasicConstraints(ca=is_ca, path_length=None)
        builder = builder.add_extension(constraints, critical=True)
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def pem(
    key: Key | ed25519.Ed25519PrivateKey,
    *,
    form: PrivateFormat = PrivateFormat.PKCS8,
    passphrase: str = "",
) -> str:
    """Give a private key in PEM."""
    sealing: KeySerializationEncryption = NoEncryption()
    if passphrase:
        sealing = BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(Encoding.PEM, form, sealing).decode()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
