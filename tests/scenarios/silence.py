"""What a pause is held to: both sides talk all the time, and each packet has a number."""

from collections.abc import Sequence
from dataclasses import dataclass

from siprec.model import Stream, StreamState
from tests.scenarios.polling import poll
from tests.scenarios.srs import Session
from tests.scenarios.stage import Stage
from tests.scenarios.talk import Talk, numbers_in

Sent = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Silence:
    """What was sent while a pause was in force: packets of caller and callee from, and up to."""

    begin: Sent
    end: Sent

    def is_in(self, session: Session, labels: Sequence[str] = ("1", "2")) -> bool:
        """Tell whether the SRS has none of it, but all that was sent well before."""
        for label in labels:
            heard = numbers_in(session.track(label).raw)
            side = int(label) - 1
            assert self.begin[side] + 10 <= self.end[side]
            assert not [n for n in heard if self.begin[side] <= n < self.end[side]]
        return True


def has_from(session: Session, since: Sent, talking: Talk) -> bool:
    """Tell whether the SRS has each packet from there to the end of the call."""
    for side, track in enumerate(session.tracks):
        heard = numbers_in(track.raw)
        assert heard == sorted(set(heard))
        assert heard[heard.index(since[side]) :] == list(range(since[side], talking.sent[side]))
    return True


def pause(stage: Stage, stream: Stream, talking: Talk, *options: str) -> Sent:
    """Pause until it is so; give the packets that are sent next."""
    stage.stack.cli("stream", "pause", stream.sid, "--wait", *options)
    return talking.sent


def resume(stage: Stage, stream: Stream, talking: Talk, *options: str) -> tuple[Sent, Sent]:
    """Resume until it is so; give what is sent next before and after that."""
    before = talking.sent
    stage.stack.cli("stream", "resume", stream.sid, "--wait", *options)
    return before, talking.sent


def state_of(stage: Stage, stream: Stream) -> StreamState:
    found = stage.stack.store.stream(stream.sid)
    assert found is not None
    return found.state


def wait_agreed(stage: Stage, stream: Stream, *labels: str, number: int = 1) -> None:
    """Wait until the SRS of a leg has agreed that these are inactive, and nothing is open."""

    def is_agreed() -> bool:
        found = stage.stack.store.stream(stream.sid)
        leg = None if found is None else found.leg(number)
        return leg is not None and (leg.muted, leg.asked) == (labels, None)

    poll(is_agreed, why=lambda: f"{stage.stack.store.stream(stream.sid)}\n{stage.stack.log}")


def hold_to_good_behaviour(session: Session, directions: dict[str, list[str]]) -> None:
    """Check what an SRS wants of a session that was paused: directions, metadata, versions."""
    assert session.ended_by == "src-bye"
    assert session.problems == []
    assert session.metadata_errors == []
    assert all(each["valid"] for each in session.summary["metadata"])
    for label, expected in directions.items():
        track = session.track(label)
        assert [direction for _, direction in track.summary["directions"]] == expected
        assert track.summary["packets_while_inactive"] == 0
