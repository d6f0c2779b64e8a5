"""The metadata of one recording session over time: each state, and what contradicts the last."""

from typing import Any

from siprec_srs.known import Known, Participant, Stream

_NAMELESS = "anonymous"


def broken_identities(before: Known, after: Known) -> list[str]:
    """Return what has another identifier than before although it is the same thing.

    RFC 7865 §6.10: a mapping from UUID to element stays for as long as the element lives;
    a participant's holds for the whole CS group (§6.5.1).
    """
    return [
        *_new_participants(before, after),
        *_new_streams(before, after),
        *_new_sessions(before, after),
    ]


def _new_participants(before: Known, after: Known) -> list[str]:
    found = []
    for key, who in after.participants.items():
        if key in before.participants or _NAMELESS in who.aor:
            continue
        for old, its in before.participants.items():
            # Two devices of one user may be in one call: then both are there at once.
            if its.aor == who.aor and not _is_present(after, old):
                found.append(f"participant {who.aor} was {old} and is now {key}")
    return found


def _is_present(state: Known, participant_id: str) -> bool:
    periods = [its for (who, _), its in state.memberships.items() if who == participant_id]
    left = bool(periods) and all(period.disassociated for period in periods)
    return participant_id in state.participants and not left


def _new_streams(before: Known, after: Known) -> list[str]:
    return [
        f"the stream with label {stream.label} was {old} and is now {key}"
        for key, stream in after.streams.items()
        if key not in before.streams and stream.label
        for old, its in before.streams.items()
        if its == stream
    ]


def _new_sessions(before: Known, after: Known) -> list[str]:
    found = []
    for key, session in after.sessions.items():
        known = before.sessions.get(key)
        if known is not None and known.group and session.group not in ("", known.group):
            found.append(f"session {key} moved from group {known.group} to {session.group}")
        if known is not None or not session.sip_session_ids:
            continue
        for old, its in before.sessions.items():
            ended = old in after.sessions and after.sessions[old].stop
            if its.sip_session_ids == session.sip_session_ids and not (its.stop or ended):
                found.append(f"session {session.sip_session_ids[0]} was {old} and is now {key}")
    return found


def homeless_streams(known: Known, labels: list[str]) -> list[str]:
    """Return what is said to be sent although no m-line carries it."""
    sent = {stream for its in known.contributions.values() for stream in its.send}
    streams = [known.streams.get(key, Stream()) for key in sent]
    missing = {stream.label for stream in streams if stream.label and stream.label not in labels}
    return [f"somebody sends the stream with label {one}, on no m-line" for one in sorted(missing)]


def entry(known: Known, number: int, source: str, at: str, datamode: str) -> dict[str, Any]:
    """Write one item of `metadata_history`: the state after a document."""
    head = {"n": number, "source": source, "at": at, "datamode": datamode}
    return {**head, **known.describe()}


class Turns:
    """Who was said to send on each m-line, from when on (seconds since the epoch)."""

    def __init__(self) -> None:
        self._turns: dict[str, list[tuple[float, list[Participant]]]] = {}

    def take(self, known: Known, labels: list[str], at: float) -> None:
        """Note who sends on each m-line after a document."""
        for label in {*labels, *self._turns}:
            turns = self._turns.setdefault(label, [])
            speakers = known.live_speakers(label)
            if not turns or turns[-1][1] != speakers:
                turns.append((at, speakers))

    def of(self, label: str) -> list[tuple[float, list[Participant]]]:
        """Return when it changed who sends on an m-line, and who it was then."""
        return self._turns.get(label, [])
