"""The SRTP crypto suites we know, and libsrtp contexts for them (RFC 4568, 6188, 7714, 5764)."""

import struct
from dataclasses import dataclass

from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi  # type: ignore[import-not-found]

_WINDOW_PACKETS = 1024
# Of libsrtp's srtp.h: what pylibsrtp has no name for.
_AES_ICM_256 = 5
_AES_256_KEY_AND_SALT_BYTES = 46


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One crypto suite. `dtls` is OpenSSL's name of it, empty when DTLS-SRTP has none."""

    name: str
    profile: int
    key_bytes: int
    salt_bytes: int
    tag_bytes: int
    dtls: str = ""
    is_aes_256_cm: bool = False

    @property
    def secret_bytes(self) -> int:
        """Return the length of master key and master salt together."""
        return self.key_bytes + self.salt_bytes

    def policy(self, secret: bytes, *, inbound: bool) -> Policy:
        """Return what libsrtp needs to know; `secret` is master key and master salt."""
        kind = Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND
        policy = Policy(key=secret, ssrc_type=kind, srtp_profile=self.profile)
        policy.window_size = _WINDOW_PACKETS
        if self.is_aes_256_cm:
            # libsrtp has the cipher, but no profile that names it: set type and length of the key.
            for part in ("rtp", "rtcp"):
                fields = ffi.buffer(ffi.addressof(policy._policy, part))
                fields[:8] = struct.pack("=Ii", _AES_ICM_256, _AES_256_KEY_AND_SALT_BYTES)
        return policy

    def session(self, secret: bytes, *, inbound: bool) -> Session:
        """Return a libsrtp context for one direction."""
        return Session(self.policy(secret, inbound=inbound))


SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            name="AES_CM_128_HMAC_SHA1_80",
            profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
            key_bytes=16,
            salt_bytes=14,
            tag_bytes=10,
            dtls="SRTP_AES128_CM_SHA1_80",
        ),
        Suite(
            name="AES_CM_128_HMAC_SHA1_32",
            profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
            key_bytes=16,
            salt_bytes=14,
            tag_bytes=4,
            dtls="SRTP_AES128_CM_SHA1_32",
        ),
        Suite(
            name="AEAD_AES_128_GCM",
            profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
            key_bytes=16,
            salt_bytes=12,
            tag_bytes=16,
            dtls="SRTP_AEAD_AES_128_GCM",
        ),
        Suite(
            name="AEAD_AES_256_GCM",
            profile=Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
            key_bytes=32,
            salt_bytes=12,
            tag_bytes=16,
            dtls="SRTP_AEAD_AES_256_GCM",
        ),
        Suite(
            name="AES_256_CM_HMAC_SHA1_80",
            profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
            key_bytes=32,
            salt_bytes=14,
            tag_bytes=10,
            is_aes_256_cm=True,
        ),
    )
}
BY_DTLS_NAME = {suite.dtls: suite for suite in SUITES.values() if suite.dtls}
