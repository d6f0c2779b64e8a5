"""MIME bodies as SIP carries them: multipart/mixed or a single part (RFC 2046, RFC 5621)."""

from dataclasses import dataclass

from siprec_srs.address import Params, parse_params
from siprec_srs.errors import BodyError
from siprec_srs.message import Message

SDP_TYPE = "application/sdp"
METADATA_TYPES = ("application/rs-metadata+xml", "application/rs-metadata")
MAX_PARTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One body part: media type in lower case, disposition in lower case (empty when absent)."""

    content_type: str
    disposition: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a message carries: whether it was multipart/mixed, the SDP, the metadata."""

    is_mixed: bool
    sdp: Part | None
    metadata: Part | None
    others: tuple[Part, ...] = ()


def media_type(value: str) -> tuple[str, Params]:
    """Split a Content-Type or Content-Disposition into its lower-case value and parameters."""
    name, _, rest = value.partition(";")
    return name.strip().lower(), parse_params(rest)


def read_parts(message: Message) -> Parts:
    """Take the body of a message apart.

    Raises: BodyError for a multipart that is not well formed or holds a kind twice.
    """
    if not message.body:
        return Parts(is_mixed=False, sdp=None, metadata=None)
    kind, params = media_type(message.get("Content-Type"))
    if not kind:
        raise BodyError("a body without Content-Type")
    if kind.startswith("multipart/"):
        boundary = params.get("boundary")
        if not boundary:
            raise BodyError("multipart without a boundary")
        parts = _split(message.body, boundary.encode("utf-8", "surrogateescape"))
    else:
        disposition, _ = media_type(message.get("Content-Disposition"))
        parts = [Part(content_type=kind, disposition=disposition, body=message.body)]
    return _sort(parts, kind == "multipart/mixed")


def _sort(parts: list[Part], is_mixed: bool) -> Parts:
    sdp = [part for part in parts if part.content_type == SDP_TYPE]
    metadata = [part for part in parts if part.content_type in METADATA_TYPES]
    if len(sdp) > 1 or len(metadata) > 1:
        raise BodyError("more than one part of a kind")
    return Parts(
        is_mixed=is_mixed,
        sdp=sdp[0] if sdp else None,
        metadata=metadata[0] if metadata else None,
        others=tuple(part for part in parts if part not in sdp and part not in metadata),
    )


def _split(body: bytes, boundary: bytes) -> list[Part]:
    # RFC 2046 §5.1.1: the CRLF before a delimiter line belongs to the delimiter.
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise BodyError("multipart without its closing boundary")
    if len(pieces) > MAX_PARTS + 2:
        raise BodyError("too many parts")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    padding, newline, rest = piece.partition(b"\r\n")
    if padding.strip(b" \t") or not newline:
        raise BodyError("text behind a boundary")
    if rest.startswith(b"\r\n"):
        head, body = b"", rest[2:]
    else:
        head, empty, body = rest.partition(b"\r\n\r\n")
        if not empty:
            raise BodyError("a part without an empty line")
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    kind, _ = media_type(headers.get("content-type", "text/plain"))
    disposition, _ = media_type(headers.get("content-disposition", ""))
    return Part(content_type=kind, disposition=disposition, body=body)
