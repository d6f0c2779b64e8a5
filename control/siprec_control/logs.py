"""Log lines of the stack: who wrote them, how severe, as text or as JSON."""

import json
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TextIO

from siprec.settings import LogFormat, LogLevel

OWN_NAME = "siprec"

_COLOURS = {"redis": 31, "rtpengine": 33, "proxy": 32, "src": 36, OWN_NAME: 35}
_NAME_WIDTH = max(map(len, _COLOURS))
_WORD = re.compile(
    r"\b(DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|ERR|CRITICAL|CRIT|ALERT|BUG|EMERG|FATAL)\b:?"
)
_REDIS_LINE = re.compile(r"^\d+:[A-Z] .{20,28}? ([.*#-]) ")
_REDIS_LEVEL = {".": LogLevel.DEBUG, "-": LogLevel.DEBUG, "*": LogLevel.INFO}
# Kamailio says of every line of ours where in Kamailio it was written.
_KEMI_PLACE = re.compile(r"<core> \[core/kemi\.c:\d+\]: sr_kemi_core_log\(\): ")
_LEVEL = {
    "DEBUG": LogLevel.DEBUG,
    "INFO": LogLevel.INFO,
    "NOTICE": LogLevel.INFO,
    "WARN": LogLevel.WARNING,
    "WARNING": LogLevel.WARNING,
}


class LogWriter:
    """Writes one line per event to one text stream.

    A stream that was closed by its reader is no reason to end calls: it is then ignored.
    `now` gives the time of a JSON line.
    """

    def __init__(
        self,
        stream: TextIO,
        form: LogFormat,
        *,
        colour: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._stream = stream
        self._form = form
        self._colour = colour
        self._now = now

    def line(self, process: str, message: str, level: LogLevel | None = None) -> None:
        """Write what a process said; the level is read off the line unless it is given."""
        message = _KEMI_PLACE.sub("", message, count=1)
        if self._form is LogFormat.JSON:
            self._write(self._json(process, message, level or level_of(process, message)))
            return
        head = f"{process:<{_NAME_WIDTH}} |"
        if self._colour and process in _COLOURS:
            head = f"\x1b[{_COLOURS[process]}m{head}\x1b[0m"
        self._write(f"{head} {message}")

    def say(self, message: str, level: LogLevel = LogLevel.INFO) -> None:
        """Write a line of the supervisor itself."""
        self.line(OWN_NAME, message, level)

    def ready(self, message: str) -> None:
        """Write the line that tools wait for: it begins with `ready ` in text."""
        if self._form is LogFormat.JSON:
            self.say(message)
        else:
            self._write(message)

    def _json(self, process: str, message: str, level: LogLevel) -> str:
        time = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        record = {"time": time, "process": process, "level": level.value, "message": message}
        return json.dumps(record, ensure_ascii=False)

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(text + "\n")
            self._stream.flush()


def level_of(process: str, message: str) -> LogLevel:
    """Read the severity off a line as redis-server, rtpengine or Kamailio write it."""
    if process == "redis":
        mark = _REDIS_LINE.match(message)
        return _REDIS_LEVEL.get(mark[1], LogLevel.WARNING) if mark else LogLevel.INFO
    # The level stands near the front: after the pid, or after a time stamp.
    word = _WORD.search(message[:60])
    return _LEVEL.get(word[1], LogLevel.ERROR) if word else LogLevel.INFO


def wants_colour(stream: TextIO, environment: dict[str, str]) -> bool:
    """Tell whether people read the stream on a terminal and have not set NO_COLOR."""
    return stream.isatty() and not environment.get("NO_COLOR")


def log_writer(form: LogFormat, environment: dict[str, str]) -> LogWriter:
    """Make the writer of `siprec run`, on standard output."""
    # A child may write any bytes; a log never fails on them.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    return LogWriter(sys.stdout, form, colour=wants_colour(sys.stdout, environment))
