"""Reading SDP: strict enough to trust what comes out, lenient about what we do not use."""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from siprec.errors import SdpError

MAX_SDP_BYTES = 65_536
MAX_FORMATS = 128
"""There are no more RTP payload types."""

Attributes = tuple[tuple[str, str | None], ...]
"""`a=` lines in order: name, and what follows the colon (None without a colon)."""

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")

_TOKEN = re.compile(r"[!-~]+")
_MEDIA = re.compile(r"([!-~]+) ([0-9]{1,5})(?:/[0-9]{1,5})? ([!-~]+)(.*)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

# RFC 3551 table 4: what a payload type means when no rtpmap says otherwise.
_STATIC_CODECS = {
    "0": "PCMU/8000",
    "3": "GSM/8000",
    "4": "G723/8000",
    "5": "DVI4/8000",
    "6": "DVI4/16000",
    "7": "LPC/8000",
    "8": "PCMA/8000",
    "9": "G722/8000",
    "10": "L16/44100/2",
    "11": "L16/44100",
    "12": "QCELP/8000",
    "13": "CN/8000",
    "14": "MPA/90000",
    "15": "G728/8000",
    "16": "DVI4/11025",
    "17": "DVI4/22050",
    "18": "G729/8000",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """One m-line and what stands under it.

    `connection` is the address of its `c=` line, or the session's; "" when there is neither.
    `attributes` begin with the session's direction when the m-line has none of its own.
    """

    kind: str
    port: int
    proto: str
    formats: tuple[str, ...] = ()
    connection: str = ""
    attributes: Attributes = ()

    def attribute(self, name: str) -> str | None:
        """Give the value of the first attribute of that name ("" when it has none)."""
        return next((value or "" for key, value in self.attributes if key == name), None)

    def values(self, name: str) -> list[str]:
        """Give the values of all attributes of that name."""
        return [value or "" for key, value in self.attributes if key == name]

    @property
    def direction(self) -> str:
        """Give `sendrecv`, `sendonly`, `recvonly` or `inactive` (RFC 8866 §6.7)."""
        return _direction(self.attributes) or "sendrecv"

    @property
    def rtpmaps(self) -> dict[str, str]:
        """Give the encoding (`PCMA/8000`) of each format that has an rtpmap line."""
        return self._by_format("rtpmap")

    @property
    def fmtps(self) -> dict[str, str]:
        """Give the parameters of each format that has an fmtp line."""
        return self._by_format("fmtp")

    @property
    def codecs(self) -> dict[str, str]:
        """Give the codec of each format, in upper case without a channel count of 1.

        "" when it is unknown: a dynamic payload type without an rtpmap.
        """
        names = _STATIC_CODECS | self.rtpmaps
        return {f: names.get(f, "").upper().removesuffix("/1") for f in self.formats}

    def _by_format(self, name: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, value in self.attributes:
            if key == name and value:
                payload_type, _, text = value.partition(" ")
                found.setdefault(payload_type, text.strip())
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session description. `origin` is the text after `o=`, `connection` an address or ""."""

    origin: str = ""
    connection: str = ""
    attributes: Attributes = ()
    media: tuple[Media, ...] = ()

    def attribute(self, name: str) -> str | None:
        """Give the value of the first session attribute of that name ("" when it has none)."""
        return next((value or "" for key, value in self.attributes if key == name), None)

    def values(self, name: str) -> list[str]:
        """Give the values of all session attributes of that name."""
        return [value or "" for key, value in self.attributes if key == name]


def first_media(sdp: str, count: int) -> str:
    """Give the SDP with its first m-lines only, and what stands under them."""
    return "".join(re.split(r"(?m)^(?=m=)", sdp)[: count + 1])


def parse(text: str) -> Session:
    """Read a session description. Line ends may be CRLF or LF; unknown lines are ignored.

    Raises:
        SdpError: not SDP, or over 64 KiB.
    """
    if len(text) > MAX_SDP_BYTES or len(text.encode(errors="replace")) > MAX_SDP_BYTES:
        raise SdpError(f"is over {MAX_SDP_BYTES} bytes")
    lines = _lines(text.replace("\r\n", "\n").rstrip("\n"))
    if lines[0] != ("v", "0"):
        raise SdpError("does not begin with v=0")
    starts = [i for i, (letter, _) in enumerate(lines) if letter == "m"]
    session = _session(lines[: starts[0]] if starts else lines)
    ends = [*starts[1:], len(lines)]
    blocks = (lines[start:end] for start, end in zip(starts, ends, strict=False))
    return Session(
        origin=session.origin,
        connection=session.connection,
        attributes=session.attributes,
        media=tuple(_media(block, session) for block in blocks),
    )


# An SRS and an rtpengine have few addresses, which come with every call.
@lru_cache(maxsize=1024)
def numeric_address(text: str) -> IPv4Address | IPv6Address | None:
    """Give the IP address, or None for a host name, a scoped address, or anything else."""
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def _lines(text: str) -> list[tuple[str, str]]:
    may_be_bad = _CONTROL.search(text) is not None
    lines: list[tuple[str, str]] = []
    # What does not parse may be half a key: it is told by its number.
    for number, line in enumerate(text.split("\n"), 1):
        if not ("a" <= line[:1] <= "z") or line[1:2] != "=":
            raise SdpError(f"line {number} is not a line of SDP")
        if may_be_bad and _CONTROL.search(line):
            raise SdpError(f"line {number} holds a control character")
        lines.append((line[0], line[2:]))
    return lines


def _session(lines: list[tuple[str, str]]) -> Session:
    return Session(
        origin=next((value for letter, value in lines if letter == "o"), ""),
        connection=_connection(lines),
        attributes=_attributes(lines),
    )


def _media(lines: list[tuple[str, str]], session: Session) -> Media:
    text = lines[0][1]
    match = _MEDIA.fullmatch(text)
    if not match or int(match[2]) > 65535:
        raise SdpError(f"'m={text}' is not an m-line")
    formats = tuple(match[4].split())
    if len(formats) > MAX_FORMATS:
        raise SdpError(f"an m-line has more than {MAX_FORMATS} formats")
    if not all(_TOKEN.fullmatch(token) for token in formats):
        raise SdpError(f"'m={text}' has a format that is not a token")
    attributes = _attributes(lines)
    inherited = _direction(session.attributes)
    if inherited and not _direction(attributes):
        attributes = ((inherited, None), *attributes)
    return Media(
        kind=match[1],
        port=int(match[2]),
        proto=match[3],
        formats=formats,
        connection=_connection(lines) or session.connection,
        attributes=attributes,
    )


def _connection(lines: list[tuple[str, str]]) -> str:
    value = next((value for letter, value in lines if letter == "c"), None)
    if value is None:
        return ""
    parts = value.split()
    if len(parts) != 3 or parts[0] != "IN" or parts[1] not in ("IP4", "IP6"):
        raise SdpError(f"'c={value}' is not a connection line")
    return parts[2].partition("/")[0]


def _attributes(lines: list[tuple[str, str]]) -> Attributes:
    pairs = (value.partition(":") for letter, value in lines if letter == "a")
    return tuple((name, value if colon else None) for name, colon, value in pairs)


def _direction(attributes: Attributes) -> str | None:
    return next((name for name, _ in attributes if name in DIRECTIONS), None)
