"""What the metadata of one recording session says so far, document by document (RFC 7865)."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lxml import etree

NAMESPACE: Final = "urn:ietf:params:xml:ns:recording:1"


def q(name: str) -> str:
    """Return the name of an element of RFC 7865 as lxml writes it."""
    return f"{{{NAMESPACE}}}{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """Who speaks: the first nameID of a participant."""

    aor: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunicationSession:
    """One call that is recorded. Times as they were written, empty when not known."""

    group: str = ""
    sip_session_ids: tuple[str, ...] = ()
    start: str = ""
    stop: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream of media: the label of its m-line, the session it is part of."""

    label: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From when to when something holds; empty when not known."""

    associated: str = ""
    disassociated: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What a participant sends and receives, as stream_ids (RFC 7865 §6.8)."""

    send: tuple[str, ...] = ()
    recv: tuple[str, ...] = ()
    period: Period = field(default_factory=Period)


@dataclass(slots=True, kw_only=True)
class Known:
    """The state after a number of documents. Keys are the identifiers of the elements.

    memberships: by participant and session.
    """

    has_complete: bool = False
    groups: set[str] = field(default_factory=set)
    sessions: dict[str, CommunicationSession] = field(default_factory=dict)
    participants: dict[str, Participant] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    memberships: dict[tuple[str, str], Period] = field(default_factory=dict)
    contributions: dict[str, Contribution] = field(default_factory=dict)

    def after(self, root: etree._Element, *, is_partial: bool) -> "Known":
        """Return the state after one more document; a complete one replaces all (§5.1)."""
        state = Known(has_complete=True)
        if is_partial:
            state = replace(
                self,
                groups=set(self.groups),
                sessions=dict(self.sessions),
                participants=dict(self.participants),
                streams=dict(self.streams),
                memberships=dict(self.memberships),
                contributions=dict(self.contributions),
            )
        _take_elements(state, root)
        _take_memberships(state, root)
        _take_contributions(state, root)
        return state

    def speakers(self, label: str) -> list[Participant]:
        """Return the participants that send the stream of this label."""
        return [self.participants[who] for who in self._senders(label) if who in self.participants]

    def live_speakers(self, label: str) -> list[Participant]:
        """Return what `speakers` does, without those whose session is over, or who left it."""
        ids = [who for who in self._senders(label, only_live=True) if not self._has_left(who)]
        return [self.participants[who] for who in ids if who in self.participants]

    def _senders(self, label: str, *, only_live: bool = False) -> list[str]:
        return [
            who
            for who, its in self.contributions.items()
            if any(self._is_on(label, stream, only_live) for stream in its.send)
        ]

    def _is_on(self, label: str, stream_id: str, only_live: bool) -> bool:
        stream = self.streams.get(stream_id)
        if stream is None or stream.label != label:
            return False
        session = self.sessions.get(stream.session)
        return not (only_live and session is not None and session.stop)

    def _has_left(self, participant_id: str) -> bool:
        periods = [period for (who, _), period in self.memberships.items() if who == participant_id]
        return bool(periods) and all(period.disassociated for period in periods)

    def describe(self) -> dict[str, Any]:
        """Return the state as the summary holds it."""
        return {
            "groups": sorted(self.groups),
            "sessions": {key: _session(session) for key, session in self.sessions.items()},
            "participants": {key: self._participant(key) for key in self.participants},
            "streams": {key: self._stream(key) for key in self.streams},
        }

    def _participant(self, key: str) -> dict[str, Any]:
        who = self.participants[key]
        its = self.contributions.get(key, Contribution())
        sessions = {
            session: _times(period)
            for (member, session), period in self.memberships.items()
            if member == key
        }
        contribution = {"send": list(its.send), "recv": list(its.recv), **_times(its.period)}
        return {"aor": who.aor, "name": who.name, **contribution, "sessions": sessions}

    def _stream(self, key: str) -> dict[str, Any]:
        stream = self.streams[key]
        senders = [who for who, its in self.contributions.items() if key in its.send]
        receivers = [who for who, its in self.contributions.items() if key in its.recv]
        return {
            "label": stream.label or None,
            "session": stream.session or None,
            "senders": [self._aor(who) for who in senders],
            "receivers": [self._aor(who) for who in receivers],
        }

    def _aor(self, participant_id: str) -> str:
        who = self.participants.get(participant_id)
        return who.aor if who is not None else participant_id


def _session(session: CommunicationSession) -> dict[str, Any]:
    return {
        "group": session.group or None,
        "start": session.start or None,
        "stop": session.stop or None,
        "sip_session_ids": list(session.sip_session_ids),
    }


def _times(period: Period) -> dict[str, str | None]:
    return {
        "associated": period.associated or None,
        "disassociated": period.disassociated or None,
    }


def _text(element: etree._Element, name: str) -> str:
    return (element.findtext(q(name)) or "").strip()


def _texts(element: etree._Element, name: str) -> tuple[str, ...]:
    return tuple((found.text or "").strip() for found in element.iterfind(q(name)))


def _elements(root: etree._Element, name: str) -> Iterator[tuple[str, etree._Element]]:
    for element in root.iterfind(q(name)):
        yield str(element.get(f"{name}_id")), element


def _take_elements(state: Known, root: etree._Element) -> None:
    # What an element of a partial document leaves out stays as it was.
    state.groups |= {key for key, _ in _elements(root, "group")}
    for key, element in _elements(root, "session"):
        session = state.sessions.get(key, CommunicationSession())
        state.sessions[key] = CommunicationSession(
            group=_text(element, "group-ref") or session.group,
            sip_session_ids=_texts(element, "sipSessionID") or session.sip_session_ids,
            start=_text(element, "start-time") or session.start,
            stop=_text(element, "stop-time") or session.stop,
        )
    for key, element in _elements(root, "participant"):
        name_id = element.find(q("nameID"))
        if name_id is not None:
            name = name_id.findtext(q("name")) or ""
            state.participants[key] = Participant(aor=str(name_id.get("aor")), name=name)
    for key, element in _elements(root, "stream"):
        stream = state.streams.get(key, Stream())
        state.streams[key] = Stream(
            label=element.findtext(q("label")) or stream.label,
            session=element.get("session_id") or stream.session,
        )


def _period(element: etree._Element, before: Period) -> Period:
    period = Period(
        associated=_text(element, "associate-time"),
        disassociated=_text(element, "disassociate-time"),
    )
    if not period.associated:
        period = replace(period, associated=before.associated)
    return period


def _take_memberships(state: Known, root: etree._Element) -> None:
    for element in root.iterfind(q("participantsessionassoc")):
        key = str(element.get("participant_id")), str(element.get("session_id"))
        state.memberships[key] = _period(element, state.memberships.get(key, Period()))


def _take_contributions(state: Known, root: etree._Element) -> None:
    # RFC 7865 §6.8.1: a document says anew all that a participant contributes and gets.
    said: dict[str, list[etree._Element]] = {}
    for element in root.iterfind(q("participantstreamassoc")):
        said.setdefault(str(element.get("participant_id")), []).append(element)
    for who, elements in said.items():
        before = state.contributions.get(who, Contribution())
        live = [one for one in elements if not _text(one, "disassociate-time")]
        state.contributions[who] = Contribution(
            send=tuple(stream for one in live for stream in _texts(one, "send")),
            recv=tuple(stream for one in live for stream in _texts(one, "recv")),
            period=_period((live or elements)[-1], before.period),
        )
