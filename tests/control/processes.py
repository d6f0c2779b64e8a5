"""Real processes for the tests of siprec_control: a watched program, and a redis-server."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis
from redis.exceptions import RedisError

from siprec.settings import LogLevel
from siprec_control.programs import redis_command

WITHIN_S = 20.0


class Watched:
    """A program whose output is waited for. Use it with `with`: it is killed at the end."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            start_new_session=True,
        )
        self.output = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        """Give the process id."""
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program alone."""
        self._process.send_signal(number)

    def wait_for(self, text: str, *, times: int = 1, within_s: float = WITHIN_S) -> str:
        """Read output until `text` stood in it `times` times; give its last line with it."""
        self._read(lambda: self.output.count(text) >= times, within_s)
        if self.output.count(text) < times:
            raise AssertionError(f"no {text!r} in:\n{self.output}")
        whole = self.output
        return [line for line in whole.splitlines() if text in line][times - 1]

    def wait_exit(self, within_s: float = WITHIN_S) -> int:
        """Read output until the program has ended; give its exit code."""
        self._read(lambda: False, within_s)
        return self._process.wait(within_s)

    def _read(self, is_enough: Callable[[], bool], within_s: float) -> None:
        deadline_s = time.monotonic() + within_s
        stream = self._process.stdout
        assert stream is not None
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while not is_enough():
                if not selector.select(max(0.0, deadline_s - time.monotonic())):
                    raise AssertionError(f"nothing more within {within_s} s after:\n{self.output}")
                data = os.read(stream.fileno(), 65536)
                if not data:
                    return
                self.output += data.decode(errors="replace")


def wait_until(holds: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    """Poll until the condition holds."""
    deadline_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline_s:
            raise AssertionError("did not come true in time")
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    """Tell whether the process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


class RedisServer:
    """A redis-server started as `siprec run` does, on a unix socket in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.url = f"unix://{folder / 'redis.sock'}"
        data = folder / "data"
        data.mkdir()
        command = redis_command(folder / "redis.sock", data, LogLevel.WARNING)
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.client: Redis = Redis.from_url(self.url, decode_responses=True)
        wait_until(self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    def stop(self) -> None:
        """End it."""
        self.client.close()
        self._process.terminate()
        self._process.wait(WITHIN_S)
