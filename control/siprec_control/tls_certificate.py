"""The certificate that we show to peers: the operator's, checked, or a self-signed one."""

import ipaddress
import ssl
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from siprec.settings import TlsSettings
from siprec_control.errors import StartError
from siprec_control.state import StateFolder, write_private

# Peers may pin it, so it lives long; it is made anew by the first start in its last year.
LIFE = timedelta(days=3650)
RENEWED_BEFORE = timedelta(days=365)


def resolve_tls(tls: TlsSettings, state: StateFolder, hosts: Iterable[str]) -> TlsSettings:
    """Give the settings with a certificate and a key that fit.

    Without one of the operator's it is STATE/tls.pem, which holds both, mode 0600, for `hosts`.

    Raises:
        StartError: a file of the operator's cannot be used.
        StateError: STATE/tls.pem cannot be written.
    """
    if tls.client_ca is not None:
        _check_authority(tls.client_ca)
    if tls.certificate is None or tls.private_key is None:
        names = tuple(sorted(set(hosts)))
        if not _is_good(state.tls, names):
            write_private(state.tls, self_signed(names, datetime.now(UTC)))
        return replace(tls, certificate=str(state.tls), private_key=str(state.tls))
    _check_pair(tls.certificate, tls.private_key)
    return tls


def self_signed(hosts: tuple[str, ...], now: datetime) -> str:
    """Make a key and a certificate of these IP addresses and names, both as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kamailio-siprec")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of peers differ.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([*map(_san, hosts)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (secret + certificate.public_bytes(Encoding.PEM)).decode()


def _is_good(path: Path, hosts: tuple[str, ...]) -> bool:
    """Tell whether a self-signed one is there, is for these hosts, and lasts."""
    try:
        pem = path.read_bytes()
        load_pem_private_key(pem, password=None)
        certificate = x509.load_pem_x509_certificate(pem)
        sans = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    lasts = certificate.not_valid_after_utc - datetime.now(UTC) > RENEWED_BEFORE
    return lasts and list(sans) == [*map(_san, hosts)]


def _san(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _check_pair(certificate: str, key: str) -> None:
    try:
        # A passphrase would be asked for on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        place = f"{certificate} and {key}"
        raise StartError(f"[tls] certificate, private_key: {place}: {error}") from error


def _check_authority(path: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except OSError as error:
        raise StartError(f"[tls] client_ca: {path}: {error}") from error
