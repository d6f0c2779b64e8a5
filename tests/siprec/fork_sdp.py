"""SDP as rtpengine 10.5 offers it for a fork with the `siprec` flag."""

import base64
import hashlib
from collections.abc import Sequence

from siprec.sdp import SUITES

LABELS = {"0": "tagB", "1": "tagA"}
WANTED = (("tagA", "1"), ("tagB", "2"))


def media(
    label: str = "1",
    *,
    port: int = 30150,
    kind: str = "audio",
    proto: str = "RTP/AVP",
    address: str = "127.0.0.10",
    formats: Sequence[str] = ("8 PCMA/8000",),
    extra: Sequence[str] = (),
    direction: str = "sendonly",
) -> list[str]:
    """Write one m-line; `formats` are payload types, each with its encoding if it has one."""
    numbers = " ".join(f.partition(" ")[0] for f in formats)
    return [
        f"m={kind} {port} {proto} {numbers}",
        f"c=IN IP{6 if ':' in address else 4} {address}",
        f"a=label:{label}",
        *(f"a=rtpmap:{f}" for f in formats if " " in f),
        *extra,
        f"a={direction}",
        f"a=rtcp:{port + 1}",
    ]


def fork(*blocks: list[str]) -> str:
    """Write the whole description; by default both parties speak PCMA and send digits."""
    digits = ("8 PCMA/8000", "101 telephone-event/8000")
    blocks = blocks or (
        media("0", port=30136, formats=digits, extra=["a=fmtp:101 0-15"]),
        media("1", port=30150, formats=digits, extra=["a=fmtp:101 0-15"]),
    )
    head = [
        "v=0",
        "o=- 7711042673872262601 7711042673872262601 IN IP4 127.0.0.101",
        "s=rtpengine-10-5-3-5-1-deb12u1",
        "t=0 0",
    ]
    return "\r\n".join([*head, *(line for block in blocks for line in block), ""])


SEEN = (
    media("0", port=30136),
    media("2", port=30140, kind="video", formats=("96 VP8/90000", "97 rtx/90000")),
    media("1", port=30150),
    media("3", port=30154, kind="video", formats=("96 VP8/90000",)),
)
"""A call with video: m-lines of party B, then of party A."""
SEEN_LABELS = {"0": "tagB", "1": "tagA", "2": "tagB", "3": "tagA"}
SEEN_WANTED = (("tagA", "3"), ("tagB", "4"))


def srtp_key(suite: str, whose: str = "ours") -> str:
    """Write a key parameter of the right length for the suite."""
    secret = hashlib.sha512(whose.encode()).digest()[: SUITES.get(suite, 30)]
    return f"inline:{base64.b64encode(secret).decode()}"


def crypto(tag: int, suite: str, whose: str = "ours") -> str:
    """Write an `a=crypto` line."""
    return f"a=crypto:{tag} {suite} {srtp_key(suite, whose)}"


def fingerprint(name: str = "sha-256", *, other: bool = False) -> str:
    """Write the value of an `a=fingerprint`."""
    digest = hashlib.new(name.replace("-", ""), b"other" if other else b"certificate").digest()
    return f"{name} {digest.hex(':').upper()}"
