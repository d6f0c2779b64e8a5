"""A folder in which a test starts daemons; all of them end with it, in the right order."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.scenarios.sipp import Sipp
from tests.scenarios.srs import ReferenceSrs
from tests.scenarios.stack import Stack


class Rig:
    """Starts stacks, recorders and SIPps; ends what still runs, also after a failure.

    Daemons that a test ends itself (`stop`) may be ended again here. A stack and an SRS that
    still run at the end of a test that passed are stopped, and must stop well.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ends = ExitStack()
        self._started: list[Stack | ReferenceSrs | Sipp] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.__exit__(kind, error, trace)

    def _folder(self, name: str) -> Path:
        return self.folder / f"{name}-{len(self._started)}"

    def stack(self, **arguments: Any) -> Stack:
        """Start a `Stack` with these arguments."""
        stack = Stack(self._folder("stack"), **arguments)
        self._started.append(stack)
        return self._ends.enter_context(stack)

    def srs(self, *switches: str) -> ReferenceSrs:
        """Start a `ReferenceSrs` with these switches."""
        srs = ReferenceSrs(self._folder("srs"), *switches)
        self._started.append(srs)
        return self._ends.enter_context(srs)

    def sipp(self, scenario: str | Path, **arguments: Any) -> Sipp:
        """Start a `Sipp` with these arguments."""
        sipp = Sipp(self._folder(Path(scenario).stem), scenario, **arguments)
        self._started.append(sipp)
        return self._ends.enter_context(sipp)

    def logs(self) -> Iterator[tuple[str, str]]:
        """Give what each has written, if anything, with its name."""
        for each in self._started:
            text = each.errors if isinstance(each, Sipp) else each.log
            if text:
                yield str(each.folder), text
