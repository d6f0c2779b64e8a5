"""What RFC 7866 asks of a request from an SRC, and what we say when it is not there."""

from dataclasses import dataclass, field

from siprec_srs.address import parse_name_addr
from siprec_srs.errors import BodyError, ParseError, SdpError
from siprec_srs.known import Known
from siprec_srs.message import Header, Message, Request
from siprec_srs.metadata import Verdict, check
from siprec_srs.multipart import Parts, read_parts
from siprec_srs.sdp import Offer, parse_offer

OPTIONS = frozenset({"siprec", "timer"})
_WARNINGS_MAX = 5
_NEEDED = ("Via", "From", "To", "Call-ID", "CSeq")


@dataclass(slots=True, kw_only=True)
class Findings:
    """What a request holds. `errors` refuse it, `notes` are only written down."""

    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    parts: Parts | None = None
    offer: Offer | None = None
    verdict: Verdict | None = None


def missing_header(request: Request) -> str:
    """Name a header that every request must have and this one lacks; empty when none.

    RFC 3261 §8.1.1; Max-Forwards is left out: many a peer works without.
    """
    for name in _NEEDED:
        if not request.get(name):
            return name
    return ""


def unknown_options(request: Request) -> list[str]:
    """Return the option tags in Require that we do not know (RFC 3261 §8.2.2.3)."""
    return [tag for tag in request.values("Require") if tag.lower() not in OPTIONS]


def warning_headers(errors: list[str]) -> tuple[Header, ...]:
    """Write findings as Warning headers with code 399 (RFC 3261 §20.43)."""
    return tuple(("Warning", f"399 siprec-srs {_quoted(text)}") for text in errors[:_WARNINGS_MAX])


def _quoted(text: str) -> str:
    clean = "".join(char if char.isprintable() else " " for char in text)[:300]
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'


def examine_invite(invite: Request) -> Findings:
    """Check an INVITE that begins a recording session (RFC 7866 §6.1.1, §7.1.1, §9.1)."""
    found = Findings()
    if "siprec" not in (tag.lower() for tag in invite.values("Require")):
        found.errors.append("Require: siprec is missing")
    _check_contact(invite, found)
    if not invite.get("Max-Forwards"):
        found.notes.append("INVITE without Max-Forwards")
    _read_body(invite, found)
    if found.parts is not None:
        # RFC 7866 §9.1: SDP and metadata travel together, as multipart/mixed.
        if not found.parts.is_mixed:
            found.errors.append("the body is not multipart/mixed")
        if found.parts.sdp is None:
            found.errors.append("there is no application/sdp part")
        if found.parts.metadata is None:
            found.errors.append("there is no application/rs-metadata+xml part")
    _check_metadata(found, Known(), [])
    verdict = found.verdict
    if verdict is not None and not verdict.errors and verdict.datamode != "complete":
        found.errors.append("the first metadata document is not complete")
    return found


def examine_change(message: Message, known: Known, labels: list[str]) -> Findings:
    """Check a re-INVITE, an UPDATE, a 2xx to ours, an ACK or a BYE; all bodies are optional there.

    labels: of the session description in force, for metadata that comes alone.
    """
    found = Findings()
    if message.cseq[1] not in ("ACK", "BYE"):
        _check_contact(message, found)
    _read_body(message, found)
    _check_metadata(found, known, labels)
    return found


def _check_contact(request: Message, found: Findings) -> None:
    contacts = request.values("Contact")
    if len(contacts) != 1:
        found.errors.append(f"{len(contacts)} Contact values instead of one")
        return
    try:
        contact = parse_name_addr(contacts[0])
    except ParseError as error:
        found.errors.append(f"Contact: {error}")
        return
    # RFC 7866 §6.1.1: "+sip.src" in every message that makes or changes the dialog.
    if "+sip.src" not in contact.params:
        found.errors.append("+sip.src is missing in Contact")


def _read_body(request: Message, found: Findings) -> None:
    try:
        found.parts = read_parts(request)
    except BodyError as error:
        found.errors.append(str(error))
        return
    metadata = found.parts.metadata
    # RFC 7866 §11.3.
    if metadata is not None and metadata.disposition != "recording-session":
        found.errors.append("the metadata has no Content-Disposition: recording-session")
    if found.parts.sdp is None:
        return
    try:
        found.offer = parse_offer(found.parts.sdp.body)
    except SdpError as error:
        found.errors.append(str(error))
        return
    _check_labels(found.offer, found)


def _check_labels(offer: Offer, found: Findings) -> None:
    seen: set[str] = set()
    for number, line in enumerate(offer.media, 1):
        labels = line.all("label")
        if not line.port and not labels:
            continue
        if len(labels) != 1 or not labels[0]:
            found.errors.append(f"m-line {number} has {len(labels)} a=label instead of one")
        elif labels[0] in seen:
            found.errors.append(f"label {labels[0]} stands on two m-lines")
        seen.update(labels)
        if line.port and line.direction not in ("sendonly", "inactive"):
            found.notes.append(f"m-line {number} is {line.direction}, not sendonly")


def _check_metadata(found: Findings, known: Known, labels: list[str]) -> None:
    if found.parts is None or found.parts.metadata is None:
        return
    now = found.offer.labels if found.offer is not None else labels
    usable = found.parts.sdp is None or found.offer is not None
    found.verdict = check(found.parts.metadata.body, known, now if usable else None)
    found.notes += found.verdict.notes
    found.errors += [f"metadata: {text}" for text in found.verdict.errors]
