"""Start the real `siprec-srs` for a test and read what it writes."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.srs.src_client import until


class Srs:
    """A running `siprec-srs` process."""

    def __init__(self, out: Path, *switches: str) -> None:
        self.out = out
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-X", "dev", "-W", "error", "-m", "siprec_srs.cli"),
                *("--listen", "127.0.0.1:0", "--out", str(out), *switches),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        ready = self.process.stdout.readline().split()
        assert ready, self.process.communicate()[1]
        assert ready[0] == "ready"
        self.address = _address(ready[1])
        self.tls_address = _address(ready[3]) if ready[2:3] == ["tls"] else None

    def summaries(self) -> list[dict[str, Any]]:
        """Read every summary there is, in the order of the sessions."""
        folders = sorted(self.out.glob("*-*"), key=lambda path: int(path.name.split("-")[0]))
        found = []
        for folder in folders:
            path = folder / "summary.json"
            if path.exists():
                found.append(json.loads(path.read_text()) | {"folder": folder})
        return found

    def summary(self, is_there: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the newest summary is as wanted."""
        for _ in until(10):
            found = self.summaries()
            if found and is_there(found[-1]):
                return found[-1]
        raise AssertionError("unreachable")

    def ended(self) -> dict[str, Any]:
        """Wait for the end of the newest session."""
        return self.summary(lambda summary: summary["state"] in ("ended", "refused"))

    def stop(self) -> tuple[str, str]:
        """End the process as an operator does; returns stdout and stderr."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=10)
        assert "Traceback" not in err
        assert "Warning: unclosed" not in err
        assert self.process.returncode == 0
        return out, err


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


StartSrs = Callable[..., Srs]


@pytest.fixture
def start_srs(tmp_path: Path) -> Iterator[StartSrs]:
    """Start SRS processes with switches; each ends, and ends well, with the test."""
    started: list[Srs] = []

    def start(*switches: str) -> Srs:
        srs = Srs(tmp_path / f"srs-{len(started)}", *switches)
        started.append(srs)
        return srs

    yield start
    for srs in started:
        if not srs.process.stdout or not srs.process.stdout.closed:
            srs.stop()
