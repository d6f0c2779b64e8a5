"""One supervised process: its start, its log lines, its death, and that of its descendants."""

import ctypes
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

MAX_LINE_BYTES = 8192

_SETPRIV = "/usr/bin/setpriv"
_PR_SET_CHILD_SUBREAPER = 36
_READS_PER_TURN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is started under which name. `environment` overrides ours; None unsets.

    The run goes on without one that `may_die`: it is started again, however often.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str | None] = field(default_factory=dict)
    may_die: bool = False


class Child:
    """A running program, leader of its own session, so that its descendants end with it.

    `has_output` turns False when everything it wrote was read. Whoever starts one calls
    `bury` once it is dead, then `close`.
    """

    def __init__(self, program: Program, folder: Path) -> None:
        """Start the program in `folder`.

        Raises:
            OSError: the folder, or setpriv, does not exist.
        """
        self.name = program.name
        self.has_output = True
        self._rest = b""
        self._output, theirs = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._output, False)
        try:
            self._process = subprocess.Popen(
                # A supervisor that is killed takes its children along.
                [_SETPRIV, "--pdeathsig", "TERM", "--", *program.command],
                cwd=folder,
                env=_environment(program.environment),
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
            )
        except OSError:
            os.close(self._output)
            raise
        finally:
            os.close(theirs)

    @property
    def pid(self) -> int:
        """Give the process id, which is also the id of its process group."""
        return self._process.pid

    def fileno(self) -> int:
        """Give the descriptor of its output, for a selector."""
        return self._output

    def lines(self) -> list[str]:
        """Take the whole lines that it has written; never blocks."""
        found: list[str] = []
        for _ in range(_READS_PER_TURN):
            try:
                data = os.read(self._output, 65536)
            except BlockingIOError:
                break
            if not data:
                self.has_output = False
                found += [_text(self._rest)] if self._rest else []
                self._rest = b""
                break
            *whole, self._rest = (self._rest + data).split(b"\n")
            found += map(_text, whole)
            if len(self._rest) > MAX_LINE_BYTES:
                found.append(_text(self._rest))
                self._rest = b""
        return found

    def is_dead(self) -> bool:
        """Tell whether the leader has ended; `bury` must follow."""
        if self._process.returncode is not None:
            return True
        status = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return status is not None

    def terminate(self) -> None:
        """Ask the program to end; it tells its own children."""
        if not self.is_dead():
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the whole process group at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def bury(self) -> str:
        """Kill what the dead leader left behind, wait for that, and say how it ended.

        A killed Kamailio leaves workers that keep its sockets. As long as the leader is not
        reaped, the id of its process group cannot be another's.
        """
        self.kill()
        code = self._process.wait()
        _reap_group(self.pid)
        return f"signal {-code}" if code < 0 else f"exit {code}"

    def close(self) -> None:
        """Close our end of its output."""
        os.close(self._output)


def adopt_orphans() -> None:
    """Become the parent of every orphaned descendant of this process.

    Otherwise they go to process 1, which in many containers reaps nobody.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_adopted(known: set[int]) -> None:
    """Reap dead orphans that are none of the `known` children, whose owners reap them."""
    with suppress(ChildProcessError):
        while True:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if dead is None or dead.si_pid in known:
                return
            os.waitpid(dead.si_pid, 0)


def _reap_group(group: int, within_s: float = 1.0) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            pid, _ = os.waitpid(-group, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.002)


def _environment(overrides: Mapping[str, str | None]) -> dict[str, str]:
    # Names one life of a process: what was in its memory is gone with it.
    merged = {**os.environ, "SIPREC_BOOT": secrets.token_hex(8), **overrides}
    return {name: value for name, value in merged.items() if value is not None}


def _text(line: bytes) -> str:
    text = line[:MAX_LINE_BYTES].decode(errors="backslashreplace").rstrip()
    # A log line cannot move the cursor of the terminal it is shown on.
    return "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in text)
