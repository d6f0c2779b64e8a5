"""What a TLS connection toward an SRS is made with. Connectors that agree share connections."""

import hashlib
from dataclasses import dataclass

from siprec.model import Connector, TlsVersion


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
