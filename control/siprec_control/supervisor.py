"""`siprec run`: starts the stack in stages, restarts what dies, ends it all.

One thread runs this loop over the children's output, signals and deadlines; a second one
probes readiness (ready.py), because its questions block.
"""

import selectors
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from siprec.settings import LogLevel
from siprec_control.children import Program, adopt_orphans, reap_adopted
from siprec_control.errors import StartError
from siprec_control.logs import LogWriter
from siprec_control.posts import Post
from siprec_control.ready import Probe, Prober

READY_WITHIN_S = 30.0

# Everything has ended 5 s after SIGTERM. Kamailio, in the last stage, takes up to 2 s.
_STOP_LAST_STAGE_S = 3.0
_STOP_OTHERS_S = 1.2
_TURN_S = 1.0
_STOP_TURN_S = 0.02

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Programs that start together, and what must hold before the next stage starts."""

    programs: Sequence[Program]
    probes: Sequence[Probe]


class Supervisor:
    """Runs stages of programs in `folder`. When all hold, `ready_line` is logged."""

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        folder: Path,
        log: LogWriter,
        ready_line: str,
        ready_within_s: float = READY_WITHIN_S,
    ) -> None:
        self._to_start = list(stages)
        self._started: list[list[Post]] = []
        self._folder = folder
        self._log = log
        self._ready_line = ready_line
        self._ready_within_s = ready_within_s
        self._ready_by_s = 0.0
        self._prober: Prober | None = None
        self._signals: list[signal.Signals] = []
        self._failure: str | None = None

    def run(self) -> str | None:
        """Run until told to stop; give None after a signal, else why the run ended.

        Call it from the main thread: it handles SIGTERM, SIGINT, SIGHUP and SIGCHLD. When it
        returns, no process that it started is left.
        """
        adopt_orphans()
        self._ready_by_s = time.monotonic() + self._ready_within_s
        with self._sources():
            try:
                self._start_next_stage()
                while not self._signals and self._failure is None:
                    self._turn(self._next_due_s())
                    self._care()
            except StartError as error:
                self._failure = str(error)
            finally:
                self._stop()
        return self._failure

    @contextmanager
    def _sources(self) -> Iterator[None]:
        """Hold what the loop listens to: signals, and the prober's call."""
        self._wake, woken = socket.socketpair()
        self._woken = woken
        with self._wake, woken, selectors.DefaultSelector() as self._selector:
            self._wake.setblocking(False)
            woken.setblocking(False)
            self._selector.register(woken, selectors.EVENT_READ)
            old_fd = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
            # nohup(1) ignores SIGHUP, and so do we then.
            caught = [s for s in _STOP_SIGNALS if signal.getsignal(s) is not signal.SIG_IGN]
            old = {s: signal.signal(s, self._on_signal) for s in (*caught, signal.SIGCHLD)}
            try:
                yield
            finally:
                for number, handler in old.items():
                    signal.signal(number, handler)
                signal.set_wakeup_fd(old_fd)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._signals.append(signal.Signals(number))

    def _call(self) -> None:
        with suppress(OSError):
            self._wake.send(b"\0")

    def _posts(self) -> list[Post]:
        return [post for stage in self._started for post in stage]

    def _start_next_stage(self) -> None:
        stage = self._to_start.pop(0)
        posts = [
            Post(program, folder=self._folder, log=self._log, selector=self._selector)
            for program in stage.programs
        ]
        self._started.append(posts)
        for post in posts:
            post.start()
        self._prober = Prober(stage.probes, on_done=self._call)

    def _turn(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            if isinstance(key.data, Post):
                key.data.read()
            else:
                with suppress(BlockingIOError):
                    self._woken.recv(4096)

    def _care(self) -> None:
        for post in self._posts():
            if post.is_dead():
                self._failure = self._failure or post.restart_after_death()
            elif post.start_at_s is not None and post.start_at_s <= time.monotonic():
                post.start()
        reap_adopted({post.child.pid for post in self._posts() if post.child})
        if self._prober is not None:
            self._check_ready(self._prober)

    def _check_ready(self, prober: Prober) -> None:
        if prober.is_done():
            self._prober = None
            if self._to_start:
                self._start_next_stage()
            else:
                self._log.ready(self._ready_line)
        elif time.monotonic() >= self._ready_by_s and self._failure is None:
            missing = "; ".join(prober.missing())
            self._failure = f"not ready after {self._ready_within_s:g} s: {missing}"

    def _next_due_s(self) -> float:
        due_s = [post.start_at_s for post in self._posts() if post.start_at_s is not None]
        if self._prober is not None:
            due_s.append(self._ready_by_s)
        now_s = time.monotonic()
        return max(0.0, min([_TURN_S, *(at_s - now_s for at_s in due_s)]))

    def _stop(self) -> None:
        if self._prober is not None:
            self._prober.cancel()
        if self._failure is not None:
            self._log.say(f"{self._failure}; stopping", LogLevel.ERROR)
        elif self._signals:
            self._log.say(f"stopping ({self._signals[0].name})")
        within_s = _STOP_LAST_STAGE_S
        # Kamailio first: it needs Redis and rtpengine to the last.
        for posts in reversed(self._started):
            self._stop_stage(posts, time.monotonic() + within_s)
            within_s = _STOP_OTHERS_S / len(self._started)
        reap_adopted(set())

    def _stop_stage(self, posts: Sequence[Post], kill_at_s: float) -> None:
        for post in posts:
            if post.child is not None:
                post.child.terminate()
        while running := [post for post in posts if post.child is not None]:
            # A second signal means now.
            if time.monotonic() >= kill_at_s or len(self._signals) > 1:
                self._kill(running)
            for post in running:
                if post.is_dead():
                    post.bury()
            if any(post.child for post in running):
                self._turn(_STOP_TURN_S)

    def _kill(self, posts: Sequence[Post]) -> None:
        for post in posts:
            if post.child is not None and not post.child.is_dead():
                self._log.say(f"{post.name} did not end in time; killed", LogLevel.WARNING)
                post.child.kill()
