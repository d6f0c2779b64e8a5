"""What the SRC has said so far in one session: the offer and the metadata in force."""

import time

from siprec_srs.checks import Findings
from siprec_srs.metadata import Known
from siprec_srs.sdes import hide_secrets
from siprec_srs.sdp import Offer
from siprec_srs.summary import Summary


class Agreement:
    """Keeps every document in the session's folder, and what it means when it is valid."""

    def __init__(self, summary: Summary) -> None:
        self._summary = summary
        self._body = b""
        self.offer: Offer | None = None
        self.labels: list[str] = []
        self.known = Known()
        self._spoke: dict[str, dict[str, str]] = {}

    def keep(self, found: Findings, source: str) -> None:
        """Store what a request brought; `source` is its method."""
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
            if not found.errors:
                self.offer, self._body = found.offer, parts.sdp.body
                self.labels = found.offer.labels
        if found.verdict is not None and parts.metadata is not None:
            body = parts.metadata.body
            self._summary.keep_metadata(body, found.verdict, source, time.time())
            if not found.verdict.errors:
                self.known = found.verdict.known
                self._note_speakers()

    def compare(self, found: Findings) -> None:
        """Hold a new offer against the one in force (RFC 3264 §8)."""
        sdp = found.parts.sdp if found.parts is not None else None
        if self.offer is None or found.offer is None or sdp is None:
            return
        if len(found.offer.media) < len(self.offer.media):
            found.errors.append("fewer m-lines than before")
        old, new = self.offer.origin.split(), found.offer.origin.split()
        has_changed = _without_origin(self._body) != _without_origin(sdp.body)
        step = int(new[2]) - int(old[2]) if old[2].isdecimal() and new[2].isdecimal() else -1
        if step != has_changed or old[1] != new[1]:
            found.notes.append(f"o= went from {old[1]} {old[2]} to {new[1]} {new[2]}")

    def _note_speakers(self) -> None:
        # Final metadata disassociates everybody; what was recorded is still theirs.
        for label in self.known.streams.values():
            for speaker in self.known.speakers(label)[:1]:
                self._spoke[label] = {"aor": speaker.aor, "name": speaker.name}

    def participant(self, label: str) -> dict[str, str] | None:
        """Return who speaks, or spoke last, on an m-line; None when no metadata said so."""
        return self._spoke.get(label)


def _without_origin(body: bytes) -> list[bytes]:
    return [line for line in body.splitlines() if not line.startswith(b"o=")]
