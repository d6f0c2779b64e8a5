"""Damaged answers of a recorder: what a bad network, a bad program or a bad person may send."""

import base64
import re
from collections.abc import Callable
from random import Random

_TOKENS = (
    *("0", "1", "7", "8", "101", "4000", "65535", "65536", "-1", "99999999999999999999"),
    *("RTP/AVP", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "audio", "video", "image"),
    *("0.0.0.0", "::", "::1", "224.0.0.1", "255.255.255.255", "10.0.0.9", "host.example"),
    *("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_256_GCM"),
    *("NULL_HMAC_SHA1_80", "F8_128_HMAC_SHA1_80", "UNENCRYPTED_SRTP", "UNAUTHENTICATED_SRTP"),
    *("inline:", "inline:AAAA", "inline:" + "A" * 40, "|2^31|1:4", "KDR=1", "WSH=64"),
    *("active", "passive", "actpass", "holdconn", "sha-1", "sha-256", "AA:BB", "IP4", "IP6"),
    *("", "\x00", "\u0663", "\U0001f4a3", "%", "\\", '"', "x" * 3000),
)
_LINES = (
    "m=audio 4000 RTP/AVP 8",
    "m=audio 0 RTP/SAVP 8",
    "m=audio 4002 RTP/SAVP 8",
    "m=video 4004 RTP/AVP 96",
    "c=IN IP4 0.0.0.0",
    "c=IN IP4 10.0.0.66",
    "c=IN IP6 2001:db8::66",
    "a=inactive",
    "a=sendonly",
    "a=sendrecv",
    "a=setup:active",
    "a=setup:actpass",
    "a=rtpmap:8 PCMU/8000",
    "a=rtpmap:97 PCMA/8000",
    "a=crypto:1 NULL_HMAC_SHA1_80 inline:" + "A" * 40,
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40,
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
    "a=rtcp:1 IN IP4 10.0.0.66",
    "v=0",
    "",
    "nonsense",
)
_KEY_BYTES = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AEAD_AES_256_GCM": 44,
    "NULL_HMAC_SHA1_80": 30,
}
_WORDS = re.compile(r"[^\s=:|]+")

Lines = list[str]


def mutate_sdp(rng: Random, sdp: str) -> str:
    """Damage a description in one place to four. Some of what comes out is still good."""
    lines = sdp.replace("\r\n", "\n").rstrip("\n").split("\n")
    for _ in range(rng.randint(1, 4)):
        rng.choice(_MUTATORS)(rng, lines)
    return rng.choice(("\r\n", "\r\n", "\r\n", "\n", "\r")).join([*lines, ""])


def mutate_multipart(rng: Random, body: bytes) -> bytes:
    """Damage a multipart body: its boundaries, its headers, its bytes."""
    damaged = bytearray(body)
    for _ in range(rng.randint(1, 4)):
        start = rng.randint(0, len(damaged))
        end = min(len(damaged), start + rng.randint(0, 12))
        match rng.randrange(6):
            case 0:
                del damaged[start:end]
            case 1:
                damaged[start:start] = damaged[start:end]
            case 2:
                damaged[start:end] = rng.randbytes(rng.randint(0, 8))
            case 3:
                damaged[start:start] = rng.choice((b"\r\n", b"\n", b"--", b"\r\n--", b"\0"))
            case 4:
                del damaged[start:]
            case _:
                damaged += damaged[start:]
    return bytes(damaged)


def _some(rng: Random, lines: Lines) -> int:
    return rng.randrange(len(lines)) if lines else 0


def _drop(rng: Random, lines: Lines) -> None:
    if lines:
        del lines[_some(rng, lines)]


def _repeat(rng: Random, lines: Lines) -> None:
    if lines:
        lines.insert(_some(rng, lines), rng.choice(lines))


def _move(rng: Random, lines: Lines) -> None:
    if lines:
        line = lines.pop(_some(rng, lines))
        lines.insert(rng.randint(0, len(lines)), line)


def _add(rng: Random, lines: Lines) -> None:
    lines.insert(rng.randint(0, len(lines)), rng.choice(_LINES))


def _change_word(rng: Random, lines: Lines) -> None:
    at = _some(rng, lines)
    words = list(_WORDS.finditer(lines[at])) if lines else []
    if words:
        word = rng.choice(words)
        lines[at] = lines[at][: word.start()] + rng.choice(_TOKENS) + lines[at][word.end() :]


def _change_character(rng: Random, lines: Lines) -> None:
    at = _some(rng, lines)
    if lines and lines[at]:
        place = rng.randrange(len(lines[at]))
        lines[at] = lines[at][:place] + chr(rng.randrange(1, 0x180)) + lines[at][place + 1 :]


def _cut(rng: Random, lines: Lines) -> None:
    at = _some(rng, lines)
    if lines:
        lines[at] = lines[at][: rng.randint(0, len(lines[at]))]


def _break(rng: Random, lines: Lines) -> None:
    at = _some(rng, lines)
    if lines:
        place = rng.randint(0, len(lines[at]))
        lines[at : at + 1] = [lines[at][:place], lines[at][place:]]


def _join(rng: Random, lines: Lines) -> None:
    at = _some(rng, lines)
    lines[at : at + 2] = ["".join(lines[at : at + 2])]


def _add_media(rng: Random, lines: Lines) -> None:
    starts = [i for i, line in enumerate(lines) if line.startswith("m=")]
    if starts:
        lines += lines[rng.choice(starts) :]


def _downgrade(rng: Random, lines: Lines) -> None:
    lines[:] = [re.sub(r"(UDP/TLS/)?RTP/SAVP", "RTP/AVP", line) for line in lines]


def _new_key(rng: Random, lines: Lines) -> None:
    key = base64.b64encode(rng.randbytes(rng.choice((0, 16, 28, 29, 30, 31, 44)))).decode()
    lines[:] = [re.sub(r"inline:\S*", lambda _: f"inline:{key}", line) for line in lines]


def _swap_crypto(rng: Random, lines: Lines) -> None:
    """Choose another tag, or another suite with a key that fits it."""
    suite, size = rng.choice(tuple(_KEY_BYTES.items()))
    key = base64.b64encode(rng.randbytes(size)).decode()
    line = f"a=crypto:{rng.randint(0, 3)} {suite} inline:{key}"
    lines[:] = [line if old.startswith("a=crypto:") else old for old in lines]


_MUTATORS: tuple[Callable[[Random, Lines], None], ...] = (
    _drop,
    _repeat,
    _move,
    _add,
    _change_word,
    _change_word,
    _change_character,
    _cut,
    _break,
    _join,
    _add_media,
    _downgrade,
    _new_key,
    _swap_crypto,
)
