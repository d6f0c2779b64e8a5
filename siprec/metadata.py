"""Recording metadata (RFC 7865) of one stream, as the SRS gets it.

Each recorded party sends one stream, which the other party receives. All ids are made from
our sids, so that they stay the same for the life of the call, in whatever process.
"""

import re
from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5

from lxml import etree

from siprec.bye_reason import Reason
from siprec.model import Call, Former, Party, Picture, Side, Stream
from siprec.multipart import metadata_of
from siprec.sip_uri import UNKNOWN_AOR, aor

RECORDING_NS = "urn:ietf:params:xml:ns:recording:1"
PARAMETERS_NS = "urn:kamailio-siprec:parameters:1"
MEDIA_TYPE = "application/rs-metadata+xml"
DISPOSITION = "recording-session"

_IDS = UUID("6f0c0b1e-3b7d-5a0e-9f53-2d0f7a3c5e11")
# lxml's stubs want a str key; None is the default namespace.
_DEFAULT_NAMESPACE: dict[Any, str] = {None: RECORDING_NS}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ANONYMOUS = re.compile(r"(?i)^sips?:(?:anonymous@|[^@]*@?anonymous\.invalid$)")
# What an SRS writes is read without entities and without the network.
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def complete(
    call: Call,
    stream: Stream,
    labels: Mapping[str, Side],
    parameters: tuple[tuple[str, str], ...],
    now_ms: int,
    muted: Collection[str] = (),
) -> bytes:
    """Write the full snapshot that goes with the SDP offer that defines `labels`.

    Nobody sends or receives what is `muted`, by label (RFC 7865 §6.8.1).

    `labels` has each `a=label` value and whose media it is, in the order of the m-lines; `now_ms`
    is when the recording associates. `parameters` go into an element of our own namespace, at the
    end.
    """
    root = _recording("complete")
    began_ms = now_ms if call.answered_ms is None else call.answered_ms
    session_id, group_id = _session_id(call, stream), _id(f"{_group(call)}/group")
    group = _child(root, "group", group_id=group_id)
    _time(group, "associate-time", began_ms)
    session = _child(root, "session", session_id=session_id)
    if call.session_id:
        _child(session, "sipSessionID", call.session_id.strip())
    _child(session, "group-ref", group_id)
    _time(session, "start-time", began_ms)
    for side in Side:
        _participant(root, _participant_id(call, side), call.party(side))
    for label, side in labels.items():
        stream_id = _stream_id(call, stream, side, label)
        _child(_child(root, "stream", stream_id=stream_id, session_id=session_id), "label", label)
    heard = _heard(labels, muted)
    began = {side: _joined_ms(call, side, began_ms) for side in Side}
    _associate(root, call, stream, heard, "associate-time", began, now_ms)
    if parameters:
        _parameters(root, parameters)
    return _write(root)


def final(
    call: Call,
    stream: Stream,
    labels: Mapping[str, Side],
    now_ms: int,
    muted: Collection[str] = (),
    reason: Reason | None = None,
    told: Picture | None = None,
) -> bytes:
    """Write the partial snapshot that ends what `complete()` began; it goes with our BYE.

    RFC 8068 §3.2.4. The end is that of the call when it has ended, else `now_ms`. Who is `muted`
    ceased to send before. `reason` says why (RFC 7865 §6.3.1). `told` is what the SRS knows: who
    came or went since then is named (None: nobody).
    """
    root = _recording("partial")
    ended_ms = now_ms if call.ended_ms is None else call.ended_ms
    session = _child(root, "session", session_id=_session_id(call, stream))
    if reason is not None:
        cause = str(reason.cause)
        _child(session, "reason", reason.text, cause=cause, protocol=reason.protocol)
    _time(session, "stop-time", ended_ms)
    for side in Side if told is not None and told.revision != call.revision else ():
        _participant(root, _participant_id(call, side), call.party(side))
    gone = () if told is None else call.former[told.formers :]
    ended, heard = dict.fromkeys(Side, ended_ms), _heard(labels, muted)
    _associate(root, call, stream, heard, "disassociate-time", ended, ended_ms, gone)
    return _write(root)


def partial(
    call: Call,
    stream: Stream,
    labels: Mapping[str, Side],
    told: Picture,
    now_ms: int,
    muted: Collection[str] = (),
) -> bytes:
    """Write what has changed since the SRS was `told`: who sends, who came, who went.

    RFC 7866 §9.1, RFC 8068 §3.2.2 and §3.2.3. Each participantstreamassoc stands for the one
    before it. It follows a `complete()`, and labels nothing anew.
    """
    root = _recording("partial")
    session_id = _session_id(call, stream)
    is_news = told.revision != call.revision
    if is_news and call.session_id:
        session = _child(root, "session", session_id=session_id)
        _child(session, "sipSessionID", call.session_id.strip())
    for side in Side if is_news else ():
        _participant(root, _participant_id(call, side), call.party(side))
    gone = call.former[told.formers :]
    came = {former.side: _joined_ms(call, former.side, now_ms) for former in gone}
    _part_sessions(root, call, session_id, gone)
    for side, at_ms in came.items():
        new_id = _participant_id(call, side)
        _associate_session(root, new_id, session_id, "associate-time", at_ms)
    _part_streams(root, call, gone)
    heard = _heard(labels, muted)
    for side in Side:
        _associate_streams(root, call, stream, heard, side, "associate-time", came.get(side))
    return _write(root)


