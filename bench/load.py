"""The ends of the calls: SIPp as caller, callee and recording server."""

import csv
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.stack import HOST, BenchError, free_port

SCENARIOS = Path(__file__).resolve().parents[1] / "sipp-scenarios" / "load"
CALL_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Calls that one SIPp counted."""

    calls: int
    failed: int


class Sipp:
    """One SIPp, listening on a free port. Use it with `with`: it is ended at the end."""

    def __init__(self, name: str, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._name = name
        self._stats = folder / f"{name}.csv"
        self._command = [
            "sipp",
            *("-sf", str(SCENARIOS / f"{name}.xml"), "-i", HOST, "-p", str(self.port)),
            *("-nostdin", "-trace_stat", "-fd", "1", "-stf", str(self._stats)),
            *("-trace_err", "-error_file", str(folder / f"{name}.errors")),
            *options,
        ]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with (self._folder / f"{self._name}.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()

    def wait(self, timeout_s: float) -> None:
        """Wait until it has placed all its calls.

        Raises:
            BenchError: it did not end in time.
        """
        assert self._process is not None
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise BenchError(f"SIPp ({self._name}) still runs after {timeout_s:g} s") from None

    def tally(self) -> Tally:
        """Give what it has counted up to now; the counters are a second old at most."""
        if not self._stats.exists():
            return Tally(calls=0, failed=0)
        with self._stats.open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        if not rows:
            return Tally(calls=0, failed=0)
        last = rows[-1]
        return Tally(calls=int(last["TotalCallCreated"]), failed=int(last["FailedCall(C)"]))


def caller(folder: Path, *, number: str, proxy_port: int, rate: int, calls: int) -> Sipp:
    """Make the caller: so many calls to a number, at so many per second."""
    options: Sequence[str] = (
        *("-s", number, "-d", str(CALL_MS), "-r", str(rate), "-m", str(calls)),
        *("-l", str(max(1000, rate * 10)), "-recv_timeout", "20000"),
        f"{HOST}:{proxy_port}",
    )
    return Sipp("caller", folder, *options)
