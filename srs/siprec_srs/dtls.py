"""DTLS-SRTP: one handshake on one socket (RFC 5763, 5764). Datagrams in, datagrams out, no I/O."""

import contextlib
import datetime
import functools
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from siprec_srs.suites import BY_DTLS_NAME, SUITES, Suite

_LABEL = b"EXTRACTOR-dtls_srtp"
_DTLS_1_2 = 0xFEFD
_MTU_BYTES = 1200
_RECORD_HEADER_BYTES = 13
_READ_BYTES = 65536
_HASHES = {"sha-256": hashlib.sha256, "sha-384": hashlib.sha384, "sha-512": hashlib.sha512}

Keys = Callable[[Suite, bytes, bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The hash of a certificate as it stands in a=fingerprint (RFC 8122)."""

    algorithm: str
    digest: str

    @classmethod
    def parse(cls, value: str) -> "Fingerprint | None":
        """Read the attribute; None when it is malformed or the hash is too weak."""
        algorithm, _, digest = value.strip().partition(" ")
        if algorithm.lower() not in _HASHES:
            return None
        return cls(algorithm=algorithm.lower(), digest=digest.strip().upper())

    @classmethod
    def of(cls, certificate: x509.Certificate, algorithm: str = "sha-256") -> "Fingerprint":
        """Make the fingerprint of a certificate."""
        der = certificate.public_bytes(serialization.Encoding.DER)
        return cls(algorithm=algorithm, digest=_HASHES[algorithm](der).digest().hex(":").upper())

    def __str__(self) -> str:
        """Write the attribute's value."""
        return f"{self.algorithm} {self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A self-signed certificate; only its fingerprint matters."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


@functools.cache
def our_identity() -> Identity:
    """Return the certificate of this process, made when it is first needed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "siprec-srs")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(secrets.randbits(128) or 1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return Identity(key=key, certificate=certificate)


def _context(identity: Identity, suites: tuple[str, ...]) -> SSL.Context:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(_DTLS_1_2)
    context.use_certificate(identity.certificate)
    context.use_privatekey(identity.key)
    # Certificates are self-signed; who it is, the fingerprint tells after the handshake.
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    profiles = [SUITES[name].dtls for name in suites if SUITES[name].dtls]
    context.set_tlsext_use_srtp(":".join(profiles).encode())
    return context


class Handshake:
    """One DTLS association. `start` when active, `receive` datagrams, `again` when time passes.

    send: takes each datagram that is to go out. on_keys: told suite, their and our master key
    and salt when the peer has proved to own the certificate of `expected`.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        suites: tuple[str, ...],
        is_active: bool,
        expected: Fingerprint,
        send: Callable[[bytes], None],
        on_keys: Keys,
    ) -> None:
        self._is_active = is_active
        self._expected = expected
        self._send = send
        self._on_keys = on_keys
        self._first_flight: list[bytes] = []
        self._has_heard = False
        self.is_done = False
        self.failure = ""
        self._tls = SSL.Connection(_context(identity, suites), None)
        self._tls.set_ciphertext_mtu(_MTU_BYTES)
        if is_active:
            self._tls.set_connect_state()
        else:
            self._tls.set_accept_state()

    def start(self) -> None:
        """Send the first flight when it is ours to send."""
        if self._is_active and not self._first_flight:
            self._advance()

    def receive(self, data: bytes) -> None:
        """Take one datagram."""
        self._has_heard = True
        self._tls.bio_write(data)
        if not self.is_done:
            self._advance()
            return
        # A repeated last flight of the peer is answered by OpenSSL when it reads.
        with contextlib.suppress(SSL.Error):
            self._tls.recv(_READ_BYTES)
        self._flush()

    def again(self) -> None:
        """Repeat what was lost; call it ten times a second until `is_done` or `failure`."""
        if not self._has_heard:
            # The peer may not know our session description yet: OpenSSL's second is too long.
            for datagram in self._first_flight:
                self._send(datagram)
            return
        try:
            self._tls.DTLSv1_handle_timeout()
        except SSL.Error as error:
            self._fail(f"DTLS: {_reason(error)}")
        self._flush()

    def _advance(self) -> None:
        if self.failure:
            return
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self._flush()
        except SSL.Error as error:
            self._flush()
            self._fail(f"DTLS: {_reason(error)}")
        else:
            self._flush()
            self._finish()

    def _flush(self) -> None:
        while True:
            try:
                flight = self._tls.bio_read(_READ_BYTES)
            except SSL.Error:
                return
            datagrams = split_records(flight)
            if not self._has_heard:
                self._first_flight += datagrams
            for datagram in datagrams:
                self._send(datagram)

    def _fail(self, reason: str) -> None:
        self.failure = self.failure or reason

    def _finish(self) -> None:
        certificate = self._tls.get_peer_certificate(as_cryptography=True)
        if certificate is None:
            return self._fail("DTLS: the peer has no certificate")
        found = Fingerprint.of(certificate, self._expected.algorithm)
        if found != self._expected:
            return self._fail("DTLS: the peer's certificate does not match a=fingerprint")
        suite = BY_DTLS_NAME.get(self._tls.get_selected_srtp_profile().decode())
        if suite is None:
            return self._fail("DTLS: no SRTP profile in common")
        self.is_done = True
        # RFC 5764 §4.2: client key, server key, client salt, server salt.
        material = self._tls.export_keying_material(_LABEL, 2 * suite.secret_bytes)
        key, salt = suite.key_bytes, suite.salt_bytes
        salts = material[2 * key :]
        client, server = material[:key] + salts[:salt], material[key : 2 * key] + salts[salt:]
        theirs, ours = (server, client) if self._is_active else (client, server)
        return self._on_keys(suite, theirs, ours)


def _reason(error: SSL.Error) -> str:
    details = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(str(detail[-1]) for detail in details) or "the handshake failed"


def split_records(flight: bytes) -> list[bytes]:
    """Cut what OpenSSL wrote into datagrams: whole records, as many as fit (RFC 6347 §4.1)."""
    datagrams: list[bytes] = []
    while flight:
        size = _RECORD_HEADER_BYTES + int.from_bytes(flight[11:13])
        record, flight = flight[:size], flight[size:]
        if datagrams and len(datagrams[-1]) + len(record) <= _MTU_BYTES:
            datagrams[-1] += record
        else:
            datagrams.append(record)
    return datagrams


def is_dtls(data: bytes) -> bool:
    """Tell DTLS from RTP, RTCP and STUN on one port (RFC 7983)."""
    return bool(data) and 20 <= data[0] <= 63
