"""One program of the stack over time: it runs, dies, waits, is started again."""

import selectors
import time
from pathlib import Path

from siprec.settings import LogLevel
from siprec_control.children import Child, Program
from siprec_control.errors import StartError
from siprec_control.logs import LogWriter
from siprec_control.restarts import MAX_DEATHS, Restarts


class Post:
    """A program and the child that runs it now, if any; `start_at_s` is set while it waits."""

    def __init__(
        self, program: Program, *, folder: Path, log: LogWriter, selector: selectors.BaseSelector
    ) -> None:
        self.name = program.name
        self.child: Child | None = None
        self.start_at_s: float | None = None
        self._program = program
        self._folder = folder
        self._log = log
        self._selector = selector
        self._restarts = Restarts(patient=program.may_die)
        self._started_s = 0.0

    def start(self) -> None:
        """Start the program now.

        Raises:
            StartError: the operating system refused.
        """
        self.start_at_s = None
        try:
            self.child = Child(self._program, self._folder)
        except OSError as error:
            raise StartError(f"{self.name} cannot be started: {error}") from error
        self._started_s = time.monotonic()
        self._selector.register(self.child, selectors.EVENT_READ, self)

    def read(self) -> None:
        """Log what the child has written."""
        if self.child is None or not self.child.has_output:
            return
        for line in self.child.lines():
            self._log.line(self.name, line)
        if not self.child.has_output:
            self._selector.unregister(self.child)

    def is_dead(self) -> bool:
        """Tell whether there is a child and it has ended."""
        return self.child is not None and self.child.is_dead()

    def bury(self) -> str:
        """Clear away the dead child, log its last words, and say how it ended."""
        child = self.child
        if child is None:
            return ""
        how = child.bury()
        self.read()
        if child.has_output:
            self._selector.unregister(child)
        child.close()
        self.child = None
        return how

    def restart_after_death(self) -> str | None:
        """Clear away the dead child and plan a restart; a reason not to ends the run."""
        how = self.bury()
        now_s = time.monotonic()
        wait_s = self._restarts.died(now_s, now_s - self._started_s)
        if wait_s is None:
            return f"{self.name} died {MAX_DEATHS} times within a minute, last with {how}"
        self.start_at_s = now_s + wait_s
        message = f"{self.name} died ({how}); restart {self._restarts.count} in {wait_s:g} s"
        self._log.say(message, LogLevel.ERROR)
        return None
