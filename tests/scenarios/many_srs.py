"""A stage for connectors with several recorders: TLS, names of its own, and calls with speech."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from siprec.alerts import AlertLevel
from siprec.model import Stream, StreamState
from tests.kemi.name_server import NameServer
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import WITHIN_S, poll
from tests.scenarios.srs import ReferenceSrs, Session
from tests.scenarios.stage import Stage, dial
from tests.scenarios.talk import Talk
from tests.scenarios.trial_ca import TrialCa


@dataclass(frozen=True, slots=True)
class Spoken:
    """A call with speech. What `talking` heard is known after the call."""

    caller: Phone
    callee: Phone
    talking: Talk


class ManySrsStage(Stage):
    """As `Stage`, with room for many streams in a call.

    `ca` made the certificates of secure recorders, in `names` the stack looks names up.
    """

    def __init__(self, folder: Path) -> None:
        self.ca = TrialCa(folder / "ca")
        self.names = NameServer()
        self.names.__enter__()
        try:
            super().__init__(
                folder,
                settings={"routing": {"gateway": None}, "limits": {"tracks_per_call": 64}},
                tls=True,
                environment={"SIPREC_NAMESERVER": self.names.address},
            )
        except BaseException:
            self.names.__exit__(None, None, None)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self.names.__exit__(None, None, None)

    @contextmanager
    def spoken_call(self, *starts: str) -> Iterator[Spoken]:
        """Let two phones talk in a call that runs these verbs; no packet of it may get lost.

        The caller hangs up at the end of the block. After it the call is over, and nothing of it
        is left at rtpengine.
        """
        caller, callee = self.pair()
        caller.invite(self.number(*starts, dial(callee)))
        answer(caller, callee)
        with Talk(caller, callee) as talking:
            yield Spoken(caller, callee, talking)
        assert talking.lost == ([], [])
        hang_up(caller, callee)
        assert self.wait_call_over(caller).end_reason == "bye"

    def mortal(self, *switches: str) -> "Mortal":
        """Start an SRS that a test can kill."""
        death = self._folder / f"death-{next(self._numbers)}"
        return Mortal(death, self.recorder_alone("--die-on", str(death), *switches))

    def stream(self, phone: Phone, start: str) -> Stream | None:
        """Give the stream that a `<Start>` of ours began."""
        return next((s for s in self.streams(phone) if f'name="{s.order.name}"' in start), None)

    def wait_leg(
        self,
        phone: Phone,
        start: str,
        number: int,
        *states: StreamState,
        within_s: float = WITHIN_S,
    ) -> Stream:
        """Wait until a leg of the stream that a `<Start>` began is in one of the states."""

        def reached() -> Stream | None:
            stream = self.stream(phone, start)
            leg = None if stream is None else stream.leg(number)
            return stream if leg is not None and leg.state in states else None

        return poll(reached, within_s, why=lambda: f"{self.streams(phone)}\n{self.stack.log}")

    def told(self, stream: Stream) -> list[tuple[int, AlertLevel, str]]:
        """Give the alerts about a stream, oldest first."""
        alerts = reversed(self.stack.store.alerts(500))
        return [(a.code, a.level, a.text) for a in alerts if a.stream_sid == stream.sid]

    def shown(self, stream: Stream) -> list[str]:
        """Give the lines of `siprec stream show`, with single spaces."""
        lines = self.stack.cli("stream", "show", stream.sid).stdout.splitlines()
        return [" ".join(line.split()) for line in lines]

    def has_all(self, srs: ReferenceSrs, stream: Stream, spoken: Spoken) -> tuple[int, int]:
        """Hold an SRS to its session of a stream: from its first packet on, it has all of a call.

        Give how many packets of caller and callee are missing before that.
        """
        session = self.wait_session(stream, srs)
        assert session.ended_by == "src-bye"
        assert session.problems == []
        assert has_one_valid_snapshot(session)
        return spoken.talking.missing([track.raw for track in session.tracks])


@dataclass(frozen=True, slots=True)
class Mortal:
    """An SRS that dies when the file `death` appears."""

    death: Path
    srs: ReferenceSrs

    @property
    def uri(self) -> str:
        """Give its URI."""
        return self.srs.uri

    def die(self) -> None:
        """Let it die without a word."""
        self.death.touch()
        poll(lambda: self.srs.process.poll() is not None)


def has_one_valid_snapshot(session: Session) -> bool:
    """Tell whether the INVITE brought complete, valid metadata."""
    (first, *_) = session.summary["metadata"]
    assert session.metadata_errors == []
    return (first["source"], first["datamode"], first["valid"]) == ("INVITE", "complete", True)
