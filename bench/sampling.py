"""Where Python's time goes: py-spy on the busiest Kamailio processes while a run lasts.

py-spy is not one of our dependencies: `pip install py-spy` when a profile is wanted.
"""

import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.cpu import groups, used_ms
from bench.stack import BenchError

# More of either, and the samplers themselves make two cores the bottleneck.
RATE_HZ = 50
BUSIEST = 3
MAX_S = 600


class Profile:
    """Samples the Kamailio processes below `root_pid` that used most CPU so far.

    Without a folder it does nothing. Each process gets a file of collapsed stacks, named
    after its role and pid: what flamegraph.pl and speedscope.app read.
    """

    def __init__(self, root_pid: int, folder: Path | None) -> None:
        self._root_pid = root_pid
        self._folder = folder
        self._samplers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        if self._folder is None:
            return self
        program = shutil.which("py-spy")
        if program is None:
            raise BenchError("--cpu-profile needs py-spy on the path (pip install py-spy)")
        self._folder.mkdir(parents=True, exist_ok=True)
        found = groups(self._root_pid)
        for role in ("proxy", "src"):
            for pid in sorted(found.get(role, []), key=used_ms, reverse=True)[:BUSIEST]:
                self._start(program, pid, self._folder / f"{role}-{pid}.txt")
        return self

    def _start(self, program: str, pid: int, output: Path) -> None:
        command = [program, "record", "--pid", str(pid), "--format", "raw", "--nonblocking"]
        command += ["--rate", str(RATE_HZ), "--duration", str(MAX_S), "--output", str(output)]
        self._samplers.append(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for sampler in self._samplers:
            sampler.send_signal(signal.SIGINT)
        for sampler in self._samplers:
            try:
                sampler.wait(30)
            except subprocess.TimeoutExpired:
                sampler.kill()
                sampler.wait()
