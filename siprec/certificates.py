"""Is this the certificate of that recorder? RFC 5922 §7, which no version of Kamailio does. Pure.

That a CA of the connector vouches for it is the TLS proxy's to verify (docs/tls.md).
"""

import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from siprec.errors import MAX_WHY_CHARS, SiprecError, SipUriError
from siprec.sip_uri import parse_uri

SOON_DAYS = 30
_DAY_MS = 86_400_000

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
_UNREADABLE = (
    ValueError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


class CertificateError(SiprecError):
    """A certificate does not do for a host. `why` is a whole sentence without its full stop."""

    code = 32011

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class _Identities:
    """What a certificate says it is for; names in lower case."""

    names: tuple[str, ...] = ()
    ips: tuple[_Ip, ...] = ()


def names_host(pem: str, host: str) -> bool:
    """Tell whether a certificate is for the host of a SIP URI: a name, or an address in numbers.

    Not for the name that an SRV record leads to (RFC 5922 §7.3). `host` is an IPv6 address
    without brackets.

    Raises:
        CertificateError: it cannot be read.
    """
    return _covers(_identities(_read(pem)), host)


def expires_ms(pem: str) -> int:
    """Give when a certificate expires.

    Raises:
        CertificateError: it cannot be read.
    """
    return _end_ms(_read(pem))


def check_certificate(pem: str, host: str, now_ms: int) -> None:
    """Hold the certificate of a peer against the host that we meant to reach, and the clock.

    Raises:
        CertificateError: it is for others, expired, not valid yet, or cannot be read.
    """
    certificate = _read(pem)
    found = _identities(certificate)
    if not _covers(found, host):
        others = ", ".join([*found.names, *map(str, found.ips)]) or "nobody"
        # It is the peer's, and ends up in logs and alerts.
        others = "".join(char if char.isprintable() else "?" for char in others[:MAX_WHY_CHARS])
        raise CertificateError(f"certificate of {host} is for {others}")
    if now_ms >= _end_ms(certificate):
        day = certificate.not_valid_after_utc.date()
        raise CertificateError(f"certificate of {host} expired on {day}")
    if now_ms < certificate.not_valid_before_utc.timestamp() * 1000:
        day = certificate.not_valid_before_utc.date()
        raise CertificateError(f"certificate of {host} is valid only from {day} on")


def soon(until_ms: int, now_ms: int, days: int = SOON_DAYS) -> bool:
    """Tell whether what expires at `until_ms` has so many days left, or fewer."""
    return until_ms - now_ms <= days * _DAY_MS


def _read(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode("ascii", "replace"))
    except _UNREADABLE as error:
        raise CertificateError(f"the certificate cannot be read: {error}") from error


def _end_ms(certificate: x509.Certificate) -> int:
    return int(certificate.not_valid_after_utc.timestamp() * 1000)


def _covers(found: _Identities, host: str) -> bool:
    try:
        return ipaddress.ip_address(host) in found.ips
    except ValueError:
        # RFC 5922 §7.2: the whole name, in any case, and "MUST NOT match any form of wildcard".
        return _plain(host) in found.names


def _identities(certificate: x509.Certificate) -> _Identities:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return _Identities(names=_common_names(certificate))
    except _UNREADABLE as error:
        raise CertificateError(f"the certificate cannot be read: {error}") from error
    sans = extension.value
    names = [_plain(name) for name in sans.get_values_for_type(x509.DNSName)]
    # RFC 5922 says nothing of addresses; RFC 5280 §4.2.1.6 has a kind of SAN for them.
    ips = [ip for ip in sans.get_values_for_type(x509.IPAddress) if isinstance(ip, _Ip)]
    for text in sans.get_values_for_type(x509.UniformResourceIdentifier):
        host = _domain_of(text)
        try:
            ips.append(ipaddress.ip_address(host))
        except ValueError:
            names += [_plain(host)] if host else []
    return _Identities(names=tuple(names), ips=tuple(ips))


def _domain_of(uri_text: str) -> str:
    """Give the domain that a URI stands for; "" when it stands for none (RFC 5922 §7.1)."""
    try:
        uri = parse_uri(uri_text)
    except SipUriError:
        return ""
    # Of other schemes, sips: too, it says "MUST NOT accept"; with a user it is a person's.
    return uri.host if uri.scheme == "sip" and not uri.user else ""


def _common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Give the common names: RFC 5922 §7.1 allows them where there is no SAN at all."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return tuple(_plain(str(name.value)) for name in found)


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")
