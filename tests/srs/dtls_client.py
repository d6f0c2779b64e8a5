"""The SRC's side of DTLS-SRTP for tests: OpenSSL over one of the client's media sockets."""

import contextlib
import datetime
import hashlib
import socket
from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

# Length of master key and master salt, by OpenSSL's name of the profile.
_SIZES = {
    "SRTP_AES128_CM_SHA1_80": (16, 14),
    "SRTP_AES128_CM_SHA1_32": (16, 14),
    "SRTP_AEAD_AES_128_GCM": (16, 12),
    "SRTP_AEAD_AES_256_GCM": (32, 12),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What a handshake ends in: OpenSSL's name of the profile, key and salt of either side."""

    profile: str
    ours: bytes
    theirs: bytes


class DtlsPeer:
    """One certificate, and one handshake with `shake`."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test-src")])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(name, name, self.key.public_key(), 1)
        builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(1))
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.seen: list[x509.Certificate] = []

    @classmethod
    def stranger(cls, like: Self) -> "DtlsPeer":
        """Return another peer than the one whose fingerprint is offered."""
        other = cls()
        assert other.fingerprint != like.fingerprint
        return other

    @property
    def fingerprint(self) -> str:
        """Return the value of a=fingerprint."""
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        return "sha-256 " + hashlib.sha256(der).digest().hex(":").upper()

    def shake(
        self, through: socket.socket, to: tuple[str, int], *, is_active: bool, profiles: str
    ) -> Secrets:
        """Do the handshake.

        Raises: TimeoutError when the other side says nothing for 5 s; KeyError when there is no
        profile in common.
        """
        tls = self._connection(profiles, is_active)
        through.settimeout(5)
        while True:
            try:
                tls.do_handshake()
                break
            except SSL.WantReadError:
                _flush(tls, through, to)
            tls.bio_write(through.recv(2048))
        _flush(tls, through, to)
        certificate = tls.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        self.seen.append(certificate)
        profile = tls.get_selected_srtp_profile().decode()
        key, salt = _SIZES[profile]
        material = tls.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        ours, theirs = (client, server) if is_active else (server, client)
        return Secrets(profile=profile, ours=ours, theirs=theirs)

    def _connection(self, profiles: str, is_active: bool) -> SSL.Connection:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.use_certificate(self.certificate)
        context.use_privatekey(self.key)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        context.set_tlsext_use_srtp(profiles.encode())
        tls = SSL.Connection(context, None)
        tls.set_ciphertext_mtu(1200)
        if is_active:
            tls.set_connect_state()
        else:
            tls.set_accept_state()
        return tls


def _flush(tls: SSL.Connection, through: socket.socket, to: tuple[str, int]) -> None:
    with contextlib.suppress(SSL.Error):
        flight = tls.bio_read(65536)
        while flight:
            # A datagram for each record; the SRS packs several into one.
            size = 13 + int.from_bytes(flight[11:13])
            through.sendto(flight[:size], to)
            flight = flight[size:]
