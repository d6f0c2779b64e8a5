"""What a TLS connection toward an SRS is made with. Connectors that agree share connections."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from siprec.connector import Connector, TlsVersion
from siprec.errors import ConnectorError

MAX_PEM_CHARS = 65_536
SOON_DAYS = 30

_INVALID = 31942
_DAY_MS = 86_400_000
# Debian's OpenSSL (security level 2) refuses shorter keys at the handshake.
_RSA_BITS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsProfile:
    """CA, client certificate and key as PEM ("": those of the system; none). `name` is a token."""

    name: str
    ca: str
    certificate: str
    key: str
    version: TlsVersion


def tls_profile(connector: Connector) -> TlsProfile:
    """Give the profile of a connector; its name follows from what is in it."""
    parts = (
        connector.tls_ca,
        connector.tls_certificate,
        connector.tls_key,
        connector.tls_version.value,
    )
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return TlsProfile(
        name=f"p{digest[:20]}",
        ca=connector.tls_ca,
        certificate=connector.tls_certificate,
        key=connector.tls_key,
        version=connector.tls_version,
    )


def checked_tls(connector: Connector, now_ms: int) -> Connector:
    """Check CA, client certificate and key; give the connector with their PEM normalised.

    The same certificates written differently (comments, line lengths) make the same profile.

    Raises:
        ConnectorError: names the field; code 31942. A key is never quoted.
    """
    if bool(connector.tls_certificate) != bool(connector.tls_key):
        given, missing = ("tls_certificate", "key")
        if connector.tls_key:
            given, missing = ("tls_key", "certificate")
        raise ConnectorError(given, _INVALID, f"needs the client's {missing} with it")
    ca, certificate, key = connector.tls_ca, connector.tls_certificate, connector.tls_key
    if ca:
        ca = _checked_ca(ca, now_ms)
    if certificate:
        key, public_key = _checked_key(key)
        certificate = _checked_chain(certificate, public_key, now_ms)
    return replace(connector, tls_ca=ca, tls_certificate=certificate, tls_key=key)


def expiring(connector: Connector, now_ms: int, days: int = SOON_DAYS) -> Iterator[str]:
    """Say in a sentence each which certificates of a checked connector end within `days`."""
    for field in ("tls_ca", "tls_certificate"):
        pem: str = getattr(connector, field)
        for certificate in _certificates(field, pem) if pem else ():
            if _ends_ms(certificate) < now_ms + days * _DAY_MS:
                verb = "expired" if _ends_ms(certificate) <= now_ms else "expires"
                yield f"{field}: {_subject(certificate)} {verb} on {_day(certificate)}"


def described(pem: str) -> str:
    """Name the certificates of a checked field, and when each ends, for people."""
    return "; ".join(
        f"{_subject(certificate)} until {_day(certificate)}"
        for certificate in _certificates("", pem)
    )


def _checked_ca(pem: str, now_ms: int) -> str:
    certificates = _certificates("tls_ca", pem)
    trusted = [c for c in certificates if _is_ca(c)]
    if not trusted:
        raise ConnectorError("tls_ca", _INVALID, "holds no certificate of a CA")
    if all(_ends_ms(c) <= now_ms for c in trusted):
        last = max(trusted, key=_ends_ms)
        why = f"the certificate of {_subject(last)} expired on {_day(last)}"
        raise ConnectorError("tls_ca", _INVALID, why)
    return _pem(certificates)


def _checked_chain(pem: str, public_key: bytes, now_ms: int) -> str:
    chain = _certificates("tls_certificate", pem)
    if _spki(chain[0]) != public_key:
        why = "does not belong to the client's key (the client's own certificate comes first)"
        raise ConnectorError("tls_certificate", _INVALID, why)
    for certificate in chain:
        if _ends_ms(certificate) <= now_ms:
            why = f"that of {_subject(certificate)} expired on {_day(certificate)}"
            raise ConnectorError("tls_certificate", _INVALID, why)
    return _pem(chain)


def _checked_key(pem: str) -> tuple[str, bytes]:
    """Give the key as PKCS #8, and its public half as DER."""
    if len(pem) > MAX_PEM_CHARS:
        raise ConnectorError("tls_key", _INVALID, f"is over {MAX_PEM_CHARS} characters")
    # What the library says of a key that it cannot read may quote it: hence "from None".
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        why = "is protected by a passphrase: give the key without one"
        raise ConnectorError("tls_key", _INVALID, why) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConnectorError("tls_key", _INVALID, "is not a private key in PEM") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ConnectorError("tls_key", _INVALID, "is neither an RSA nor an EC key")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _RSA_BITS:
        why = f"has {key.key_size} bits, OpenSSL wants {_RSA_BITS} at least"
        raise ConnectorError("tls_key", _INVALID, why)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return text, spki


def _certificates(field: str, pem: str) -> list[x509.Certificate]:
    if len(pem) > MAX_PEM_CHARS:
        raise ConnectorError(field, _INVALID, f"is over {MAX_PEM_CHARS} characters")
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        why = "holds no certificate in PEM, or one that cannot be read"
        raise ConnectorError(field, _INVALID, why) from None


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        if constraints.value.ca:
            return True
    except (x509.ExtensionNotFound, ValueError):
        pass
    # OpenSSL takes a self-signed certificate for an anchor of its own, whatever it says.
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _spki(certificate: x509.Certificate) -> bytes:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return b""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _pem(certificates: list[x509.Certificate]) -> str:
    return "".join(c.public_bytes(Encoding.PEM).decode() for c in certificates)


def _ends_ms(certificate: x509.Certificate) -> int:
    return int(certificate.not_valid_after_utc.timestamp() * 1000)


def _day(certificate: x509.Certificate) -> str:
    return datetime.fromtimestamp(_ends_ms(certificate) / 1000, UTC).strftime("%Y-%m-%d")


def _subject(certificate: x509.Certificate) -> str:
    try:
        return certificate.subject.rfc4514_string() or "no name"
    except ValueError:
        return "an unreadable name"
