"""Metadata that an SRS was sent, with names instead of what differs from call to call."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from itertools import chain
from pathlib import Path

from lxml import etree

from tests.scenarios.srs import Session

GOLDEN = Path(__file__).parent / "golden"

_IDS = {
    "group_id": "group",
    "session_id": "session",
    "participant_id": "participant",
    "stream_id": "stream",
    "group-ref": "group",
    "send": "stream",
    "recv": "stream",
}
_TIMES = ("start-time", "stop-time", "associate-time", "disassociate-time")
# 16 bytes in base64 (RFC 7865 §6.10), and a time of RFC 3339 in UTC (§6.9).
_ID = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_UUID = re.compile(r"[0-9a-f]{32}")


def flow(parties: Mapping[str, str], *sessions: Session) -> str:
    """Write all documents of a call's sessions so far, one after the other, with names in them.

    Identifiers are named by kind in the order in which they come (`participant-2`), the same in
    all sessions; times by their order in time; addresses as `parties` does it. Each document is
    held to the schema, and to what a schema does not tell: that identifiers and times are
    well-formed. The SRS must have taken each.
    """
    told = [list(_told(session)) for session in sessions]
    for _, document in chain.from_iterable(told):
        _schema().assertValid(document)
    names = _time_names([document for _, document in chain.from_iterable(told)])
    root = etree.Element("flow")
    for number, requests in enumerate(told, 1):
        dialog = etree.SubElement(root, "dialog", number=str(number))
        for method, document in requests:
            for element in document.iter(etree.Element):
                _rename(element, names, parties)
            etree.SubElement(dialog, "request", method=method).append(document)
    etree.indent(root)
    return etree.tostring(root, encoding="unicode") + "\n"


def golden(name: str) -> str:
    """Read the golden file of a flow."""
    return (GOLDEN / f"flow-{name}.xml").read_text("utf-8")


@cache
def _schema() -> etree.XMLSchema:
    return etree.XMLSchema(
        etree.fromstring(files("siprec_srs").joinpath("rs-metadata.xsd").read_bytes())
    )


def _told(session: Session) -> Iterator[tuple[str, etree._Element]]:
    """Give each document of a session with the method of the request that brought it."""
    history = session.summary["metadata_history"]
    assert [entry["n"] for entry in history] == [
        entry["n"] for entry in session.summary["metadata"]
    ]
    for entry in history:
        yield entry["source"], session.metadata(entry["n"])


def _time_names(documents: list[etree._Element]) -> dict[str, str]:
    found = {text for document in documents for text in _texts(document, _TIMES)}
    assert all(_TIME.fullmatch(text) for text in found), found
    return {text: f"time-{number}" for number, text in enumerate(sorted(found), 1)}


def _texts(document: etree._Element, tags: tuple[str, ...]) -> Iterator[str]:
    for element in document.iter(etree.Element):
        if etree.QName(element).localname in tags:
            yield element.text or ""


def _rename(element: etree._Element, names: dict[str, str], parties: Mapping[str, str]) -> None:
    tag, text = etree.QName(element).localname, element.text or ""
    for attribute, kind in _IDS.items():
        if (value := element.get(attribute)) is not None:
            element.set(attribute, _name(value, kind, names))
    if tag in _IDS:
        element.text = _name(text, _IDS[tag], names)
    elif tag in _TIMES:
        element.text = names[text]
    elif tag == "sipSessionID":
        element.text = _UUID.sub(lambda match: _numbered(match[0], "uuid", names), text)
    elif (aor := element.get("aor")) is not None:
        element.set("aor", parties[aor])


def _name(value: str, kind: str, names: dict[str, str]) -> str:
    assert _ID.fullmatch(value), value
    return _numbered(value, kind, names)


def _numbered(value: str, kind: str, names: dict[str, str]) -> str:
    if value not in names:
        count = sum(name.startswith(f"{kind}-") for name in names.values())
        names[value] = f"{kind}-{count + 1}"
    return names[value]
