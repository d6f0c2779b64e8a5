"""The clocks of the shells; the core is told the time."""

import time


def now_ms() -> int:
    """Give the wall clock in ms since the epoch, for what is stored."""
    return time.time_ns() // 1_000_000


def monotonic_s() -> float:
    """Give a clock that never jumps, for waiting; the same for all processes of a host."""
    return time.monotonic()
