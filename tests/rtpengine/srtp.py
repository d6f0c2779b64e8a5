"""Endpoints that speak SRTP with libsrtp and OpenSSL: nothing of rtpengine's.

libsrtp decrypts, except AES_192_CM: its key derivation for that is not the one of RFC 6188,
so there the RFC is written out.
"""

import base64
import hashlib
import hmac
import re
import secrets
import select
import socket
import struct
import time
from typing import ClassVar, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi  # type: ignore[import-not-found]

from siprec_srs.dtls import Fingerprint, Handshake, is_dtls, our_identity
from siprec_srs.suites import Suite
from tests.rtpengine.media import RtpEndpoint
from tests.srs.secure_media import derive

_CM_80 = Policy.SRTP_PROFILE_AES128_CM_SHA1_80
_CM_32 = Policy.SRTP_PROFILE_AES128_CM_SHA1_32
# Bytes of key and salt, libsrtp's profile, and the cipher where libsrtp has no profile of it
# (srtp.h: SRTP_AES_ICM_256).
_SUITES = {
    "AEAD_AES_256_GCM": (44, Policy.SRTP_PROFILE_AEAD_AES_256_GCM, None),
    "AEAD_AES_128_GCM": (28, Policy.SRTP_PROFILE_AEAD_AES_128_GCM, None),
    "AES_256_CM_HMAC_SHA1_80": (46, _CM_80, 5),
    "AES_256_CM_HMAC_SHA1_32": (46, _CM_32, 5),
    "AES_CM_128_HMAC_SHA1_80": (30, _CM_80, None),
    "AES_CM_128_HMAC_SHA1_32": (30, _CM_32, None),
}
_AES_192_TAG_BYTES = {"AES_192_CM_HMAC_SHA1_80": 10, "AES_192_CM_HMAC_SHA1_32": 4}
_AES_192_BYTES = 38
_REPEAT_S = 0.2


def srtp_session(suite: str, secret: bytes, *, inbound: bool) -> Session:
    """Give libsrtp's context of one direction; `secret` is master key and master salt."""
    size, profile, cipher = _SUITES[suite]
    assert len(secret) == size
    kind = Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND
    policy = Policy(key=secret, ssrc_type=kind, srtp_profile=profile)
    # rtpengine's threads may change the order within a burst.
    policy.window_size = 1024
    if cipher is not None:
        for part in ("rtp", "rtcp"):
            ffi.buffer(ffi.addressof(policy._policy, part))[:8] = struct.pack("=Ii", cipher, size)
    return Session(policy)


class Opener(Protocol):
    """Decrypts packets of one stream; raises when one is not authentic."""

    def unprotect(self, packet: bytes) -> bytes:
        """Give the RTP packet."""


class _Aes192Opener:
    """RFC 6188 with a key of 192 bits (RFC 3711 §4), before the sequence number wraps."""

    def __init__(self, suite: str, secret: bytes) -> None:
        assert len(secret) == _AES_192_BYTES
        self._tag_bytes = _AES_192_TAG_BYTES[suite]
        self._key = derive(secret, 24, 0, 24)
        self._auth = derive(secret, 24, 1, 20)
        self._salt = int.from_bytes(derive(secret, 24, 2, 14))

    def unprotect(self, packet: bytes) -> bytes:
        """Give the RTP packet."""
        sealed, tag = packet[: -self._tag_bytes], packet[-self._tag_bytes :]
        wanted = hmac.digest(self._auth, sealed + bytes(4), hashlib.sha1)
        assert wanted[: self._tag_bytes] == tag
        sequence, _, ssrc = struct.unpack_from("!HII", sealed, 2)
        block = self._salt << 16 ^ ssrc << 64 ^ sequence << 16
        cipher = Cipher(algorithms.AES(self._key), modes.CTR(block.to_bytes(16)))
        return sealed[:12] + cipher.decryptor().update(sealed[12:])


def opener(suite: str, secret: bytes) -> Opener:
    """Give what decrypts packets of this suite; `secret` is master key and master salt."""
    if suite in _AES_192_TAG_BYTES:
        return _Aes192Opener(suite, secret)
    session: Opener = srtp_session(suite, secret, inbound=True)
    return session


def crypto_of(sdp: str, suite: str) -> list[tuple[str, str]]:
    """Give tag and key (base64) of this suite in each m-line that has it."""
    return re.findall(rf"^a=crypto:(\d+) {suite} inline:([^\s|]+)", sdp, re.MULTILINE)


