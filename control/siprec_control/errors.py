"""Errors that a command explains to the person who typed it, in one line.

    ControlError
    ├── ConfigError    siprec.toml cannot be used
    ├── StateError     the state folder cannot be used
    │   └── NoStack    nothing runs with that state folder
    ├── StartError     the stack cannot start
    └── Refused        what was asked for does not exist or may not be done

The command line prints `str(error)` and exits 1.
"""

from pathlib import Path


class ControlError(Exception):
    """Base of what siprec_control raises on purpose."""


class ConfigError(ControlError):
    """A settings file cannot be used; `line` is 0 where no line is to blame.

    `key` is `section.key`, or empty when the file as a whole is at fault.
    """

    def __init__(self, file: Path, line: int, key: str, why: str) -> None:
        place = f"{file}:{line}" if line else str(file)
        section, _, name = key.rpartition(".")
        named = f"[{section}] {name}: " if section else f"[{name}]: " if name else ""
        super().__init__(f"{place}: {named}{why}")
        self.file = file
        self.line = line
        self.key = key
        self.why = why


class StateError(ControlError):
    """The state folder, or a file in it, cannot be used."""


class NoStack(StateError):
    """No stack runs with the state folder `state`."""

    def __init__(self, state: Path) -> None:
        super().__init__(
            f"no stack runs with state {state} (start it with: siprec run --state {state})"
        )
        self.state = state


class StartError(ControlError):
    """The stack cannot start, for instance because a port is taken."""


class Refused(ControlError):
    """What was asked for does not exist, or a controller refused it."""
