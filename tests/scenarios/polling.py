"""Wait for what real processes will show; nothing here sleeps for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

WITHIN_S = 30.0
_PAUSE_S = 0.01


def poll(
    condition: Callable[[], T | None],
    timeout_s: float = WITHIN_S,
    *,
    why: str | Callable[[], str] = "",
) -> T:
    """Ask until the answer is truthy, and give that answer.

    Raises:
        AssertionError: it was not within `timeout_s`; `why` (or what it returns) is the reason.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline_s:
            reason = why() if callable(why) else why
            raise AssertionError(f"not within {timeout_s:g} s: {reason or condition}")
        time.sleep(_PAUSE_S)
