"""Session descriptions: read the SRC's offer strictly, write our answer (RFC 4566, 3264, 7866)."""

import re
from dataclasses import dataclass

from siprec_srs.errors import SdpError
from siprec_srs.g711 import LAWS

_STATIC = {0: "PCMU", 8: "PCMA"}
_MEDIA = re.compile(r"(\S+) (\d{1,5})(?:/\d+)? (\S+)((?: \S+)+)")
_CONNECTION = re.compile(r"IN (IP4|IP6) (\S+)")
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaLine:
    """One m-line of an offer. `host` is where its connection line points."""

    kind: str
    port: int
    proto: str
    formats: tuple[str, ...]
    host: str
    direction: str
    attributes: tuple[tuple[str, str], ...]
    defaults: tuple[tuple[str, str], ...] = ()

    def all(self, name: str) -> list[str]:
        """Return the values of every attribute of this name."""
        return [value for key, value in self.attributes if key == name]

    def any(self, name: str) -> list[str]:
        """Return what `all` does, or what stands before the first m-line when that is nothing."""
        return self.all(name) or [value for key, value in self.defaults if key == name]

    @property
    def label(self) -> str:
        """Return the first label, empty when there is none."""
        return next(iter(self.all("label")), "")

    @property
    def codecs(self) -> dict[int, str]:
        """Map the offered payload types to encoding names in upper case, in order of the offer.

        Types that are neither static nor mapped by an rtpmap have an empty name.
        """
        names = dict(_STATIC)
        for value in self.all("rtpmap"):
            number, _, encoding = value.partition(" ")
            name, _, rate = encoding.partition("/")
            if number.isdecimal():
                known = name.upper() not in LAWS or rate.split("/")[0] == "8000"
                names[int(number)] = name.upper() if known else ""
        numbers = [int(text) for text in self.formats if text.isdecimal()]
        return {number: names.get(number, "") for number in numbers}

    @property
    def rtcp(self) -> tuple[str, int]:
        """Return where RTCP goes: a=rtcp, else the port after RTP's (RFC 3605)."""
        for value in self.all("rtcp"):
            port, _, address = value.partition(" ")
            if port.isdecimal() and 0 < int(port) < 65536:
                match = _CONNECTION.fullmatch(address.strip())
                return (match[2] if match else self.host), int(port)
        return self.host, self.port + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A session description as received."""

    origin: str
    media: tuple[MediaLine, ...]

    @property
    def labels(self) -> list[str]:
        """Return the labels of the m-lines that are in use, in order."""
        return [line.label for line in self.media if line.port]


def parse_offer(body: bytes) -> Offer:
    """Read a session description.

    Raises: SdpError with the number of the line and what is wrong with it.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise SdpError("the session description is not UTF-8") from error
    lines = [line.rstrip("\r") for line in text.rstrip("\r\n").split("\n")]
    for number, line in enumerate(lines, 1):
        if len(line) < 2 or line[1] != "=" or not line[0].isalpha():
            raise SdpError(f"SDP line {number} is not <type>=<value>")
    if lines[0] != "v=0":
        raise SdpError("SDP line 1 is not v=0")
    starts = [index for index, line in enumerate(lines) if line.startswith("m=")]
    session = lines[: starts[0]] if starts else lines
    for kind in "ost":
        if not any(line.startswith(kind + "=") for line in session):
            raise SdpError(f"SDP has no {kind}= line")
    if not starts:
        raise SdpError("SDP has no m-line")
    ends = [*starts[1:], len(lines)]
    media = [_media(lines[a:b], a + 1, session) for a, b in zip(starts, ends, strict=True)]
    origin = next(line[2:] for line in session if line.startswith("o="))
    if len(origin.split()) != 6:
        raise SdpError("SDP o= line has not six fields")
    return Offer(origin=origin, media=tuple(media))


def _media(lines: list[str], number: int, session: list[str]) -> MediaLine:
    match = _MEDIA.fullmatch(lines[0][2:])
    if not match or int(match[2]) > 65535:
        raise SdpError(f"SDP line {number} is not an m-line")
    attributes = tuple(_attribute(line) for line in lines if line.startswith("a="))
    defaults = tuple(_attribute(line) for line in session if line.startswith("a="))
    found = [name for name, _ in (*attributes, *defaults) if name in _DIRECTIONS]
    connection = [line for line in [*lines, *session] if line.startswith("c=")]
    where = _CONNECTION.fullmatch(connection[0][2:]) if connection else None
    if not where:
        raise SdpError(f"the m-line on SDP line {number} has no usable c= line")
    return MediaLine(
        kind=match[1],
        port=int(match[2]),
        proto=match[3],
        formats=tuple(match[4].split()),
        host=where[2],
        direction=found[0] if found else "sendrecv",
        attributes=attributes,
        defaults=defaults,
    )


def _attribute(line: str) -> tuple[str, str]:
    name, _, value = line[2:].partition(":")
    return name, value


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLine:
    """One m-line of our answer. Port 0 refuses it; then nothing else of it matters.

    security: attributes such as `crypto:1 …`, without their `a=`.
    """

    kind: str = "audio"
    port: int
    proto: str = "RTP/AVP"
    payload_type: int = 0
    encoding: str = ""
    label: str = ""
    direction: str = "recvonly"
    security: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Write the lines of this m-line."""
        written = [f"m={self.kind} {self.port} {self.proto} {self.payload_type}"]
        if self.encoding:
            rate = 8000 if self.kind == "audio" else 90_000
            written.append(f"a=rtpmap:{self.payload_type} {self.encoding}/{rate}")
        if self.label:
            written.append(f"a=label:{self.label}")
        if self.port:
            written += [f"a={self.direction}", f"a=rtcp:{self.port + 1}"]
            written += [f"a={attribute}" for attribute in self.security]
        return written


def write_answer(*, host: str, number: int, version: int, lines: list[AnswerLine]) -> bytes:
    """Write our session description; `version` rises by one when anything in it changed."""
    family = "IP6" if ":" in host else "IP4"
    text = [
        "v=0",
        f"o=siprec-srs {number} {version} IN {family} {host}",
        "s=siprec-srs",
        f"c=IN {family} {host}",
        "t=0 0",
    ]
    for line in lines:
        text += line.lines()
    return ("\r\n".join(text) + "\r\n").encode()


def choose_codec(line: MediaLine) -> tuple[int, str] | None:
    """Return payload type and name of the first offered codec that we can take.

    Audio must be decoded; of video the packets are kept as they are.
    """
    is_audio = line.kind == "audio"
    known = {n: name for n, name in line.codecs.items() if name and (name in LAWS or not is_audio)}
    return next(iter(known.items()), None)