class SrtpEndpoint(RtpEndpoint):
    """An RTP endpoint with SDES: it has one suite, and a key of its own."""

    wishes: ClassVar[dict[str, str]] = {"transport-protocol": "RTP/SAVP", "DTLS": "off"}

    def __init__(self, name: str, ssrc: int = 0, suite: str = "AES_CM_128_HMAC_SHA1_80") -> None:
        super().__init__(name, ssrc)
        self.suite = suite
        size = _SUITES[suite][0] if suite in _SUITES else _AES_192_BYTES
        self.secret = secrets.token_bytes(size)
        self._crypto_tag = "1"
        self._in: Opener | None = None
        self._out: Session | None = None

    @property
    def key(self) -> str:
        """Give key and salt in base64."""
        return base64.b64encode(self.secret).decode()

    @property
    def crypto(self) -> str:
        """Give the a=crypto line."""
        return f"a=crypto:{self._crypto_tag} {self.suite} inline:{self.key}"

    def sdp(self) -> str:
        """Give an SDP as a plain endpoint's, but secured."""
        return super().sdp().replace("RTP/AVP", "RTP/SAVP") + f"{self.crypto}\r\n"

    def hears_of(self, sdp: str) -> None:
        """Take what the other side has offered or answered: port, tag and key."""
        super().hears_of(sdp)
        self.takes(*crypto_of(sdp, self.suite)[0])

    def takes(self, tag: str, key: str) -> None:
        """Decrypt with this key from now on."""
        self._crypto_tag = tag
        secret = base64.b64decode(key + "=" * (-len(key) % 4))
        self._in = opener(self.suite, secret)

    def _seal(self, packet: bytes) -> bytes:
        if self._out is None:
            self._out = srtp_session(self.suite, self.secret, inbound=False)
        return bytes(self._out.protect(packet))

    def _open(self, packet: bytes) -> bytes:
        assert self._in is not None
        return self._in.unprotect(packet)


class _Association:
    """One handshake on one socket, and the answers to what rtpengine repeats of it."""

    def __init__(self, through: socket.socket, port: int, role: str, fingerprint: str) -> None:
        expected = Fingerprint.parse(fingerprint)
        assert expected is not None
        self.theirs: tuple[Suite, bytes] | None = None
        self._socket = through
        self._to = ("127.0.0.1", port)
        self._handshake = Handshake(
            identity=our_identity(),
            suites=("AES_CM_128_HMAC_SHA1_80",),
            is_active=role == "active",
            expected=expected,
            send=self._send,
            on_keys=self._take,
        )

    def run(self) -> tuple[str, bytes]:
        """Do the handshake; give the suite, and key and salt of rtpengine."""
        self._handshake.start()
        while self.theirs is None:
            assert not self._handshake.failure
            readable, _, _ = select.select([self._socket], [], [], _REPEAT_S)
            if readable:
                self.receive(self._socket.recv(2048))
            else:
                self._handshake.again()
        suite, secret = self.theirs
        return suite.name, secret

    def receive(self, datagram: bytes) -> None:
        """Take one datagram of DTLS."""
        self._handshake.receive(datagram)

    def _send(self, datagram: bytes) -> None:
        self._socket.sendto(datagram, self._to)

    def _take(self, suite: Suite, theirs: bytes, ours: bytes) -> None:
        self.theirs = (suite, theirs)


class DtlsEndpoint(RtpEndpoint):
    """A recorder with DTLS-SRTP, on an RTP socket and an RTCP socket."""

    def __init__(self, name: str, role: str) -> None:
        super().__init__(name)
        self.role = role
        self.rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtcp.bind(("127.0.0.1", 0))
        self._rtp: _Association | None = None
        self._in: Opener | None = None

    def close(self) -> None:
        """Close both sockets."""
        self.rtcp.close()
        super().close()

    @property
    def lines(self) -> list[str]:
        """Give the lines of the answer's m-line that say how it is protected."""
        return [
            f"a=setup:{self.role}",
            f"a=fingerprint:{Fingerprint.of(our_identity().certificate)}",
            f"a=rtcp:{self.rtcp.getsockname()[1]}",
        ]

    def shake(self, port: int, fingerprint: str) -> None:
        """Do the handshakes with rtpengine's RTP port and with the RTCP port beside it.

        rtpengine must own the certificate of `fingerprint`.
        """
        self._rtp = _Association(self.socket, port, self.role, fingerprint)
        suite, secret = self._rtp.run()
        of_rtcp = _Association(self.rtcp, port + 1, self.role, fingerprint).run()
        assert of_rtcp[0] == suite
        assert of_rtcp[1] != secret
        self._in = opener(suite, secret)

    def _next(self, timeout_s: float) -> bytes | None:
        give_up = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, give_up - time.monotonic())
            readable, _, _ = select.select([self.socket], [], [], left_s)
            if not readable:
                return None
            datagram = self.socket.recv(2048)
            if not is_dtls(datagram):
                return self._open(datagram)
            # Its threads read two datagrams of a flight in any order, and ask for them again.
            assert self._rtp is not None
            self._rtp.receive(datagram)

    def _open(self, packet: bytes) -> bytes:
        assert self._in is not None
        return self._in.unprotect(packet)
