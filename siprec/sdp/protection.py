"""How the media of an SDP are protected: SDES (RFC 4568) or DTLS-SRTP (RFC 5763), or not at all.

Nothing here quotes a key in an error, nor shows one in a `repr`.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from siprec.errors import ForkError, SrtpError
from siprec.sdp.session import Media, Session


class Profile(StrEnum):
    """What an m-line calls its protection, and whether there is early RTCP feedback (RFC 4585)."""

    AVP = "RTP/AVP"
    AVPF = "RTP/AVPF"
    SAVP = "RTP/SAVP"
    SAVPF = "RTP/SAVPF"
    DTLS = "UDP/TLS/RTP/SAVP"
    DTLS_F = "UDP/TLS/RTP/SAVPF"

    @property
    def is_plain(self) -> bool:
        """Tell whether it goes in the clear."""
        return self in (Profile.AVP, Profile.AVPF)

    @property
    def has_sdes(self) -> bool:
        """Tell whether the keys are in the SDP."""
        return self in (Profile.SAVP, Profile.SAVPF)

    @property
    def has_dtls(self) -> bool:
        """Tell whether there is a fingerprint in the SDP, and a handshake."""
        return self in (Profile.DTLS, Profile.DTLS_F)

    @property
    def with_feedback(self) -> "Profile":
        """Give the same with early RTCP feedback."""
        return Profile(f"{self.removesuffix('F')}F")


# Not among them: NULL, which hides nothing, and F8, which nobody uses.
SUITES: Mapping[str, int] = MappingProxyType(
    {
        "AEAD_AES_256_GCM": 44,
        "AEAD_AES_128_GCM": 28,
        "AES_256_CM_HMAC_SHA1_80": 46,
        "AES_256_CM_HMAC_SHA1_32": 46,
        "AES_192_CM_HMAC_SHA1_80": 38,
        "AES_192_CM_HMAC_SHA1_32": 38,
        "AES_CM_128_HMAC_SHA1_80": 30,
        "AES_CM_128_HMAC_SHA1_32": 30,
    }
)
"""The suites that an operator may choose, and the bytes of master key and salt of each
(RFC 4568 §6.2, 6188, 7714). The order is that in which rtpengine offers its own."""

_CRYPTO = re.compile(r"([0-9]{1,9})[ \t]+(\S+)[ \t]+(\S+)((?:[ \t]+\S+)*)[ \t]*")
_KEY = re.compile(r"(?i:inline):([A-Za-z0-9+/]+={0,2})(?:\|(2\^)?[0-9]{1,15})?(\|[0-9:]+)?")
_MKI = re.compile(r"\|([0-9]{1,309}):([0-9]{1,3})")
_MAX_MKI_BYTES = 128
_SHOWN_KEY = re.compile(r"(inline:)[ \t]*[^\s\"\\]+", re.IGNORECASE)
_NAME = re.compile(r"[A-Z0-9_]{1,40}")

# RFC 8122 §5; SHA-1 and older are not what we want to rely on.
_HASH_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_ROLES = {"actpass": ("active", "passive"), "active": ("passive",), "passive": ("active",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Crypto:
    """One `a=crypto` that can be used: `key` is master key and salt in base64.

    `mki` is `|VALUE:LENGTH` as it stood behind the key, or "".
    """

    tag: str
    suite: str
    key: str = field(repr=False)
    mki: str = ""

    @property
    def line(self) -> str:
        """Write it, without lifetime and session parameters."""
        return f"a=crypto:{self.tag} {self.suite} inline:{self.key}{self.mki}"


def hide_keys(sdp: str) -> str:
    """Replace every SRTP key by `inline:(hidden)`: for logs, and for people."""
    return _SHOWN_KEY.sub(r"\1(hidden)", sdp)


def read_crypto(value: str) -> Crypto:
    """Read the value of an `a=crypto` (RFC 4568 §9.1).

    Raises:
        SrtpError: it cannot be used: no suite of `SUITES`, a key of another length, several
            keys, or a session parameter that we cannot do.
    """
    match = _CRYPTO.fullmatch(value)
    if match is None:
        raise SrtpError("an a=crypto is malformed")
    suite = match[2].upper()
    if suite not in SUITES:
        shown = match[2] if _NAME.fullmatch(match[2]) else "of a=crypto"
        raise SrtpError(f"suite {shown} was not offered")
    for parameter in match[4].split():
        _check_session_parameter(parameter)
    key = _KEY.fullmatch(match[3])
    if key is None:
        raise SrtpError("the key of a=crypto is malformed, or there are several")
    return Crypto(tag=match[1], suite=suite, key=_key(suite, key[1]), mki=_mki(key[3] or ""))


def offered_crypto(
    media: Media, suites: Sequence[str], *, of_srtp_call: bool = False
) -> tuple[tuple[Crypto, ...], bool]:
    """Choose what an m-line of a fork offers of these suites, in their order.

    The second value is True when these are keys of the call itself: rtpengine copies the keys
    of a party whose media is SRTP, ahead of its own. A copied key is only offered when there
    is no other. `of_srtp_call`: the party may be such a one.

    Raises:
        ForkError: none of the suites is there.
    """
    copied, own = _copied_and_own(media, of_srtp_call)
    for source in (own, copied):
        chosen = tuple(source[suite] for suite in dict.fromkeys(suites) if suite in source)
        if chosen:
            return chosen, source is copied
    raise ForkError(f"it has no key for {', '.join(suites) or 'no suite'}")


def check_crypto(media: Media, offered: Sequence[tuple[str, str]]) -> Crypto:
    """Give the one `a=crypto` of an answered m-line; `offered` are pairs of tag and suite.

    Raises:
        SrtpError: there is none or several (RFC 4568 §5.1.2 allows one), or it is not one of
            the offered.
    """
    values = media.values("crypto")
    if not values:
        raise SrtpError("there is no key (a=crypto)")
    if len(values) > 1:
        raise SrtpError(f"there are {len(values)} keys (a=crypto) instead of one")
    crypto = read_crypto(values[0])
    tags = {tag for tag, suite in offered if suite == crypto.suite}
    if not tags:
        raise SrtpError(f"suite {crypto.suite} was not offered")
    # RFC 4568 §5.1.2: the tag says which of our keys is meant.
    if crypto.tag not in tags:
        wanted = " or ".join(sorted(tags))
        raise SrtpError(f"tag {crypto.tag} was not offered for {crypto.suite}, but {wanted}")
    return crypto


def offered_dtls(session: Session, media: Media) -> list[str]:
    """Write `a=setup` and `a=fingerprint` of a fork's m-line.

    Raises:
        ForkError: one of them is missing or cannot be used.
    """
    try:
        setup, fingerprint = _setup(session, media), _fingerprint(session, media)
    except SrtpError as error:
        raise ForkError(error.why) from error
    if setup not in _ROLES:
        raise ForkError("a=setup is none of actpass, active, passive")
    return [f"a=setup:{setup}", f"a=fingerprint:{fingerprint}"]


def check_dtls(session: Session, media: Media, offered: Media) -> list[str]:
    """Write `a=setup` and `a=fingerprint` of an answered m-line.

    Raises:
        SrtpError: no role that the offer allows (RFC 5763 §5), or no usable fingerprint.
    """
    setup = _setup(session, media)
    roles = _ROLES[offered.attribute("setup") or "actpass"]
    if setup not in roles:
        raise SrtpError(f"a=setup is {setup or 'missing'} instead of {' or '.join(roles)}")
    return [f"a=setup:{setup}", f"a=fingerprint:{_fingerprint(session, media)}"]


def _copied_and_own(
    media: Media, of_srtp_call: bool
) -> tuple[dict[str, Crypto], dict[str, Crypto]]:
    # rtpengine's own come last, in the order of SUITES, numbered one by one. What does not go
    # on like this is a copy, whose order and tags are those of the party. A copy of the first
    # of SUITES, with the tag 1, looks like its own: when there may be one, it is taken for it.
    order = list(SUITES)
    copied: dict[str, Crypto] = {}
    own: dict[str, Crypto] = {}
    after: Crypto | None = None
    for crypto in reversed(_readable(media)):
        if after is None or (
            not copied
            and order.index(crypto.suite) < order.index(after.suite)
            and int(crypto.tag) + 1 == int(after.tag)
        ):
            own[crypto.suite] = crypto
        else:
            copied[crypto.suite] = crypto
        after = crypto
    if of_srtp_call and not copied and order[0] in own:
        copied[order[0]] = own.pop(order[0])
    return copied, own


def _readable(media: Media) -> list[Crypto]:
    found: list[Crypto] = []
    for value in media.values("crypto"):
        with suppress(SrtpError):
            found.append(read_crypto(value))
    return found


def _check_session_parameter(parameter: str) -> None:
    # RFC 4568 §6.3.7: who does not know a parameter refuses the line, unless `-` precedes.
    name = parameter.partition("=")[0].upper()
    if name.removeprefix("-").startswith(("UNENCRYPTED_", "UNAUTHENTICATED_")):
        raise SrtpError("the answer asks for SRTP that is not encrypted or not authenticated")
    if name != "WSH" and not name.startswith("-"):
        shown = name if _NAME.fullmatch(name) else "of a=crypto"
        raise SrtpError(f"session parameter {shown} is not supported")


def _key(suite: str, text: str) -> str:
    # RFC 4568 §6.1: padding is discarded, so a peer may leave it out.
    bare = text.rstrip("=")
    try:
        secret = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        raise SrtpError("the key of a=crypto is not base64") from None
    if len(secret) != SUITES[suite]:
        wanted = SUITES[suite]
        raise SrtpError(f"the key has {len(secret)} bytes, {suite} takes {wanted}")
    return base64.b64encode(secret).decode()


def _mki(text: str) -> str:
    if not text:
        return ""
    match = _MKI.fullmatch(text)
    if match is None or not 1 <= int(match[2]) <= _MAX_MKI_BYTES:
        raise SrtpError("the MKI of a=crypto is malformed")
    if int(match[1]) >= 256 ** int(match[2]):
        raise SrtpError("the MKI of a=crypto is longer than it says")
    return text


def _setup(session: Session, media: Media) -> str:
    value = media.attribute("setup")
    value = session.attribute("setup") if value is None else value
    role = (value or "").strip().lower()
    return role if role in ("", "holdconn", *_ROLES) else "something else"


def _fingerprint(session: Session, media: Media) -> str:
    # RFC 8122 §5: there may be one of each hash; the strongest is checked.
    found: dict[str, set[str]] = {}
    for value in media.values("fingerprint") or session.values("fingerprint"):
        words = value.split()
        size = _HASH_BYTES.get(words[0].lower()) if words else None
        if size is None:
            continue
        digest = words[1].upper() if len(words) == 2 else ""
        if not re.fullmatch(rf"[0-9A-F]{{2}}(?::[0-9A-F]{{2}}){{{size - 1}}}", digest):
            raise SrtpError("a=fingerprint is malformed")
        found.setdefault(words[0].lower(), set()).add(digest)
    if not found:
        raise SrtpError("there is no a=fingerprint of SHA-256 or better")
    strongest = max(found)
    if len(found[strongest]) > 1:
        raise SrtpError("there are fingerprints of several certificates")
    return f"{strongest} {found[strongest].pop()}"
