"""Log lines as text and JSON, their severity."""

import io
import json
from datetime import UTC, datetime

import pytest

from siprec.settings import LogFormat, LogLevel
from siprec_control.logs import LogWriter, level_of, wants_colour


def written(form: LogFormat, *, colour: bool = False) -> tuple[io.StringIO, LogWriter]:
    stream = io.StringIO()
    at = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    return stream, LogWriter(stream, form, colour=colour, now=lambda: at)


def test_text_line_is_prefixed_with_its_process() -> None:
    stream, log = written(LogFormat.TEXT)
    log.line("proxy", "hello")
    log.say("stopping")
    log.ready("ready sip=x")
    assert stream.getvalue() == "proxy     | hello\nsiprec    | stopping\nready sip=x\n"


def test_terminal_line_has_a_colour_for_its_process() -> None:
    stream, log = written(LogFormat.TEXT, colour=True)
    log.line("proxy", "hello")
    log.line("other", "hello")
    assert stream.getvalue() == "\x1b[32mproxy     |\x1b[0m hello\nother     | hello\n"


def test_json_line_is_one_object() -> None:
    stream, log = written(LogFormat.JSON)
    log.line("src", ' 3(12) ERROR: <core> [x.c:1]: f(): "ä"')
    log.ready("ready sip=x")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first == {
        "time": "2026-01-02T03:04:05.678Z",
        "process": "src",
        "level": "error",
        "message": ' 3(12) ERROR: <core> [x.c:1]: f(): "ä"',
    }
    assert (second["process"], second["message"]) == ("siprec", "ready sip=x")


@pytest.mark.parametrize(
    ("process", "line", "level"),
    [
        ("proxy", " 0(123) INFO: <core> [core/a.c:1]: f(): x", LogLevel.INFO),
        ("proxy", "12(123) WARNING: <core> [core/a.c:1]: f(): ERROR", LogLevel.WARNING),
        ("src", " 7(123) CRITICAL: <core> [core/a.c:1]: f(): x", LogLevel.ERROR),
        ("src", " 7(123) DEBUG: <core> [core/a.c:1]: f(): x", LogLevel.DEBUG),
        ("rtpengine", "[1792.3] ERR: [core] Failed", LogLevel.ERROR),
        ("rtpengine", "[1792.3] NOTICE: [core] Startup", LogLevel.INFO),
        ("redis", "7269:M 22 Nov 2026 20:02:05.933 * Ready", LogLevel.INFO),
        ("redis", "7269:M 22 Nov 2026 20:02:05.933 # WARNING x", LogLevel.WARNING),
        ("redis", "7269:M 22 Nov 2026 20:02:05.933 . detail", LogLevel.DEBUG),
        ("redis", "something else", LogLevel.INFO),
        ("proxy", "Listening on", LogLevel.INFO),
    ],
)
def test_level_is_read_off_the_line(process: str, line: str, level: LogLevel) -> None:
    assert level_of(process, line) is level


def test_closed_stream_is_ignored() -> None:
    stream, log = written(LogFormat.TEXT)
    stream.close()
    log.say("nobody reads this")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_only_on_a_terminal_and_without_no_color() -> None:
    assert wants_colour(Terminal(), {})
    assert not wants_colour(Terminal(), {"NO_COLOR": "1"})
    assert not wants_colour(io.StringIO(), {})


def test_line_of_a_script_loses_the_place_in_kamailio() -> None:
    stream, log = written(LogFormat.TEXT)
    log.line("src", " 6(9) INFO: <core> [core/kemi.c:152]: sr_kemi_core_log(): CA1 SR1 a B c")
    assert stream.getvalue() == "src       |  6(9) INFO: CA1 SR1 a B c\n"
