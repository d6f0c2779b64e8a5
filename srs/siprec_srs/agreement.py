"""What the SRC has said so far in one session: the offer and the metadata in force."""

import time
from collections.abc import Callable
from typing import Any

from siprec_srs.checks import Findings
from siprec_srs.history import Turns, entry
from siprec_srs.known import Known
from siprec_srs.sdes import hide_secrets
from siprec_srs.sdp import MediaLine, Offer
from siprec_srs.speech import Speech, attribute
from siprec_srs.summary import Summary, iso


class Agreement:
    """Keeps every document in the session's folder, and what it means when it is valid.

    on_complete: called with each valid document that is complete.
    """

    def __init__(self, summary: Summary, on_complete: Callable[[], None] | None = None) -> None:
        self._summary = summary
        self._on_complete = on_complete
        self._body = b""
        self._rejected: tuple[Offer, bytes] | None = None
        self.offer: Offer | None = None
        self.labels: list[str] = []
        self.known = Known()
        self._turns = Turns()
        self._spoke: dict[str, dict[str, str]] = {}

    def keep(self, found: Findings, source: str, *, is_refused: bool = False) -> None:
        """Store what a message brought; `source` is its method, or `200` for an answer.

        is_refused: nothing of it holds.
        """
        for note in found.notes:
            self._summary.note(note)
        if source != "INVITE" or self.offer is not None:
            for error in found.errors:
                self._summary.note(f"{source}: {error}")
        parts = found.parts
        if parts is None:
            return
        if found.offer is not None and parts.sdp is not None:
            if self.offer is None:
                kept = hide_secrets(parts.sdp.body)
                (self._summary.folder / "sdp-offer.sdp").write_bytes(kept)
            if not (found.errors or is_refused):
                self._take_offer(found.offer, parts.sdp.body)
        if found.verdict is not None and parts.metadata is not None:
            self._keep_metadata(found, parts.metadata.body, source, is_refused=is_refused)

    def _take_offer(self, offer: Offer, body: bytes) -> None:
        self.offer, self._body, self._rejected = offer, body, None
        self.labels = offer.labels

    def _keep_metadata(
        self, found: Findings, body: bytes, source: str, *, is_refused: bool
    ) -> None:
        verdict, now = found.verdict, time.time()
        if verdict is None:
            return
        applies = not (verdict.errors or is_refused)
        number = self._summary.keep_metadata(body, verdict, source, now, applies=applies)
        if not applies:
            return
        self.known = verdict.known
        self._turns.take(self.known, self.labels, now)
        state = entry(self.known, number, source, iso(now), verdict.datamode)
        self._summary.metadata_history.append(state)
        self._note_speakers()
        if verdict.datamode == "complete" and self._on_complete is not None:
            self._on_complete()

    def compare(self, found: Findings) -> None:
        """Hold a new session description against the one in force (RFC 3264 §8)."""
        sdp = found.parts.sdp if found.parts is not None else None
        if self.offer is None or found.offer is None or sdp is None:
            return
        if len(found.offer.media) < len(self.offer.media):
            found.errors.append("fewer m-lines than before")
        pairs = zip(self.offer.media, found.offer.media, strict=False)
        for number, (old, new) in enumerate(pairs, 1):
            if old.port and new.port and old.label != new.label:
                found.notes.append(f"m-line {number} goes from label {old.label} to {new.label}")
        self._compare_versions(found, sdp.body)
        self._find_unnamed(found)

    def _compare_versions(self, found: Findings, body: bytes) -> None:
        offer = found.offer
        if offer is None or self.offer is None:
            return
        # What we refused was sent all the same: it may count, or not.
        bases = [(self.offer, self._body), *([self._rejected] if self._rejected else [])]
        if not any(_follows(base, (offer, body)) for base in bases):
            old, new = self.offer.origin.split(), offer.origin.split()
            found.notes.append(f"o= went from {old[1]} {old[2]} to {new[1]} {new[2]}")

    def _find_unnamed(self, found: Findings) -> None:
        """Note m-lines that are new and that no metadata names (RFC 7866 §9.1)."""
        if found.offer is None or self.offer is None:
            return
        valid = found.verdict is not None and not found.verdict.errors
        known = found.verdict.known if found.verdict is not None and valid else self.known
        named = {stream.label for stream in known.streams.values()}
        added: list[MediaLine] = [
            line for line in found.offer.media if line.port and line.label not in self.labels
        ]
        for line in added:
            if line.label not in named:
                found.notes.append(f"the new m-line with label {line.label} has no <stream>")

    def reject(self, found: Findings) -> None:
        """Remember an offer that we refuse: nothing of it holds, but its version was used."""
        if found.offer is not None and found.parts is not None and found.parts.sdp is not None:
            self._rejected = found.offer, found.parts.sdp.body

    def _note_speakers(self) -> None:
        # Final metadata disassociates everybody; what was recorded is still theirs.
        for stream in self.known.streams.values():
            for speaker in self.known.speakers(stream.label)[:1]:
                self._spoke[stream.label] = {"aor": speaker.aor, "name": speaker.name}

    def participant(self, label: str) -> dict[str, str] | None:
        """Return who speaks, or spoke last, on an m-line; None when no metadata said so."""
        return self._spoke.get(label)

    def attribute(self, label: str, speech: Speech) -> tuple[list[dict[str, Any]], bool | None]:
        """Say who was to speak on an m-line when, and whether its speech agrees."""
        return attribute(speech, self._turns.of(label))


def _follows(old: tuple[Offer, bytes], new: tuple[Offer, bytes]) -> bool:
    """Tell whether the version rose by one exactly when something changed."""
    before, after = old[0].origin.split(), new[0].origin.split()
    if not (before[2].isdecimal() and after[2].isdecimal()) or before[1] != after[1]:
        return False
    has_changed = _without_origin(old[1]) != _without_origin(new[1])
    return int(after[2]) - int(before[2]) == has_changed


def _without_origin(body: bytes) -> list[bytes]:
    return [line for line in body.splitlines() if not line.startswith(b"o=")]
