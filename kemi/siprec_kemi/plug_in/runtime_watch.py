"""The file that `siprec run` writes: an operator's Kamailio may start before it, and outlive it."""

import os

from siprec.record import RecordError
from siprec.redis_acl import RedisUser
from siprec.settings import Runtime
from siprec_kemi import ksr
from siprec_kemi.clock import monotonic_s
from siprec_kemi.runtime import load_runtime

LOOK_S = 1.0

VARIABLE = "SIPREC_RUNTIME"


class RuntimeWatch:
    """One per process. A file that is gone leaves in force what it said."""

    def __init__(self) -> None:
        self._look_at = 0.0
        self._seen: tuple[int, int] | None = None
        self._runtime: Runtime | None = None
        self._said = ""

    def look(self) -> Runtime | None:
        """Give what the file says, the same object while it is the same; None until it is there.

        The file is looked at once a second.
        """
        now = monotonic_s()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._take()
        return self._runtime

    def _take(self) -> None:
        try:
            status = os.stat(os.environ[VARIABLE])
            seen = (status.st_ino, status.st_mtime_ns)
            if seen != self._seen:
                self._runtime = load_runtime(RedisUser.PROXY)
                self._seen = seen
                self._said = ""
        except KeyError:
            self._say(f"{VARIABLE} is not in Kamailio's environment: nothing is reported")
        except FileNotFoundError:
            if self._runtime is None:
                self._say("siprec run has not started yet: nothing is reported until it has")
        except (OSError, RecordError) as error:
            self._say(f"{VARIABLE}: {error}")

    def _say(self, text: str) -> None:
        """Log once what is wrong."""
        if text != self._said:
            ksr.log("warning", f"siprec plug-in: {text}")
            self._said = text
