"""One SIPp: a scenario of sipp-scenarios/ that plays one side of calls."""

import csv
import os
import re
import secrets
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.scenarios.polling import WITHIN_S, poll
from tests.scenarios.processes import is_bound

SCENARIOS = Path(__file__).parents[2] / "sipp-scenarios"

_PROGRAM = "sipp"
_STOP_S = 5.0
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a SIPp ended: its exit code (0: every call as the scenario says), and its counts."""

    code: int
    succeeded: int
    failed: int
    errors: str = field(repr=False, default="")


class Sipp:
    """A running SIPp in a folder of its own.

    `scenario` is a path below sipp-scenarios/, or absolute. With `remote` (`host:port`) it
    calls; without, it waits for calls and is bound when this returns. `duration_ms` is the
    `-d` pause, `keys` are `[name]` in the scenario, `sounds` files in its folder that
    `rtp_stream` plays. `transport` is SIPp's: u1, t1, ….
    """

    def __init__(
        self,
        folder: Path,
        scenario: str | Path,
        *,
        port: int,
        remote: str | None = None,
        service: str = "service",
        calls: int = 1,
        rate: float = 50,
        at_once: int | None = None,
        duration_ms: int = 1000,
        keys: Mapping[str, str] | None = None,
        sounds: Mapping[str, bytes] | None = None,
        transport: str = "u1",
        host: str = "127.0.0.1",
        timeout_s: int = 60,
        more: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.port = port
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in (sounds or {}).items():
            (folder / name).write_bytes(data)
        command = [_PROGRAM, "-sf", str(SCENARIOS / scenario), "-i", host, "-mi", host]
        command += ["-p", str(port), "-t", transport, "-m", str(calls), "-nostdin"]
        command += ["-d", str(duration_ms), "-timeout", f"{timeout_s}s", "-timeout_error"]
        command += [
            "-trace_err",
            "-error_file",
            "errors.log",
            "-trace_logs",
            "-log_file",
            "log.txt",
        ]
        command += ["-trace_stat", "-stf", "stat.csv", "-fd", "1"]
        for name, value in (keys or {}).items():
            assert _WORD.match(name), name
            command += ["-key", name, value]
        if remote is not None:
            command += ["-s", service, "-r", f"{rate:g}", "-l", str(at_once or calls), remote]
        with (folder / "out.txt").open("wb") as out:
            self._process = subprocess.Popen(
                [*command, *more],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TERM": "dumb"},
            )
        if remote is None:
            try:
                poll(lambda: self._is_bound(transport), why=lambda: f"SIPp: {self._out}")
            except BaseException:
                self.end()
                raise

    def _is_bound(self, transport: str) -> bool:
        assert self._process.poll() is None, f"SIPp has ended:\n{self._out}\n{self.errors}"
        return is_bound(self.port, "udp" if transport.startswith("u") else "tcp")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def is_running(self) -> bool:
        """Tell whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def errors(self) -> str:
        """Give what SIPp found unexpected; that the machine is busy is not."""
        lines = _text(self.folder / "errors.log").splitlines(keepends=True)
        lines = [line for line in lines if "Overload warning" not in line]
        return "".join(lines) if lines != ["The following events occurred:\n"] else ""

    @property
    def logged(self) -> str:
        """Give what `<log message="…"/>` of the scenario has written."""
        return _text(self.folder / "log.txt")

    @property
    def _out(self) -> str:
        return _text(self.folder / "out.txt")[-2000:]

    def wait(self, timeout_s: float = 60.0) -> Outcome:
        """Wait for the end of all calls; give how it went, whatever it was."""
        code = self._process.wait(timeout_s)
        counts = self._counts()
        return Outcome(
            code=code,
            succeeded=counts.get("SuccessfulCall(C)", 0),
            failed=counts.get("FailedCall(C)", 0),
            errors=self.errors,
        )

    def done(self, timeout_s: float = 60.0) -> Outcome:
        """Wait for the end of all calls, each of which must have gone as the scenario says."""
        outcome = self.wait(timeout_s)
        assert outcome.code == 0, f"{self.folder.name}: {outcome}\n{outcome.errors}\n{self._out}"
        return outcome

    def tell(self, call_id: str) -> None:
        """Send it a MESSAGE of that Call-ID: a scenario may wait for one to go on."""
        lines = (
            "MESSAGE sip:sipp@127.0.0.1 SIP/2.0",
            # SIPp takes a message like its last one for a retransmission.
            f"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{secrets.token_hex(8)}",
            "From: <sip:test@127.0.0.1>;tag=1",
            "To: <sip:sipp@127.0.0.1>",
            f"Call-ID: {call_id}",
            "CSeq: 1 MESSAGE",
            "Content-Length: 0",
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            text = "\r\n".join([*lines, "", ""])
            sender.sendto(text.encode(), ("127.0.0.1", self.port))

    def wait_logged(self, text: str, timeout_s: float = WITHIN_S) -> str:
        """Wait until the scenario has logged a line with `text`, and give the last such line."""
        return poll(
            lambda: next((n for n in reversed(self.logged.splitlines()) if text in n), ""),
            timeout_s,
            why=lambda: f"no {text!r} in {self.logged!r}\n{self.errors}",
        )

    def _counts(self) -> dict[str, int]:
        with (self.folder / "stat.csv").open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        last = rows[-1] if rows else {}
        return {name: int(value) for name, value in last.items() if value and value.isdecimal()}

    def end(self) -> None:
        """End it without judging it. May be called again."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(_STOP_S)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
