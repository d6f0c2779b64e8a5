"""The stack under load: `siprec run` in a temporary folder, on ports that are free."""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from siprec.model import Stream
from siprec.record import from_json
from siprec.settings import Runtime
from siprec.store import Store

HOST = "127.0.0.1"
READY_S = 40.0
# A call takes 4 ports of rtpengine, its fork 4 more, and they come back a second late.
RTP_PORTS = (16_000, 31_999)


class BenchError(RuntimeError):
    """The run itself failed; the message says how."""


def free_port() -> int:
    """Find a port that is free for UDP and TCP at this moment."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind((HOST, 0))
            port = int(tcp.getsockname()[1])
            try:
                udp.bind((HOST, port))
            except OSError:
                continue
            return port


class Stack:
    """A running stack. Use it with `with`; `pid` is that of `siprec run`.

    `rtp_ports` are the first and the last port of its rtpengine.
    """

    def __init__(self, folder: Path, rtp_ports: tuple[int, int] = RTP_PORTS) -> None:
        self.proxy_port, self.src_port, self.api_port = free_port(), free_port(), free_port()
        self.log = folder / "stack.log"
        self._state = folder / "state"
        self._config = folder / "siprec.toml"
        self._config.write_text(
            f'[sip]\nlisten = ["udp:{HOST}:{self.proxy_port}"]\n'
            f'[src]\nlisten = ["udp:{HOST}:{self.src_port}", "tcp:{HOST}:{self.src_port}"]\n'
            f'[control]\nlisten = "{HOST}:{self.api_port}"\n'
            f"[rtpengine]\nport_min = {rtp_ports[0]}\nport_max = {rtp_ports[1]}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command("run"), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._await_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    @property
    def pid(self) -> int:
        """Give the process id of `siprec run`, the ancestor of all that is measured."""
        assert self._process is not None
        return self._process.pid

    @property
    def requests_per_s(self) -> int:
        """Give how many requests a login may send to the API."""
        return self._runtime().settings.control.requests_per_s

    def is_api_there(self) -> bool:
        """Tell whether the API answers."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.api_port}/healthz", timeout=1) as got:
                return bool(got.status == 200)
        except OSError:
            return False

    def json(self, *arguments: str) -> Any:
        """Run a `siprec` command on this stack; give what it prints as JSON.

        Raises:
            BenchError: it failed.
        """
        return json.loads(self.siprec(*arguments, "--json"))

    def siprec(self, *arguments: str) -> str:
        """Run a `siprec` command on this stack; give what it prints.

        Raises:
            BenchError: it failed.
        """
        done = subprocess.run(self._command(*arguments), capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(f"siprec {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def streams(self) -> list[Stream]:
        """List all streams that the store knows."""
        with self._store() as store:
            return store.streams()

    def live_calls(self) -> int:
        """Count the calls that are not over yet."""
        with self._store() as store:
            return len(store.calls())

    def error_lines(self) -> list[str]:
        """List the lines of the log that are errors."""
        text = self.log.read_text(errors="replace")
        return [line for line in text.splitlines() if "ERROR" in line or "CRITICAL" in line]

    def _store(self) -> Store:
        redis = self._runtime().settings.redis
        return Store.connect(redis.url or "", redis.prefix)

    def _runtime(self) -> Runtime:
        return from_json(Runtime, (self._state / "runtime.json").read_bytes())

    def _command(self, *arguments: str) -> list[str]:
        program = str(Path(sys.executable).with_name("siprec"))
        return [program, *arguments, "--config", str(self._config), "--state", str(self._state)]

    def _await_ready(self) -> None:
        assert self._process is not None
        deadline_s = time.monotonic() + READY_S
        while not any(" ready " in f" {line}" for line in self.log.read_text().splitlines()):
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise BenchError(f"the stack did not start:\n{self.log.read_text()[-3000:]}")
            wait_for_exit(self._process.pid, 0.1)

    def _stop(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def wait_for_exit(pid: int, timeout_s: float) -> bool:
    """Wait until a child ends, at most that long; tell whether it did. It is not reaped."""
    descriptor = os.pidfd_open(pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            return bool(selector.select(timeout_s))
    finally:
        os.close(descriptor)
