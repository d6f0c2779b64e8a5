"""Recording metadata: against the schema, and against itself (RFC 7865)."""

import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

from lxml import etree

from siprec_srs.history import broken_identities, homeless_streams
from siprec_srs.known import Known
from siprec_srs.known import q as _q

PARAMETERS_NAMESPACE: Final = "urn:kamailio-siprec:parameters:1"
MAX_BYTES: Final = 262_144
_PROLOG = re.compile(rb"\s*+(?><\?.*?\?>\s*+|<!--.*?-->\s*+)*+<!DOCTYPE", re.DOTALL)


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What a document is worth: valid when `errors` is empty.

    `known` is what holds after it; the caller keeps it only when the document is valid.
    """

    datamode: str = ""
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    parameters: list[list[str]] = field(default_factory=list)
    known: Known = field(default_factory=Known)


@cache
def _schema() -> etree.XMLSchema:
    text = files("siprec_srs").joinpath("rs-metadata.xsd").read_bytes()
    return etree.XMLSchema(etree.fromstring(text))


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname


def check(body: bytes, known: Known, labels: list[str] | None) -> Verdict:
    """Judge one document that follows what is `known`.

    labels: of the m-lines that go with it; None when there is no session description.
    """
    verdict = Verdict()
    root = _parse(body, verdict)
    if root is None or not _fits_schema(root, verdict):
        return verdict
    if root.tag != _q("recording"):
        verdict.errors.append(f"line {root.sourceline}, element <{_local(root)}>: not <recording>")
        return verdict
    verdict.datamode = root.findtext(_q("datamode"), "complete")
    if verdict.datamode == "partial" and not known.has_complete:
        _blame(verdict, root, "a partial document before a complete one")
    _check_definitions(root, verdict)
    verdict.known = known.after(root, is_partial=verdict.datamode == "partial")
    verdict.notes += broken_identities(known, verdict.known)
    _check_references(root, verdict)
    if verdict.datamode == "complete":
        _check_associations(root, verdict)
    if labels is not None:
        _check_labels(root, verdict, labels)
    _read_parameters(root, verdict)
    return verdict


def _parse(body: bytes, verdict: Verdict) -> etree._Element | None:
    if len(body) > MAX_BYTES:
        verdict.errors.append(f"document of {len(body)} bytes, more than {MAX_BYTES}")
        return None
    try:
        body.decode()
    except UnicodeDecodeError as error:
        verdict.errors.append(f"not UTF-8 at byte {error.start}")
        return None
    if _PROLOG.match(body):
        verdict.errors.append("line 1: a DOCTYPE is not allowed")
        return None
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        return etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line = getattr(error, "lineno", 1)
        verdict.errors.append(f"line {line}: not well-formed: {error}")
        return None


def _fits_schema(root: etree._Element, verdict: Verdict) -> bool:
    schema = _schema()
    if schema.validate(root):
        return True
    log: Any = schema.error_log
    for entry in log:
        text = re.sub(r"\{[^}]*\}", "", entry.message)
        verdict.errors.append(f"line {entry.line}: {text}")
    return False


def _blame(verdict: Verdict, element: etree._Element, text: str) -> None:
    verdict.errors.append(f"line {element.sourceline}, element <{_local(element)}>: {text}")


def _check_definitions(root: etree._Element, verdict: Verdict) -> None:
    for name in ("group", "session", "participant", "stream"):
        attribute = f"{name}_id"
        found: set[str] = set()
        for element in root.iterfind(_q(name)):
            key = str(element.get(attribute))
            if key in found:
                _blame(verdict, element, f"{attribute} {key} is defined twice")
            found.add(key)


def _check_references(root: etree._Element, verdict: Verdict) -> None:
    known = verdict.known
    attributes = (
        ("stream", "session_id", set(known.sessions)),
        ("sessionrecordingassoc", "session_id", set(known.sessions)),
        ("participantsessionassoc", "session_id", set(known.sessions)),
        ("participantsessionassoc", "participant_id", set(known.participants)),
        ("participantstreamassoc", "participant_id", set(known.participants)),
    )
    for name, attribute, defined in attributes:
        for element in root.iterfind(_q(name)):
            value = element.get(attribute)
            if value is not None and value not in defined:
                _blame(verdict, element, f"{attribute} {value} is not defined")
    texts = (
        ("session/group-ref", known.groups),
        ("participantstreamassoc/send", set(known.streams)),
        ("participantstreamassoc/recv", set(known.streams)),
    )
    for path, defined in texts:
        for element in root.iterfind("/".join(map(_q, path.split("/")))):
            value = (element.text or "").strip()
            if value not in defined:
                _blame(verdict, element, f"{value} is not defined")


def _check_associations(root: etree._Element, verdict: Verdict) -> None:
    for name in ("participantsessionassoc", "participantstreamassoc"):
        present = {element.get("participant_id") for element in root.iterfind(_q(name))}
        for element in root.iterfind(_q("participant")):
            if element.get("participant_id") not in present:
                _blame(verdict, element, f"no <{name}> for this participant")
    recorded = {assoc.get("session_id") for assoc in root.iterfind(_q("sessionrecordingassoc"))}
    for element in root.iterfind(_q("session")):
        if element.get("session_id") not in recorded:
            verdict.notes.append(f"line {element.sourceline}: session without its recordingassoc")


def _check_labels(root: etree._Element, verdict: Verdict, labels: list[str]) -> None:
    seen: set[str] = set()
    for element in root.iterfind(f"{_q('stream')}/{_q('label')}"):
        label = element.text or ""
        if label in seen:
            _blame(verdict, element, f"label {label} is used twice")
        if label not in labels:
            _blame(verdict, element, f"label {label} is on no m-line")
        seen.add(label)
    if verdict.datamode == "complete":
        for label in labels:
            if label not in seen:
                verdict.errors.append(f"the m-line with label {label} has no <stream>")
    verdict.notes += homeless_streams(verdict.known, labels)


def _read_parameters(root: etree._Element, verdict: Verdict) -> None:
    for outer in root.iterfind(f"{{{PARAMETERS_NAMESPACE}}}parameters"):
        for element in outer.iterfind(f"{{{PARAMETERS_NAMESPACE}}}parameter"):
            name = element.get("name")
            if name:
                verdict.parameters.append([name, element.text or ""])
            else:
                _blame(verdict, element, "a parameter without a name")
