"""MIME multipart bodies (RFC 2046 §5.1) as SIP uses them: no transfer encodings."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from siprec.errors import MultipartError as MultipartError

MAX_BODY_BYTES = 262_144
MAX_PARTS = 16

METADATA = ("application/rs-metadata+xml", "application/rs-metadata")
"""The media types of recording metadata: RFC 9806 has renamed it."""

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_PARAMETER = re.compile(r';\s*([^\s;="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))')
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(r"\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a multipart body. `disposition` is its Content-Disposition, if it has one."""

    content_type: str
    disposition: str | None = None
    body: bytes


def mixed_type(boundary: str) -> str:
    """Give the Content-Type that goes with `compose(…, boundary)`."""
    return f'multipart/mixed;boundary="{boundary}"'


def compose(parts: Sequence[Part], boundary: str) -> bytes:
    """Put parts together.

    Raises:
        MultipartError: the boundary is no boundary or stands in a part, a part's headers hold
            a line break, or there is no part.
    """
    if not _BOUNDARY.fullmatch(boundary):
        raise MultipartError(f"{boundary!r} is not a boundary")
    if not parts:
        raise MultipartError("has no parts")
    mark = boundary.encode()
    pieces: list[bytes] = []
    for part in parts:
        if mark in part.body:
            raise MultipartError("the boundary stands in a part")
        pieces.append(b"--%s\r\n%s\r\n%s\r\n" % (mark, _headers(part), part.body))
    return b"".join([*pieces, b"--%s--\r\n" % mark])


def parse(body: bytes, content_type: str) -> tuple[Part, ...]:
    """Take a multipart body apart. Line ends may be CRLF or LF; at most 256 KiB and 16 parts.

    Raises:
        MultipartError: not a multipart body of that type.
    """
    if media_type(content_type).partition("/")[0] != "multipart":
        raise MultipartError(f"{content_type[:80]!r} is not a multipart type")
    if len(body) > MAX_BODY_BYTES:
        raise MultipartError(f"is over {MAX_BODY_BYTES} bytes")
    boundary = _boundary_of(content_type).encode()
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    parts: list[Part] = []
    start: int | None = None
    for match in delimiter.finditer(body):
        if start is not None:
            parts.append(_part(body[start : match.start()]))
        if match[1]:
            if not parts:
                raise MultipartError("has no parts")
            return tuple(parts)
        if len(parts) == MAX_PARTS:
            raise MultipartError(f"has more than {MAX_PARTS} parts")
        start = match.end()
    raise MultipartError("has no closing boundary")


def sdp_of(content_type: str, body: bytes) -> str | None:
    """Give the SDP of a message, alone or first in a multipart body; None when it has none."""
    sdp = _body_of(("application/sdp",), content_type, body)
    return None if sdp is None else sdp.decode(errors="replace")


def metadata_of(content_type: str, body: bytes) -> bytes | None:
    """Give the recording metadata of a message, as `sdp_of` gives its SDP."""
    return _body_of(METADATA, content_type, body)


def _body_of(kinds: Collection[str], content_type: str, body: bytes) -> bytes | None:
    kind = media_type(content_type)
    if kind.startswith("multipart/"):
        try:
            parts = parse(body, content_type)
        except MultipartError:
            return None
        body = next((p.body for p in parts if media_type(p.content_type) in kinds), b"")
    elif kind not in kinds:
        return None
    return body if body.strip() else None


def media_type(content_type: str) -> str:
    """Give the type and subtype in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def _boundary_of(content_type: str) -> str:
    for name, quoted, plain in _PARAMETER.findall(content_type):
        if name.lower() == "boundary":
            boundary = re.sub(r"\\(.)", r"\1", quoted) or str(plain)
            if _BOUNDARY.fullmatch(boundary):
                return boundary
    raise MultipartError(f"{content_type[:80]!r} has no usable boundary")


def _headers(part: Part) -> bytes:
    headers = [("Content-Type", part.content_type)]
    if part.disposition is not None:
        headers.append(("Content-Disposition", part.disposition))
    for _, value in headers:
        if not value.isascii() or not value.isprintable():
            raise MultipartError(f"{value!r} cannot stand in a header")
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode()


def _part(piece: bytes) -> Part:
    blank = _BLANK_LINE.search(piece)
    if blank is None:
        raise MultipartError("a part has no blank line after its headers")
    headers: dict[str, str] = {}
    text = _FOLD.sub(" ", piece[: blank.start()].decode(errors="replace"))
    for line in _LINE_END.split(text):
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), value.strip())
    return Part(
        content_type=headers.get("content-type") or "text/plain",
        disposition=headers.get("content-disposition"),
        body=piece[blank.end() :],
    )
