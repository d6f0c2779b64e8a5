"""SIP messages without I/O: parse, frame, serialise (RFC 3261 §7, §18.3)."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from siprec_srs.errors import ParseError

MAX_HEAD_BYTES = 65_536
MAX_BODY_BYTES = 1_048_576

_COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}

Header = tuple[str, str]


@lru_cache(maxsize=1024)
def header_key(name: str) -> str:
    """Return the lower-case long form of a header name, compact form or not."""
    lowered = name.lower()
    return _COMPACT.get(lowered, lowered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What requests and responses share: headers in the order sent, and a body."""

    headers: tuple[Header, ...]
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        """Return the value of every header line of this name, in order."""
        wanted = header_key(name)
        return [value for key, value in self.headers if header_key(key) == wanted]

    def get(self, name: str, default: str = "") -> str:
        """Return the value of the first header line of this name."""
        return next(iter(self.all(name)), default)

    def need(self, name: str) -> str:
        """Return the first value of a header that must be there.

        Raises: ParseError when it is not.
        """
        values = self.all(name)
        if not values:
            raise ParseError(f"header {name} is missing")
        return values[0]

    def values(self, name: str) -> list[str]:
        """Return all values of a list header, comma separated or on lines of their own."""
        return [part for line in self.all(name) for part in split_outside(line, ",") if part]

    @property
    def call_id(self) -> str:
        """Return the Call-ID. Raises: ParseError when there is none."""
        return self.need("Call-ID")

    @property
    def cseq(self) -> tuple[int, str]:
        """Return number and method of CSeq. Raises: ParseError."""
        number, _, method = self.need("CSeq").partition(" ")
        if not number.isdecimal() or not method.strip() or int(number) >= 2**31:
            raise ParseError("CSeq is not a number and a method")
        return int(number), method.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Message):
    """A SIP request."""

    method: str
    uri: str

    def encode(self) -> bytes:
        """Serialise, with a Content-Length that is true."""
        return _encode(f"{self.method} {self.uri} SIP/2.0", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response(Message):
    """A SIP response."""

    status: int
    reason: str

    def encode(self) -> bytes:
        """Serialise, with a Content-Length that is true."""
        return _encode(f"SIP/2.0 {self.status} {self.reason}", self)


def _encode(start: str, message: Message) -> bytes:
    lines = [start]
    lines += [f"{n}: {v}" for n, v in message.headers if header_key(n) != "content-length"]
    lines.append(f"Content-Length: {len(message.body)}")
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("utf-8", "surrogateescape") + message.body


def split_outside(text: str, separator: str) -> list[str]:
    """Split at a one-character separator that stands outside of quotes and angle brackets."""
    if separator not in text:
        return [text.strip()]
    if '"' not in text and "<" not in text:
        return [part.strip() for part in text.split(separator)]
    parts: list[str] = []
    start = depth = index = 0
    quoted = False
    while index < len(text):
        char = text[index]
        if quoted:
            if char == "\\":
                index += 1
            elif char == '"':
                quoted = False
        elif char == '"':
            quoted = True
        elif char == "<":
            depth += 1
        elif char == ">":
            depth = max(0, depth - 1)
        elif char == separator and not depth:
            parts.append(text[start:index].strip())
            start = index + 1
        index += 1
    parts.append(text[start:].strip())
    return parts


def parse(data: bytes) -> Request | Response:
    """Read one whole message: a datagram, or what `StreamFramer` cut out.

    Bytes behind Content-Length are dropped (RFC 3261 §18.3).
    Raises: ParseError, also when the body is shorter than Content-Length says.
    """
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        raise ParseError("no empty line after the headers")
    if b"\0" in head:
        raise ParseError("NUL in the headers")
    lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    headers = tuple(_parse_headers(_unfold(lines[1:])))
    length = _content_length(headers)
    if length is not None:
        if len(body) < length:
            raise ParseError(f"body has {len(body)} bytes, Content-Length says {length}")
        body = body[:length]
    return _with_start_line(lines[0], headers, body)


def _with_start_line(start: str, headers: tuple[Header, ...], body: bytes) -> Request | Response:
    first, _, rest = start.partition(" ")
    second, _, third = rest.partition(" ")
    if first == "SIP/2.0":
        if len(second) != 3 or not second.isdecimal():
            raise ParseError("status line without a status")
        return Response(status=int(second), reason=third, headers=headers, body=body)
    if third != "SIP/2.0" or not first or not second:
        raise ParseError("neither a request line nor a status line of SIP/2.0")
    return Request(method=first, uri=second, headers=headers, body=body)


def _unfold(lines: Iterable[str]) -> list[str]:
    unfolded: list[str] = []
    for line in lines:
        # RFC 3261 §7.3.1: a line that begins with white space continues the one before.
        if line[:1] in (" ", "\t") and unfolded:
            unfolded[-1] += " " + line.strip()
        else:
            unfolded.append(line)
    return unfolded


def _parse_headers(lines: Iterable[str]) -> Iterable[Header]:
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.rstrip()
        if not colon or not name or " " in name:
            raise ParseError(f"not a header line: {line[:60]!r}")
        yield name, value.strip()


def _content_length(headers: Iterable[Header]) -> int | None:
    found = {value for name, value in headers if header_key(name) == "content-length"}
    if not found:
        return None
    value = found.pop()
    if found or not value.isdecimal() or len(value) > 9:
        raise ParseError("Content-Length is not one number")
    return int(value)


class StreamFramer:
    """Cut a TCP byte stream into messages by Content-Length (RFC 3261 §18.3).

    One a connection. After a ParseError the stream cannot be followed any more: close it.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take what was read and return every message that is now complete.

        Raises: ParseError.
        """
        self._buffer += data
        messages: list[bytes] = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> bytes | None:
        # RFC 3261 §7.5: CRLF before the start line MUST be ignored (also a keep-alive).
        blank = len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))
        del self._buffer[:blank]
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise ParseError("headers without end")
            return None
        lines = bytes(self._buffer[:end]).decode("utf-8", "surrogateescape").split("\r\n")
        length = _content_length(_parse_headers(_unfold(lines[1:])))
        if length is None:
            raise ParseError("no Content-Length on a stream")
        if length > MAX_BODY_BYTES:
            raise ParseError("body too long")
        whole = end + 4 + length
        if len(self._buffer) < whole:
            return None
        message = bytes(self._buffer[:whole])
        del self._buffer[:whole]
        return message