def asks_snapshot(content_type: str, body: bytes) -> bool:
    """Tell whether a body of the SRS asks for a snapshot: `requestsnapshot` (RFC 7866 §9.2)."""
    text = metadata_of(content_type, body)
    if text is None:
        return False
    try:
        root = etree.fromstring(text, _PARSER)
    except etree.XMLSyntaxError:
        return False
    return root.tag == f"{{{RECORDING_NS}}}requestsnapshot"


def rfc3339(at_ms: int) -> str:
    """Write a time as RFC 7865 §6.9 wants it: UTC with `T`, `Z` and milliseconds."""
    at = _EPOCH + timedelta(milliseconds=at_ms)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03}Z"


def _recording(datamode: str) -> etree._Element:
    root = etree.Element(f"{{{RECORDING_NS}}}recording", nsmap=_DEFAULT_NAMESPACE)
    _child(root, "datamode", datamode)
    return root


def _participant(root: etree._Element, participant_id: str, party: Party) -> None:
    participant = _child(root, "participant", participant_id=participant_id)
    name_id = _child(participant, "nameID", aor=aor(party.uri))
    if party.name:
        _child(name_id, "name", party.name)


def _associate(
    root: etree._Element,
    call: Call,
    stream: Stream,
    labels: Mapping[str, Side],
    tag: str,
    session_ms: Mapping[Side, int],
    stream_ms: int,
    gone: Iterable[Former] = (),
) -> None:
    session_id = _session_id(call, stream)
    _time(_child(root, "sessionrecordingassoc", session_id=session_id), tag, stream_ms)
    _part_sessions(root, call, session_id, gone)
    for side in Side:
        _associate_session(root, _participant_id(call, side), session_id, tag, session_ms[side])
    _part_streams(root, call, gone)
    for side in Side:
        _associate_streams(root, call, stream, labels, side, tag, stream_ms)


def _part_sessions(
    root: etree._Element, call: Call, session_id: str, gone: Iterable[Former]
) -> None:
    for each in gone:
        gone_id = _former_id(call, each)
        _associate_session(root, gone_id, session_id, "disassociate-time", each.until_ms)


def _part_streams(root: etree._Element, call: Call, gone: Iterable[Former]) -> None:
    for each in gone:
        streams = _child(root, "participantstreamassoc", participant_id=_former_id(call, each))
        _time(streams, "disassociate-time", each.until_ms)


def _associate_session(
    root: etree._Element, participant_id: str, session_id: str, tag: str, at_ms: int
) -> None:
    session = _child(
        root, "participantsessionassoc", participant_id=participant_id, session_id=session_id
    )
    _time(session, tag, at_ms)


def _associate_streams(
    root: etree._Element,
    call: Call,
    stream: Stream,
    labels: Mapping[str, Side],
    side: Side,
    tag: str,
    at_ms: int | None,
) -> None:
    """Say what a party sends and receives of the streams that are heard."""
    streams = _child(root, "participantstreamassoc", participant_id=_participant_id(call, side))
    for label, sender in sorted(labels.items(), key=lambda each: each[1] is not side):
        verb = "send" if sender is side else "recv"
        _child(streams, verb, _stream_id(call, stream, sender, label))
    if at_ms is not None:
        _time(streams, tag, at_ms)


def _parameters(root: etree._Element, parameters: tuple[tuple[str, str], ...]) -> None:
    holder = etree.SubElement(
        root, f"{{{PARAMETERS_NS}}}parameters", nsmap={"siprec": PARAMETERS_NS}
    )
    for name, value in parameters:
        element = etree.SubElement(holder, f"{{{PARAMETERS_NS}}}parameter", name=_clean(name))
        element.text = _clean(value)


def _child(parent: etree._Element, tag: str, text: str = "", **attributes: str) -> etree._Element:
    clean = {name: _clean(value) for name, value in attributes.items()}
    child = etree.SubElement(parent, f"{{{RECORDING_NS}}}{tag}", clean)
    if text:
        child.text = _clean(text)
    return child


def _time(parent: etree._Element, tag: str, at_ms: int) -> None:
    _child(parent, tag, rfc3339(at_ms))


def _write(root: etree._Element) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _heard(labels: Mapping[str, Side], muted: Collection[str]) -> dict[str, Side]:
    return {label: side for label, side in labels.items() if label not in muted}


def _session_id(call: Call, stream: Stream) -> str:
    return _id(f"{call.sid}/session/{stream.sid}")


def _group(call: Call) -> str:
    return call.group or call.sid


def _participant_id(call: Call, side: Side) -> str:
    return _party_id(call, side, call.party(side))


def _former_id(call: Call, former: Former) -> str:
    return _party_id(call, former.side, former.party)


def _party_id(call: Call, side: Side, party: Party) -> str:
    """Name a participant: one address is one participant in all calls of the group.

    RFC 7865 §6.5.1. Who hides, or calls from the address of the other, is known by its place.
    """
    address = aor(party.uri)
    is_other = any(aor(call.party(other).uri) == address for other in Side if other is not side)
    if is_other or address == UNKNOWN_AOR or _ANONYMOUS.search(address):
        return _id(f"{call.sid}/participant/{side}/{party.since_ms or 0}")
    return _id(f"{_group(call)}/participant/{address}")


def _joined_ms(call: Call, side: Side, otherwise_ms: int) -> int:
    since_ms = call.party(side).since_ms
    return otherwise_ms if since_ms is None else since_ms


def _stream_id(call: Call, stream: Stream, side: Side, label: str) -> str:
    medium = f"{side}/video" if label == side.video_label else side
    return _id(f"{call.sid}/session/{stream.sid}/stream/{medium}")


# Each id stands in a document several times, and again in the last one.
@lru_cache(maxsize=4096)
def _id(name: str) -> str:
    return b64encode(uuid5(_IDS, name).bytes).decode()
