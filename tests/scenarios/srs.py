"""A reference SRS of a test, and what it wrote down of each recording session."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lxml import etree

from tests.scenarios.polling import WITHIN_S, poll

_STOP_S = 10.0
# Not the ports of the stacks of the tests.
_RTP_PORTS = "20000-29998"
_OVER = ("ended", "refused")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One labelled m-line of a session. `summary` is its entry in summary.json."""

    label: str
    summary: dict[str, Any]
    folder: Path

    @property
    def aor(self) -> str:
        """Give the address of who speaks here, as the metadata says; "" when it does not."""
        return str((self.summary["participant"] or {}).get("aor", ""))

    @property
    def name(self) -> str:
        """Give the name of who speaks here, as the metadata says; "" when it does not."""
        return str((self.summary["participant"] or {}).get("name", ""))

    @property
    def codec(self) -> str:
        """Give the encoding, as `PCMA`."""
        return str(self.summary["codec"])

    @property
    def packets(self) -> int:
        """Count the RTP packets."""
        return int(self.summary["packets"])

    @property
    def lost(self) -> int:
        """Count the gaps in the sequence numbers."""
        return int(self.summary["lost"])

    @property
    def payload_types(self) -> dict[int, int]:
        """Count the packets of each payload type."""
        return {int(kind): count for kind, count in self.summary["payload_types"].items()}

    @property
    def packets_before_answer(self) -> int:
        """Count what came before the SRS had answered."""
        return int(self.summary["packets_before_answer"])

    @property
    def packets_after_bye(self) -> int:
        """Count what came after the BYE; the SRS listens for half a second more."""
        return int(self.summary["packets_after_bye"])

    @property
    def first_packet_s(self) -> float:
        """Give when the first packet came, in seconds since the epoch."""
        return _seconds(self.summary["first_packet"])

    @property
    def seconds_so_far(self) -> float:
        """Tell how much sound is in the WAV file; it is written to twice a second."""
        path = self.folder / f"{self.label}.wav"
        return max(0, path.stat().st_size - 44) / 16000 if path.exists() else 0.0

    @property
    def raw(self) -> bytes:
        """Give the payloads in order of their sequence numbers; there once the session is over."""
        return (self.folder / f"{self.label}.raw").read_bytes()


@dataclass(frozen=True, slots=True)
class Session:
    """One recording session at one moment, as its summary.json says."""

    folder: Path
    summary: dict[str, Any]

    @property
    def state(self) -> str:
        """Give `ringing`, `recording`, `ended` or `refused`."""
        return str(self.summary["state"])

    @property
    def is_over(self) -> bool:
        """Tell whether every file is complete."""
        return self.state in _OVER

    @property
    def ended_by(self) -> str | None:
        """Give what ended it: `src-bye`, `srs-bye`, `cancel`, ….  README.md of srs/ lists them."""
        ended_by = self.summary["ended_by"]
        return None if ended_by is None else str(ended_by)

    @property
    def labels(self) -> list[str]:
        """List the labels, sorted."""
        return sorted(self.summary["labels"])

    def track(self, label: str) -> Recorded:
        """Give what came on the m-line of that label."""
        return Recorded(label, self.summary["labels"][label], self.folder)

    @property
    def tracks(self) -> list[Recorded]:
        """Give every m-line, by label."""
        return [self.track(label) for label in self.labels]

    @property
    def packets(self) -> int:
        """Count the RTP packets of all m-lines."""
        return sum(track.packets for track in self.tracks)

    @property
    def answered_s(self) -> float:
        """Give when the SRS answered, in seconds since the epoch."""
        return _seconds(self.summary["answered"])

    @property
    def ended_s(self) -> float:
        """Give when it was over for the SRS (BYE, CANCEL), in seconds since the epoch."""
        return _seconds(self.summary["ended"])

    @property
    def problems(self) -> list[str]:
        """List the oddities that the SRS noticed."""
        return list(self.summary["problems"])

    @property
    def metadata_errors(self) -> list[str]:
        """List what was wrong with any metadata document."""
        return [error for entry in self.summary["metadata"] for error in entry["errors"]]

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """Give the custom parameters that stood in the metadata."""
        return [(name, value) for name, value in self.summary["parameters"]]

    def headers(self, name: str) -> list[str]:
        """Give the values of a header of the INVITE."""
        pairs = self.summary["headers"]
        return [value for found, value in pairs if found.lower() == name.lower()]

    def metadata(self, number: int) -> etree._Element:
        """Parse the `number`-th (from 1) metadata document."""
        return etree.fromstring((self.folder / f"metadata-{number:03}.xml").read_bytes())


class ReferenceSrs:
    """A running `siprec-srs --raw` at `uri`, with switches of its own.

    With `--tls-listen` it is at `tls_address` as well.
    """

    def __init__(self, folder: Path, *switches: str, listen: str = "127.0.0.1:0") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._log_path = folder / "srs.log"
        program = str(Path(sys.executable).with_name("siprec-srs"))
        command = [program, "--listen", listen, "--out", str(folder), "--raw"]
        command += ["--rtp-ports", _RTP_PORTS, *switches]
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            ready = poll(self._ready, why=lambda: f"SRS not ready:\n{self.log}")
        except BaseException:
            self.end()
            raise
        self.address, _, self.tls_address = ready.partition(" tls ")

    def _ready(self) -> str:
        assert self.process.poll() is None, f"the SRS has ended:\n{self.log}"
        lines = (line for line in self.log.splitlines() if line.startswith("ready "))
        return next((line.removeprefix("ready ") for line in lines), "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.stop()
        else:
            self.end()

    @property
    def uri(self) -> str:
        """Give the SIP URI for a connector."""
        return f"sip:recorder@{self.address}"

    @property
    def secure_uri(self) -> str:
        """Give the SIP URI for a connector that protects signalling and media."""
        assert self.tls_address
        return f"sip:recorder@{self.tls_address};secure=true"

    @property
    def log(self) -> str:
        """Give all that it has written to its terminal."""
        return self._log_path.read_text(errors="replace")

    def sessions(self) -> list[Session]:
        """Read the summaries that are there, in the order in which the sessions began."""
        paths = self.folder.glob("[0-9]*-*/summary.json")
        ordered = sorted(paths, key=lambda path: int(path.parent.name.split("-")[0]))
        return [Session(path.parent, json.loads(path.read_text())) for path in ordered]

    def session_of(self, stream_sid: str) -> Session | None:
        """Give the newest session of a stream, None when there is none yet."""
        mine = [s for s in self.sessions() if s.summary["call_id"].startswith(f"{stream_sid}-")]
        return mine[-1] if mine else None

    def wait_for(
        self, condition: Callable[[list[Session]], bool], timeout_s: float = WITHIN_S
    ) -> list[Session]:
        """Wait until the sessions are as wanted, and give them."""
        return poll(
            lambda: found if condition(found := self.sessions()) else None,
            timeout_s,
            why=lambda: f"sessions: {[s.summary for s in self.sessions()]}\n{self.log}",
        )

    def wait_over(self, count: int = 1, timeout_s: float = WITHIN_S) -> list[Session]:
        """Wait until `count` sessions have come and every one is over."""
        return self.wait_for(
            lambda found: len(found) >= count and all(s.is_over for s in found), timeout_s
        )

    def stop(self) -> None:
        """End it as an operator does; it must not have stumbled."""
        self.end()
        assert "Traceback" not in self.log, self.log
        assert self.process.returncode == 0, self.log

    def end(self) -> None:
        """End it without judging it. May be called again."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(_STOP_S)


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()
