"""What the command line prints: tables and times for people, JSON for programs."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from siprec.record import to_plain

NONE = "-"


def local_time(at_ms: int | None, *, exact: bool = False) -> str:
    """Give a time (ms since the epoch) as local ISO 8601; `exact` adds the milliseconds."""
    if at_ms is None:
        return NONE
    at = datetime.fromtimestamp(at_ms / 1000).astimezone()
    return at.isoformat(timespec="milliseconds" if exact else "seconds")


def duration(begin_ms: int | None, end_ms: int | None) -> str:
    """Give the time between two moments as `12.3 s`, or `-` when one of them is missing."""
    if begin_ms is None or end_ms is None:
        return NONE
    return f"{(end_ms - begin_ms) / 1000:.1f} s"


def print_json(value: object) -> None:
    """Print a record, plain value, or list of these as JSON."""
    print(json.dumps(value, default=to_plain, ensure_ascii=False, indent=2))


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, none: str) -> None:
    """Print rows under titles in columns, or the sentence `none` when there are no rows."""
    table = [[shown(cell) or NONE for cell in row] for row in rows]
    if not table:
        print(none)
        return
    lines = [list(titles), *table]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        print("  ".join(map(str.ljust, line, widths)).rstrip())


def print_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    pairs = list(fields)
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        print(f"{name:<{width}}  {shown(value) or NONE}")


def shown(text: str) -> str:
    """Escape what could move the cursor: much of what is printed came from the network."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
