"""Giving way: programs that nobody's call waits for leave the processor to those that carry calls.

`siprec run` starts each program in a session of its own. Where Linux groups processes by session
(sched_autogroup_enabled), niceness counts within the group alone, and the group has one too.
"""

import os
from contextlib import suppress
from pathlib import Path

GIVES_WAY = 10
_GROUP = Path("/proc/self/autogroup")


def give_way() -> None:
    """Take a lower priority than calls have, for this process and what it starts.

    Call it before threads are made, which take theirs from who makes them.
    """
    os.nice(max(0, GIVES_WAY - os.nice(0)))
    # A kernel without groups has no such file; in a session of others it is not ours to lower.
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            _GROUP.write_text(str(GIVES_WAY))
