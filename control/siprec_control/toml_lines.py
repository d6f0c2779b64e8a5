"""Where the keys of a TOML document stand: tomllib keeps no line numbers."""

import tomllib
from collections.abc import Iterator
from typing import Any


def key_lines(text: str) -> dict[str, int]:
    """Map each dotted key and table name of a valid TOML document to its line, from 1.

    A key that is set more than once (an array of tables) keeps its first line.
    """
    lines: dict[str, int] = {}
    table: tuple[str, ...] = ()
    for line, statement in _statements(text):
        parsed = tomllib.loads(statement)
        is_header = statement.lstrip().startswith("[")
        if is_header:
            table = _header_path(parsed)
        for depth in range(1, len(table) + 1):
            lines.setdefault(".".join(table[:depth]), line)
        for path in () if is_header else _paths(parsed):
            lines.setdefault(".".join(table + path), line)
    return lines


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Split into table headers and key/value pairs, each with the line that it begins on.

    Every statement is a TOML document of its own, and no line break inside a statement
    (multi-line strings, arrays) leaves a valid document before it.
    """
    begin, gathered = 1, ""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        gathered = f"{gathered}\n{line}" if gathered else line
        try:
            parsed = tomllib.loads(gathered)
        except tomllib.TOMLDecodeError:
            continue
        if parsed:
            yield begin, gathered
        begin, gathered = number + 1, ""


def _header_path(parsed: Any) -> tuple[str, ...]:
    path: list[str] = []
    while parsed:
        inner = parsed[0] if isinstance(parsed, list) else parsed
        if not inner:
            break
        ((key, parsed),) = inner.items()
        path.append(key)
    return tuple(path)


def _paths(parsed: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, value in parsed.items():
        yield (key,)
        if isinstance(value, dict):
            for path in _paths(value):
                yield (key, *path)
