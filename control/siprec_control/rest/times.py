"""Times as clients write and read them: RFC 2822 and ISO 8601, UTC. Pure."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from siprec_control.rest.errors import bad_value

DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def rfc2822(at_ms: int) -> str:
    """Write a time as `Mon, 01 Jan 2024 00:00:00 +0000`."""
    return format_datetime(_at(at_ms))


def rfc2822_or_none(at_ms: int | None) -> str | None:
    """Write a time, None when there is none."""
    return None if at_ms is None else rfc2822(at_ms)


def iso8601(at_ms: int) -> str:
    """Write a time as `2024-01-01T00:00:00Z`."""
    return _at(at_ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def _at(at_ms: int) -> datetime:
    # To the second below.
    return _EPOCH + timedelta(seconds=at_ms // 1000)


def parse_time(field: str, text: str) -> tuple[int, int]:
    """Read `2024-01-01` or `2024-01-01T00:00:00Z`; give its first and last ms: a day, a second.

    Raises:
        ApiError: names the field.
    """
    is_date = _DATE.fullmatch(text) is not None
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        at_ms = int((found - _EPOCH) / timedelta(milliseconds=1))
    except (ValueError, OverflowError):
        why = f"{text[:40]!r} is not YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ"
        raise bad_value(field, why) from None
    return at_ms, at_ms + (DAY_MS if is_date else 1000) - 1
