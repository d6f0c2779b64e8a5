"""Recorders that die while they record: OPTIONS unanswered, and no RTCP. Then others take over."""

from functools import partial

from siprec import events as e
from siprec.health import SrsHealth, srs_key
from siprec.model import StreamState
from siprec.recorder import Recorder
from siprec_kemi.clock import monotonic_s, now_ms
from siprec_kemi.src.forks import Forks, LastHeard
from siprec_kemi.src.pools import Pools

TURN_S = 1.0
ASK_AGAIN_S = 3.0
# RTCP comes every 5 s or so (RFC 3550 §6.2), now and then after 7.5 s.
RTCP_SILENT_MS = 12_000
# Spread: so many questions to rtpengine in a turn at most.
AT_ONCE = 100


class Deaths:
    """Looks after the legs whose SRS does not answer its health checks."""

    def __init__(self, pools: Pools, recorder: Recorder, forks: Forks) -> None:
        self._pools = pools
        self._recorder = recorder
        self._forks = forks
        self._ask_s: dict[tuple[str, int], float] = {}
        self.due_s = 0.0

    def care(self) -> None:
        """Ask rtpengine whether an SRS that seems dead still sends RTCP."""
        now = monotonic_s()
        if now < self.due_s:
            return
        self.due_s = now + TURN_S
        lost = {health.key: health for health in self._pools.lost()}
        if not lost:
            self._ask_s.clear()
            return
        left = AT_ONCE
        for file in self._recorder.live_calls():
            for stream in file.streams.values():
                for leg in stream.legs:
                    name = (stream.sid, leg.number)
                    key = srs_key(stream.account_sid, stream.order.connector_name, leg.srs)
                    is_due = now >= self._ask_s.get(name, 0.0)
                    if key not in lost or leg.state is not StreamState.RECORDING or not is_due:
                        continue
                    if left == 0:
                        return
                    left -= 1
                    self._ask_s[name] = now + ASK_AGAIN_S
                    heard = partial(self._heard, stream.sid, leg.number, lost[key])
                    self._forks.when_heard(file.call, leg, heard)

    def _heard(self, sid: str, number: int, health: SrsHealth, last_ms: LastHeard) -> None:
        stream = self._recorder.stream(sid)
        leg = None if stream is None else stream.leg(number)
        at_ms = now_ms()
        if leg is None or leg.recording_ms is None or leg.recording_ms >= health.checked_ms:
            return
        if last_ms is not None and at_ms - last_ms < RTCP_SILENT_MS:
            # Before that nothing can be said.
            left_s = (last_ms + RTCP_SILENT_MS - at_ms) / 1000
            self._ask_s[sid, number] = monotonic_s() + left_s
            return
        # It recorded at least as long as it showed life, and from its own beginning on.
        since_ms = max(last_ms or 0, min(health.answered_ms, at_ms), leg.recording_ms)
        text = f"{health.text or 'OPTIONS is not answered'}, and no RTCP comes"
        event = e.SrsDied(text=text, since_ms=since_ms)
        self._recorder.happen_to_leg(sid, number, event, at_ms)
