"""A call in a real rtpengine, a stream of it, and what its forks made happen."""

from dataclasses import replace

from siprec import events as e
from siprec.model import Leg, Stream, StreamState
from siprec_kemi.src.forks import Forks, Media
from tests.kemi.recording import NgLoop, call_of
from tests.rtpengine.media import AnsweredCall, RtpEndpoint, recorder_answer
from tests.siprec.streams import NOW_MS, STREAM_SID, stream_in


class Rig:
    """A call in rtpengine, a stream of it, and what its forks made happen."""

    def __init__(self, media: AnsweredCall) -> None:
        self.media = media
        self.call = call_of(media, NOW_MS)
        self.stream: Stream | None = stream_in(StreamState.FORKING)
        self.events: list[e.LegEvent] = []
        self.ended: list[tuple[str, str]] = []
        self.heard: list[int | None] = []
        self.loop = NgLoop()
        self.forks = Forks(
            stream_of=lambda sid: self.stream if sid == STREAM_SID else None,
            happen=self._happen,
            end_call=lambda sid, reason: self.ended.append((sid, reason)),
            register=self.loop.sockets.append,
        )

    def _happen(self, sid: str, leg: int, event: e.LegEvent) -> None:
        assert (sid, leg) == (STREAM_SID, 1)
        self.events.append(event)

    @property
    def leg(self) -> Leg:
        assert self.stream is not None
        return self.stream.legs[0]

    def change(self, **changes: object) -> None:
        """Change the leg."""
        assert self.stream is not None
        leg = replace(self.leg, **changes)  # type: ignore[arg-type]
        self.stream = replace(self.stream, legs=(leg,))

    def request(self, media: Media | None = None) -> e.LegEvent:
        """Ask for the fork, and give what comes of it."""
        assert self.stream is not None
        self.forks.request(self.call, self.stream, self.leg, media or Media())
        return self.next()

    def next(self) -> e.LegEvent:
        """Wait for the next event."""
        self.loop.until(self.forks, lambda: self.events)
        return self.events.pop(0)

    def fork(self, *recorders: RtpEndpoint) -> str:
        """Let the fork flow; give the SDP that was offered."""
        offered = self.request()
        assert isinstance(offered, e.ForkOffered)
        self.change(answer=recorder_answer(*recorders), state=StreamState.RECORDING)
        assert self.stream is not None
        self.forks.answer(self.call, self.stream, self.leg)
        assert self.next() == e.ForkAnswered()
        return offered.offer.sdp

    def when_heard(self) -> int | None:
        """Ask when the SRS was last heard."""
        self.heard.clear()
        self.forks.when_heard(self.call, self.leg, self.heard.append)
        self.loop.until(self.forks, lambda: self.heard)
        return self.heard[0]

    def settle(self) -> None:
        """Wait until all that was asked before is answered: rtpengine goes in order."""
        done: list[int | None] = []
        self.forks.when_heard(self.call, self.leg, done.append)
        self.loop.until(self.forks, lambda: done)

    def audit(self) -> None:
        """Ask after the call and its forks."""
        self.forks.audit(self.call, [self.stream] if self.stream else [])
