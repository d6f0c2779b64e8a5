"""The programs of the demo: the stack, the recorder, two SIP phones. Each in a session of its
own, its output in a file, ended with the demo whatever happens.
"""

import os
import random
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO

from siprec_control import ports
from siprec_control.demo_voices import DemoFailed

HOST = "127.0.0.1"
# The caller is alone there, and takes any port.
CALLER_HOST = "127.0.0.2"
SIPP = "/usr/bin/sipp"
CALLED = "+15550001111"
DIALLED = "+15550002222"
# A folder in the demo's own.
CA = "ca"
MAKE_CA = ("make-ca", CA, "--days", "90")

# Where the demo leaves the logs, whatever becomes of its folder.
KEPT_LOGS = "demo-output/logs"

_SETPRIV = "/usr/bin/setpriv"
_POLL_S = 0.02
# Not of those that the kernel gives out: one would be gone before it is used. SIPp takes
# its own from 8888 on.
_SIP_PORTS = range(7_000, 8_800)
# Above the default of `siprec run` and what recorders and SIPp take.
_MEDIA_PORTS = range(40_000, 60_900, 100)


class Process:
    """A running program. `output` is the file that holds what it wrote on standard output."""

    def __init__(self, name: str, command: Sequence[str], output: Path, folder: Path) -> None:
        self.name = name
        self.output = output
        self.errors = output.with_suffix(".log")
        self._see = f"see {KEPT_LOGS}/{self.errors.name}"
        with output.open("ab") as written, self.errors.open("ab") as errors:
            errors.write(f"$ {shlex.join(command)}\n".encode())
            errors.flush()
            self._process = self._start(command, folder, written, errors)

    def _start(
        self, command: Sequence[str], folder: Path, output: IO[bytes], errors: IO[bytes]
    ) -> "subprocess.Popen[bytes]":
        try:
            # Ctrl-C reaches the demo alone, which then ends the others in order.
            return subprocess.Popen(
                [_SETPRIV, "--pdeathsig", "TERM", "--", *command],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        except OSError as error:
            raise DemoFailed(f"{self.name} cannot be started: {error}") from error

    def wait_line(self, beginning: str, within_s: float) -> str:
        """Wait for a line that begins so; give the rest of it.

        Raises:
            DemoFailed: it ended before, or took too long.
        """

        def find() -> str | None:
            for line in self.output.read_text(errors="replace").splitlines(keepends=True):
                if line.startswith(beginning) and line.endswith("\n"):
                    return line[len(beginning) :].strip()
            self.check()
            return None

        return wait_for(find, within_s, f"{self.name} is not ready; {self._see}")

    def check(self) -> None:
        """Do nothing while the program runs.

        Raises:
            DemoFailed: it has ended.
        """
        if (code := self._process.poll()) is not None:
            raise DemoFailed(f"{self.name} ended with exit code {code}; {self._see}")

    def wait_end(self, within_s: float) -> None:
        """Wait until the program has ended well.

        Raises:
            DemoFailed: it failed, or took too long.
        """
        try:
            code = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise DemoFailed(f"{self.name} does not end; {self._see}") from None
        if code != 0:
            raise DemoFailed(f"{self.name} ended with exit code {code}; {self._see}")

    def stop(self) -> None:
        """End the program: politely, after 6 s by force."""
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(6)
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def wait_for(find: Callable[[], str | None], within_s: float, otherwise: str) -> str:
    """Ask again and again until there is an answer.

    Raises:
        DemoFailed: with the text `otherwise`, when there is none in time.
    """
    deadline_s = time.monotonic() + within_s
    while (found := find()) is None:
        if time.monotonic() > deadline_s:
            raise DemoFailed(f"{otherwise} (waited {within_s:g} s)")
        time.sleep(_POLL_S)
    return found


class Site:
    """The folder of one demo with its free ports, and everything that runs in it.

    Raises DemoFailed when the folder is not empty or cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.state = folder / "state"
        self.recordings = folder / "recordings"
        self._make_folders()
        self.sip, self.src, self.src_tls, self.callee, self.api = _free_ports(5)
        self.recorder_at = self.recorder_tls_at = ""
        self._running: list[Process] = []
        self._guard: socket.socket | None = None

    def _make_folders(self) -> None:
        try:
            # What an earlier run left would be taken for this one's.
            if self.folder.exists() and any(self.folder.iterdir()):
                raise DemoFailed(f"{self.folder} is not empty")
            for made in (self.logs, self.recordings):
                made.mkdir(parents=True)
        except OSError as error:
            raise DemoFailed(f"{error.filename}: {error.strerror}") from error

    def make_certificates(self) -> None:
        """Make a CA and the recorder's certificate, in the folder `CA` of the demo's.

        Raises:
            DemoFailed: it cannot be done.
        """
        command = [sys.executable, "-m", "siprec_srs.cli", *MAKE_CA]
        Process("siprec-srs make-ca", command, self.logs / "make-ca.log", self.folder).wait_end(30)

    def start_recorder(self) -> None:
        """Start the reference SRS; `recorder_at` and, for TLS, `recorder_tls_at` are set then."""
        options = ["--listen", f"{HOST}:0", "--out", str(self.recordings), "--events"]
        options += ["--tls-listen", f"{HOST}:0"]
        options += ["--tls-cert", f"{CA}/server.pem", "--tls-key", f"{CA}/server.key"]
        command = [sys.executable, "-m", "siprec_srs.cli", *options]
        process = self._start("recorder", command, "recorder.jsonl")
        ready = process.wait_line("ready ", 15)
        self.recorder_at, _, self.recorder_tls_at = ready.partition(" tls ")

    def start_stack(self) -> None:
        """Start `siprec run` with settings of its own and wait until it is ready."""
        self._guard, low = _claim_media_ports()
        (self.folder / "siprec.toml").write_text(
            f'[sip]\nlisten = ["udp:{HOST}:{self.sip}", "tcp:{HOST}:{self.sip}"]\n\n'
            f'[src]\nlisten = ["udp:{HOST}:{self.src}", "tcp:{HOST}:{self.src}",'
            f' "tls:{HOST}:{self.src_tls}"]\n\n'
            f'[routing]\ngateway = "sip:{HOST}:{self.callee}"\n\n'
            f'[control]\nlisten = "{HOST}:{self.api}"\n\n'
            f"[rtpengine]\nport_min = {low}\nport_max = {low + 98}\n"
        )
        process = self._start("siprec run", self._siprec("run"), "siprec-run.log")
        process.wait_line("ready ", 35)

    def command(self, *words: str) -> str:
        """Run a `siprec` command on the stack; give what it printed.

        Raises:
            DemoFailed: it failed.
        """
        done = subprocess.run(
            self._siprec(*words), cwd=self.folder, capture_output=True, text=True, timeout=30
        )
        if done.returncode != 0:
            raise DemoFailed(f"siprec {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def start_callee(self, scenarios: Path, *, calls: int | None) -> Process:
        """Start the phone that is called; after `calls` calls it ends, None is never."""
        options = ["-p", str(self.callee)] + ([] if calls is None else ["-m", str(calls)])
        return self._start_phone("callee", [*self._sipp(scenarios, "callee", HOST), *options])

    def start_caller(self, scenarios: Path, talk_s: float) -> Process:
        """Start the phone that calls, talks for so long, and hangs up."""
        options = ["-timeout", f"{talk_s + 15:.0f}"]
        return self._start_phone("caller", [*self.call_command(scenarios, talk_s), *options])

    def call_command(self, scenarios: Path, talk_s: float) -> list[str]:
        """Give the command that places one call; it runs in the demo's folder."""
        options = ["-s", CALLED, "-m", "1", "-d", f"{talk_s * 1000:.0f}", f"{HOST}:{self.sip}"]
        return [*self._sipp(scenarios, "caller", CALLER_HOST), *options]

    def stop(self) -> None:
        """End everything that runs, the last started first."""
        while self._running:
            self._running.pop().stop()
        if self._guard is not None:
            self._guard.close()

    def _start_phone(self, name: str, command: list[str]) -> Process:
        return self._start(f"the {name}'s phone", command, f"{name}.log")

    def _start(self, name: str, command: Sequence[str], log: str) -> Process:
        process = Process(name, command, self.logs / log, self.folder)
        self._running.append(process)
        return process

    def _siprec(self, *words: str) -> list[str]:
        where = ["--state", str(self.state)]
        if words[0] == "run":
            where += ["--config", str(self.folder / "siprec.toml")]
        return [sys.executable, "-m", "siprec_control.cli", *words, *where]

    def _sipp(self, scenarios: Path, role: str, host: str) -> list[str]:
        return [SIPP, "-sf", str(scenarios / f"{role}.xml"), "-i", host, "-nostdin"]


def _free_ports(count: int) -> list[int]:
    """Find ports that are free for UDP and TCP."""
    shuffled = random.sample(_SIP_PORTS, len(_SIP_PORTS))
    free = (p for p in shuffled if not ports.busy([f"udp:{HOST}:{p}", f"tcp:{HOST}:{p}"]))
    found = list(islice(free, count))
    if len(found) < count:
        raise DemoFailed(f"no {count} free ports")
    return found


def _claim_media_ports() -> tuple[socket.socket, int]:
    """Find a hundred free UDP ports in a row; give a guard that holds the last, and the first.

    rtpengine shares a port with another rtpengine without a word, and one call's voice is then
    heard in the other. The guard keeps other demos out, for as long as it is open.
    """
    for low in random.sample(_MEDIA_PORTS, len(_MEDIA_PORTS)):
        guard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            guard.bind((HOST, low + 99))
            if not ports.busy([f"udp:{HOST}:{port}" for port in range(low, low + 99)]):
                return guard, low
        except OSError:
            pass
        guard.close()
    raise DemoFailed("no hundred free UDP ports in a row")
