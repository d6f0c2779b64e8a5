"""The session timer (RFC 4028): what the headers say, and when the session is refreshed or over.

Pure. Intervals are in seconds as in the headers, times in ms since the epoch.
"""

import re
from typing import NamedTuple

from siprec.model import Timer

MIN_S = 90
"""The smallest interval that anyone may ask for (RFC 4028 §4)."""

MAX_S = 86_400
_GRACE_MS = 32_000
_VALUE = re.compile(r"\s*([0-9]{1,9})\s*(?:;(.*))?\Z", re.DOTALL)
_REFRESHER = re.compile(r"(?i)(?:\A|;)\s*refresher\s*=\s*(uac|uas)\s*(?:;|\Z)")


class SessionExpires(NamedTuple):
    """The header of that name: the interval, and who refreshes (`uac`, `uas`, "": not said)."""

    interval_s: int
    refresher: str = ""

    def __str__(self) -> str:
        """Write it as a header's value."""
        return f"{self.interval_s}{f';refresher={self.refresher}' if self.refresher else ''}"


def parse_session_expires(value: str) -> SessionExpires | None:
    """Read the header's value; None when it is none."""
    match = _VALUE.match(value)
    if match is None or int(match[1]) == 0:
        return None
    refresher = _REFRESHER.search(match[2] or "")
    return SessionExpires(min(int(match[1]), MAX_S), refresher[1].lower() if refresher else "")


def parse_seconds(value: str) -> int:
    """Read the number at the start of Min-SE or Retry-After; 0 when there is none."""
    match = re.match(r"\s*([0-9]{1,9})", value)
    return min(int(match[1]), MAX_S) if match else 0


def timer_of_answer(answered: str, asked_s: int, now_ms: int) -> Timer | None:
    """Give the timer that a 2xx to our request agrees on; `asked_s` 0: we asked for none.

    Without the header the peer knows no timer. Then we refresh all the same (§7.2), so that
    what stands between us and the peer lives on, but nothing ends for want of it.
    """
    if (agreed := parse_session_expires(answered)) is not None:
        return running(agreed.interval_s, is_ours=agreed.refresher != "uas", now_ms=now_ms)
    if not asked_s:
        return None
    return Timer(interval_s=asked_s, is_ours=True, refresh_ms=now_ms + asked_s * 500)


def running(interval_s: int, *, is_ours: bool, now_ms: int) -> Timer:
    """Start a timer anew: refreshed at half (§10), over a little before the interval is."""
    whole_ms = interval_s * 1000
    return Timer(
        interval_s=interval_s,
        is_ours=is_ours,
        refresh_ms=now_ms + whole_ms // 2 if is_ours else None,
        expires_ms=now_ms + whole_ms - min(_GRACE_MS, whole_ms // 3),
    )
