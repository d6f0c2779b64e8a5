"""TLS for SIP: contexts with a floor of TLS 1.2, and what a connection turned out to be."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from siprec_srs.errors import SrsError


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPolicy:
    """Where to listen for TLS, with what certificate, and whose client certificates we trust."""

    host: str
    port: int
    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFacts:
    """What we know of one TLS connection. `client_certificate` is the subject, if any."""

    version: str
    cipher: str
    client_certificate: str | None

    @classmethod
    def of(cls, connection: ssl.SSLObject) -> "TlsFacts":
        """Read them from a connection whose handshake is done."""
        cipher = connection.cipher()
        return cls(
            version=connection.version() or "",
            cipher=cipher[0] if cipher else "",
            client_certificate=_subject(connection),
        )


def _subject(connection: ssl.SSLObject) -> str | None:
    found = connection.getpeercert()
    if not found:
        return None
    names: list[str] = []
    for part in found.get("subject", ()):
        names += [f"{pair[0]}={pair[1]}" for pair in part if isinstance(pair, tuple)]
    return ", ".join(names)


def server_context(policy: TlsPolicy) -> ssl.SSLContext:
    """Return the context of the listener; with a client CA, who has no certificate is refused.

    Raises: SrsError when a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(context, policy)
    if policy.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(policy: TlsPolicy) -> ssl.SSLContext:
    """Return the context for connections of our own; they check chain and host name.

    Raises: SrsError without a CA to check with.
    """
    if policy.client_ca is None:
        raise SrsError("no --tls-client-ca to verify the other side with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _load(context, policy)
    return context


def _load(context: ssl.SSLContext, policy: TlsPolicy) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(policy.certificate, policy.key)
        if policy.client_ca is not None:
            context.load_verify_locations(policy.client_ca)
    except OSError as error:
        files = f"{policy.certificate}, {policy.key}, {policy.client_ca or '-'}"
        raise SrsError(f"cannot use the TLS files {files}: {error}") from error
