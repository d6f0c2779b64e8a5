"""summary.json of one recording session: what happened, for people and for tests."""

import json
import os
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from siprec_srs.message import Request
from siprec_srs.metadata import Verdict
from siprec_srs.transport import Flow


def iso(seconds: float) -> str:
    """Write a time in seconds since the epoch as RFC 3339 in UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def safe_name(text: str) -> str:
    """Make a file name of text that a peer chose."""
    clean = re.sub(r"[^A-Za-z0-9_.@+-]", "_", text)[:100]
    return re.sub(r"^\.+", "_", clean) or "_"


def next_number(out: Path) -> int:
    """Return the first session number that no folder of an earlier run has."""
    taken = [0]
    for folder in out.iterdir():
        head = folder.name.partition("-")[0]
        if head.isdecimal():
            taken.append(int(head))
    return max(taken) + 1


@dataclass(slots=True, kw_only=True)
class Summary:
    """The contents of summary.json; README.md describes each key."""

    folder: Path
    call_id: str
    from_: str
    to: str
    user_agent: str
    headers: list[list[str]]
    state: str = "ringing"
    started: str = ""
    answered: str | None = None
    acknowledged: str | None = None
    ended: str | None = None
    ended_by: str | None = None
    bye_reason: str | None = None
    refused_with: int | None = None
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    metadata_history: list[dict[str, Any]] = field(default_factory=list)
    parameters: list[list[str]] = field(default_factory=list)
    sent_requests: list[dict[str, Any]] = field(default_factory=list)
    received_requests: list[dict[str, Any]] = field(default_factory=list)
    session_timer: dict[str, Any] | None = None
    forked: dict[str, Any] | None = None
    problems: list[str] = field(default_factory=list)
    verified: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, invite: Request, hidden: frozenset[str]) -> "Summary":
        """Begin the summary of a session; the values of `hidden` headers are left out."""
        return cls(
            folder=folder,
            call_id=invite.call_id,
            from_=invite.get("From"),
            to=invite.get("To"),
            user_agent=invite.get("User-Agent"),
            headers=[
                [name, "(hidden)" if name.lower() in hidden else value]
                for name, value in invite.headers
            ],
            started=iso(time.time()),
        )

    def verify(self, flow: Flow, proof: str | None) -> None:
        """Write down how the INVITE came, and how its sender proved who it is."""
        tls = flow.tls
        self.verified = {
            "transport": flow.transport,
            "tls_version": tls.version if tls is not None else None,
            "cipher": tls.cipher if tls is not None else None,
            "client_certificate": tls.client_certificate if tls is not None else None,
            "authentication": proof,
        }

    def note(self, problem: str) -> None:
        """Write down an oddity, each only once."""
        if problem not in self.problems:
            self.problems.append(problem)

    def keep_metadata(
        self, body: bytes, verdict: Verdict, source: str, at: float, *, applies: bool
    ) -> int:
        """Store a metadata document as metadata-NNN.xml and what was found in it.

        applies: it is valid, and the request that brought it was not refused.
        Returns its number.
        """
        number = len(self.metadata) + 1
        (self.folder / f"metadata-{number:03}.xml").write_bytes(body)
        entry = {
            "n": number,
            "source": source,
            "at": iso(at),
            "datamode": verdict.datamode,
            "valid": not verdict.errors,
            "applied": applies,
            "errors": verdict.errors,
        }
        self.metadata.append(entry)
        if verdict.parameters:
            self.parameters = verdict.parameters
        return number

    def as_dict(self) -> dict[str, Any]:
        """Return what is written, in the order it is written in."""
        return {
            "call_id": self.call_id,
            "state": self.state,
            "from": self.from_,
            "to": self.to,
            "user_agent": self.user_agent,
            "started": self.started,
            "answered": self.answered,
            "acknowledged": self.acknowledged,
            "ended": self.ended,
            "ended_by": self.ended_by,
            "bye_reason": self.bye_reason,
            "refused_with": self.refused_with,
            "labels": self.labels,
            "metadata": self.metadata,
            "metadata_history": self.metadata_history,
            "parameters": self.parameters,
            "sent_requests": self.sent_requests,
            "received_requests": self.received_requests,
            "session_timer": self.session_timer,
            "forked": self.forked,
            "problems": self.problems,
            "verified": self.verified,
            "headers": self.headers,
        }

    def write(self) -> None:
        """Replace summary.json at once, so that a reader never sees half of it."""
        temporary = self.folder / "summary.json.tmp"
        # A line for each key: readable, and json's C encoder does it in a tenth of the time.
        lines = [f"  {json.dumps(key)}: {_dump(value)}" for key, value in self.as_dict().items()]
        temporary.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        os.replace(temporary, self.folder / "summary.json")


def _dump(value: object) -> str:
    if not value or not isinstance(value, list | dict):
        return json.dumps(value)
    if isinstance(value, list):
        return "[\n    " + ",\n    ".join(map(json.dumps, value)) + "\n  ]"
    lines = [f"{json.dumps(key)}: {json.dumps(item)}" for key, item in value.items()]
    return "{\n    " + ",\n    ".join(lines) + "\n  }"
