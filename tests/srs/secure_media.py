"""The SRC's side of secured media, for tests: offers, and SRTP of its own making.

The AES-CM suites are written out here from RFC 3711 §4 and RFC 6188, with nothing but a block
cipher and HMAC: what the SRS decrypts then is more than what one library does both ways.
"""

import base64
import hashlib
import hmac
import struct
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# RFC 3711 B.3: the master key and salt of the test vectors, then more bytes for longer suites.
TEST_SECRET = bytes.fromhex(
    "E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB6960B3AABE60102030405060708090A0B0C0D0E0F10"
)
# Length of master key, length of master salt, length of the authentication tag.
SIZES = {
    "AES_CM_128_HMAC_SHA1_80": (16, 14, 10),
    "AES_CM_128_HMAC_SHA1_32": (16, 14, 4),
    "AEAD_AES_128_GCM": (16, 12, 16),
    "AEAD_AES_256_GCM": (32, 12, 16),
    "AES_256_CM_HMAC_SHA1_80": (32, 14, 10),
}

Seal = Callable[[bytes], bytes]


def secret_of(suite: str) -> bytes:
    """Return the test key and salt in the length of this suite."""
    key, salt, _ = SIZES[suite]
    return TEST_SECRET[: key + salt]


def inline(suite: str, *, pad: bool = True) -> str:
    """Write the key parameter of this suite."""
    text = base64.b64encode(secret_of(suite)).decode()
    return "inline:" + (text if pad else text.rstrip("="))


def crypto_line(tag: int, suite: str) -> str:
    """Write one a=crypto line."""
    return f"a=crypto:{tag} {suite} {inline(suite)}\r\n"


def secure_offer(offer: str, lines: str, *, proto: str = "RTP/SAVP") -> str:
    """Turn an offer of plain RTP into a secured one; `lines` go into each m-line."""
    return offer.replace("RTP/AVP", proto).replace("a=sendonly\r\n", f"a=sendonly\r\n{lines}")


def _ctr(key: bytes, block: int, size: int) -> bytes:
    stream = Cipher(algorithms.AES(key), modes.CTR(block.to_bytes(16))).encryptor()
    return stream.update(bytes(size))


def derive(secret: bytes, key_bytes: int, label: int, size: int) -> bytes:
    """Derive a session key (RFC 3711 §4.3.1, §4.3.3; RFC 6188 §3) with a derivation rate of 0."""
    key, salt = secret[:key_bytes], secret[key_bytes:].ljust(14, b"\0")
    return _ctr(key, (int.from_bytes(salt) ^ label << 48) << 16, size)


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def sealer(suite: str, secret: bytes, *, rollover: int = 0) -> Seal:
    """Return what turns an RTP packet with a header of 12 bytes into SRTP."""
    key_bytes, salt_bytes, tag_bytes = SIZES[suite]
    key = derive(secret, key_bytes, 0, key_bytes)
    auth = derive(secret, key_bytes, 1, 20)
    salt = int.from_bytes(derive(secret, key_bytes, 2, salt_bytes))

    def seal_cm(packet: bytes) -> bytes:
        seq, _, ssrc = struct.unpack_from("!HII", packet, 2)
        block = salt << 16 ^ ssrc << 64 ^ (rollover << 16 | seq) << 16
        payload = _xor(packet[12:], _ctr(key, block, len(packet) - 12))
        sealed = packet[:12] + payload
        tag = hmac.new(auth, sealed + struct.pack("!I", rollover), hashlib.sha1).digest()
        return sealed + tag[:tag_bytes]

    def seal_gcm(packet: bytes) -> bytes:
        # RFC 7714 §8.1.
        seq, _, ssrc = struct.unpack_from("!HII", packet, 2)
        nonce = salt ^ (ssrc << 48 | rollover << 16 | seq)
        return packet[:12] + AESGCM(key).encrypt(nonce.to_bytes(12), packet[12:], packet[:12])

    return seal_gcm if suite.startswith("AEAD") else seal_cm


def rtp(seq: int, payload: bytes, *, ssrc: int = 0x1000, kind: int = 0) -> bytes:
    """Write an RTP packet whose timestamp goes with its sequence number."""
    return struct.pack("!BBHII", 0x80, kind, seq & 0xFFFF, 160 * seq, ssrc) + payload


def frame(number: int) -> bytes:
    """Return 20 ms of a loud pattern that differs with each number."""
    return bytes((number * 7 + index) % 128 for index in range(160))
