"""Recording metadata: against the schema, and against itself (RFC 7865)."""

import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

from lxml import etree

NAMESPACE: Final = "urn:ietf:params:xml:ns:recording:1"
PARAMETERS_NAMESPACE: Final = "urn:kamailio-siprec:parameters:1"
MAX_BYTES: Final = 262_144
_PROLOG = re.compile(rb"\s*+(?><\?.*?\?>\s*+|<!--.*?-->\s*+)*+<!DOCTYPE", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """Who speaks: the first nameID of a participant."""

    aor: str
    name: str


@dataclass(slots=True, kw_only=True)
class Known:
    """What the documents of one recording session have said so far.

    `streams` maps stream_id to label, `senders` maps stream_id to the participants that
    contribute to it.
    """

    has_complete: bool = False
    groups: set[str] = field(default_factory=set)
    sessions: set[str] = field(default_factory=set)
    participants: dict[str, Participant] = field(default_factory=dict)
    streams: dict[str, str] = field(default_factory=dict)
    senders: dict[str, list[str]] = field(default_factory=dict)

    def speakers(self, label: str) -> list[Participant]:
        """Return the participants that send the stream of this label."""
        streams = [stream for stream, its in self.streams.items() if its == label]
        ids = [who for stream in streams for who in self.senders.get(stream, [])]
        return [self.participants[who] for who in ids if who in self.participants]


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


def _q(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


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
    verdict.known = _merge(root, known, verdict)
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


def _merge(root: etree._Element, known: Known, verdict: Verdict) -> Known:
    keep = verdict.datamode == "partial"
    after = Known(
        has_complete=known.has_complete or not keep,
        groups=set(known.groups) if keep else set(),
        sessions=set(known.sessions) if keep else set(),
        participants=dict(known.participants) if keep else {},
        streams=dict(known.streams) if keep else {},
        senders={key: list(ids) for key, ids in known.senders.items()} if keep else {},
    )
    after.groups |= set(_defined(root, verdict, "group", "group_id"))
    after.sessions |= set(_defined(root, verdict, "session", "session_id"))
    for key, element in _defined(root, verdict, "participant", "participant_id").items():
        name_id = element.find(_q("nameID"))
        if name_id is not None:
            name = name_id.findtext(_q("name")) or ""
            after.participants[key] = Participant(aor=str(name_id.get("aor")), name=name)
    for key, element in _defined(root, verdict, "stream", "stream_id").items():
        label = element.findtext(_q("label"))
        after.streams[key] = label if label is not None else after.streams.get(key, "")
    _merge_senders(root, after)
    return after


def _merge_senders(root: etree._Element, after: Known) -> None:
    # RFC 7865 §6.8.1: the association replaces what was said of this participant before.
    for assoc in root.iterfind(_q("participantstreamassoc")):
        who = str(assoc.get("participant_id"))
        for ids in after.senders.values():
            if who in ids:
                ids.remove(who)
        if assoc.find(_q("disassociate-time")) is not None:
            continue
        for send in assoc.iterfind(_q("send")):
            after.senders.setdefault((send.text or "").strip(), []).append(who)


def _defined(
    root: etree._Element, verdict: Verdict, name: str, attribute: str
) -> dict[str, etree._Element]:
    found: dict[str, etree._Element] = {}
    for element in root.iterfind(_q(name)):
        key = str(element.get(attribute))
        if key in found:
            _blame(verdict, element, f"{attribute} {key} is defined twice")
        found[key] = element
    return found


def _check_references(root: etree._Element, verdict: Verdict) -> None:
    known = verdict.known
    attributes = (
        ("stream", "session_id", known.sessions),
        ("sessionrecordingassoc", "session_id", known.sessions),
        ("participantsessionassoc", "session_id", known.sessions),
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
    for key, label in verdict.known.streams.items():
        if label and not verdict.known.senders.get(key):
            verdict.notes.append(f"nobody sends the stream with label {label}")


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


def _read_parameters(root: etree._Element, verdict: Verdict) -> None:
    for outer in root.iterfind(f"{{{PARAMETERS_NAMESPACE}}}parameters"):
        for element in outer.iterfind(f"{{{PARAMETERS_NAMESPACE}}}parameter"):
            name = element.get("name")
            if name:
                verdict.parameters.append([name, element.text or ""])
            else:
                _blame(verdict, element, "a parameter without a name")
