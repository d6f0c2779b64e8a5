"""Documents that live calls follow: which verbs do, and how far one has come. Pure."""

from dataclasses import dataclass

from siprec.errors import TwimlError
from siprec.twiml_run import Program, Source, Step, Verb

MAX_REDIRECTS = 20
"""So many documents are fetched after the first one of an update."""

_FOLLOWED = (Verb.START, Verb.STOP, Verb.PAUSE, Verb.REDIRECT, Verb.HANGUP)
_LAST = (Verb.REDIRECT, Verb.HANGUP)
_WAITS = (Verb.PAUSE, Verb.REDIRECT)
_BAD_SCHEMA = 12200


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveDocument:
    """A document that is under way on a call. A record.

    `token` names the update that brought it. With `sources` it is yet to be fetched: they are
    asked in turn, relative to `base`; without any, `program` is followed from `position` on.
    `fallback` is asked when a `<Redirect>` leads nowhere. `fetches` counts documents.
    """

    token: str
    call_sid: str
    account_sid: str
    sources: tuple[Source, ...] = ()
    program: Program | None = None
    position: int = 0
    base: str = ""
    fallback: tuple[Source, ...] = ()
    fetches: int = 0

    @property
    def request_id(self) -> str:
        """Name the step at `position`: the same however often somebody begins to follow it."""
        return f"{self.token}-{self.fetches}-{self.position}"

    @property
    def step(self) -> Step | None:
        """Give the step at `position`, None behind the last one."""
        steps = self.program.steps if self.program else ()
        return steps[self.position] if self.position < len(steps) else None


def live_program(program: Program) -> Program:
    """Give the part of a document that a live call can reach.

    Raises:
        TwimlError: a verb of it makes no sense there; names it.
    """
    for index, step in enumerate(program.steps):
        if step.do not in _FOLLOWED:
            verb = step.do.value.capitalize()
            known = ", ".join(f"<{each.value.capitalize()}>" for each in _FOLLOWED)
            why = f"<{verb}> cannot be followed on a call in progress; {known} can"
            raise TwimlError(_BAD_SCHEMA, why, line=step.line)
        if step.do in _LAST:
            return Program(steps=program.steps[: index + 1])
    return program


def at_once(program: Program) -> int:
    """Count the steps before the first one that has to wait, or to fetch."""
    for index, step in enumerate(program.steps):
        if step.do in _WAITS:
            return index
    return len(program.steps)
