"""The audit: rtpengine says nothing when a call's media is gone, so it is asked."""

import heapq

from siprec.recorder import Recorder
from siprec_kemi.clock import monotonic_s
from siprec_kemi.src.forks import Forks

EVERY_S = 20.0
TURN_S = 1.0
# Spread: so many questions in a turn at most.
AT_ONCE = 100


class Audit:
    """Asks after each live call every `EVERY_S`."""

    def __init__(self, forks: Forks, recorder: Recorder) -> None:
        self._forks = forks
        self._recorder = recorder
        self._due: list[tuple[float, str]] = []
        self._known: set[str] = set()
        self.due_s = 0.0

    def care(self) -> None:
        """Ask after the calls whose turn has come."""
        now = monotonic_s()
        if now < self.due_s:
            return
        self.due_s = now + TURN_S
        files = {file.call.sid: file for file in self._recorder.live_calls()}
        for sid in files.keys() - self._known:
            heapq.heappush(self._due, (now + EVERY_S, sid))
        self._known = set(files)
        self._forks.forget_audits(files)
        asked = 0
        while self._due and self._due[0][0] <= now and asked < AT_ONCE:
            _, sid = heapq.heappop(self._due)
            file = files.get(sid)
            if file is None:
                continue
            heapq.heappush(self._due, (now + EVERY_S, sid))
            if file.call.rtpengine and file.call.has_media and file.call.is_live:
                asked += 1
                self._forks.audit(file.call, file.streams.values())
