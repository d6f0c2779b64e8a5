"""A stack, two recorders and a callee that always answers: calls with speech, and their parts."""

import itertools
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from siprec.alerts import Alert
from siprec.connector import Connector, ParametersIn, Srs
from siprec.model import Call, Stream, StreamState
from tests.scenarios.polling import WITHIN_S, poll
from tests.scenarios.rig import Rig
from tests.scenarios.sipp import SCENARIOS, Sipp
from tests.scenarios.sounds import frames
from tests.scenarios.srs import ReferenceSrs, Session
from tests.scenarios.stack import Settings

CALLER_SOUND = frames("caller")
CALLEE_SOUND = frames("callee")

# Longer than any run of the tests.
_LONG_S = 7200


class SpokenCall:
    """One call of sipp-scenarios/speech to a number of its own. It ends with `hang_up`."""

    def __init__(self, studio: "Studio", number: str, caller: Sipp) -> None:
        self._studio = studio
        self._number = number
        self.caller = caller

    def call(self) -> Call:
        """Wait until a controller knows a call that can be recorded, or is over, and give it."""
        store = self._studio.stack.store

        def find() -> Call | None:
            calls = store.calls(live_only=False)
            found = next((call for call in calls if call.number == self._number), None)
            return found if found and (found.has_media or found.ended_ms) else None

        return poll(find, why=lambda: f"no call to {self._number}: {self.caller.errors}")

    def streams(self) -> list[Stream]:
        """Give the streams of the call, oldest first."""
        return self._studio.stack.store.streams(self.call().sid)[::-1]

    def stream(self, name: str, *states: StreamState, timeout_s: float = WITHIN_S) -> Stream:
        """Wait until the newest stream of that name is in one of these states, and give it."""

        def find() -> Stream | None:
            named = [stream for stream in self.streams() if stream.order.name == name]
            return named[-1] if named and named[-1].state in states else None

        return poll(find, timeout_s, why=lambda: f"{name} of {self.streams()}")

    def recording(self, name: str) -> Stream:
        """Wait until the stream records."""
        return self.stream(name, StreamState.RECORDING)

    def alerts(self) -> list[Alert]:
        """Give the alerts about this call, oldest first."""
        sid = self.call().sid
        return [a for a in self._studio.stack.store.alerts(1000) if a.call_sid == sid][::-1]

    def hang_up(self) -> Call:
        """Let the caller hang up, and wait until the call and all its streams are over."""
        self.caller.tell(self.call().sip_call_id)
        self.caller.done()
        poll(lambda: self.call().ended_ms, why=lambda: str(self.call()))
        poll(lambda: all(s.state.is_final for s in self.streams()), why=lambda: str(self.streams()))
        return self.call()


class Studio:
    """Connectors: `Default` and `Second`, and `Both`, `Headers` and `Metadata` by parameters."""

    def __init__(self, folder: Path, *, settings: Settings | None = None) -> None:
        self._numbers = itertools.count(1)
        self._opened = ExitStack()
        with ExitStack() as opened:
            self.rig = opened.enter_context(Rig(folder))
            # The ends of many calls take theirs from the same block of ports.
            self.stack = self.rig.stack(rtp_ports=300, settings=settings)
            self.srs = self.rig.srs()
            self.second = self.rig.srs()
            self.callee = self.rig.sipp(
                "speech/callee.xml",
                port=self.stack.gateway_port,
                calls=1_000_000,
                timeout_s=_LONG_S,
                sounds={"callee.alaw": CALLEE_SOUND},
            )
            self.connect("Default", self.srs)
            self.connect("Second", self.second)
            for where in ParametersIn:
                self.connect(where.value.capitalize(), self.srs, where)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def connect(
        self, name: str, srs: ReferenceSrs, parameters: ParametersIn = ParametersIn.BOTH
    ) -> None:
        """Set a connector."""
        account_sid = self.stack.runtime.settings.account.sid
        assert account_sid
        self.stack.store.put_connector(
            Connector(
                account_sid=account_sid, name=name, srs=(Srs(uri=srs.uri),), parameters=parameters
            )
        )

    def number(self, case: str | None) -> str:
        """Give a number that no test used before, with the document of that case, if any."""
        number = f"+1777{next(self._numbers):07}"
        if case is not None:
            document = str(SCENARIOS / case / "document.xml")
            self.stack.cli("number", "set", number, "--twiml", document)
        return number

    def call(
        self, case: str | None, *, caller_name: str = "Ann", callee_name: str = "Bob"
    ) -> SpokenCall:
        """Place a call to a fresh number with the document of a case; it lasts a minute at most."""
        number = self.number(case)
        caller = self.rig.sipp(
            "speech/caller.xml",
            port=self.stack.ports.take(),
            remote=self.stack.proxy,
            service=number,
            keys={"caller_name": caller_name, "callee_name": callee_name},
            sounds={"caller.alaw": CALLER_SOUND},
            more=("-recv_timeout", "50000"),
        )
        return SpokenCall(self, number, caller)

    def session(
        self, stream: Stream, srs: ReferenceSrs | None = None, *, stragglers: int = 0
    ) -> Session:
        """Wait for the end of a stream's session, and hold it to what every one must be.

        `stragglers`: so many packets of a track may come after BYE.
        """
        found = self.over(stream, srs)
        assert found.ended_by == "src-bye"
        assert found.problems == []
        assert found.metadata_errors == []
        assert all(track.summary["agrees"] is not False for track in found.tracks)
        counts = [(t.packets_before_answer, t.packets_after_bye, t.lost) for t in found.tracks]
        assert all((b, n) == (0, 0) and after <= stragglers for b, after, n in counts), counts
        return found

    def over(self, stream: Stream, srs: ReferenceSrs | None = None) -> Session:
        """Wait for the end of a stream's session, however it ends."""
        recorder = srs or self.srs

        def find() -> Session | None:
            session = recorder.session_of(stream.sid)
            return session if session is not None and session.is_over else None

        return poll(find, why=lambda: f"{stream.sid} in {recorder.sessions()}")

    def hear(self, stream: Stream, seconds: float, srs: ReferenceSrs | None = None) -> None:
        """Wait until the SRS has so much sound of every track of the stream."""
        recorder = srs or self.srs

        def has_sound() -> bool:
            session = recorder.session_of(stream.sid)
            return session is not None and all(
                track.seconds_so_far >= seconds for track in session.tracks
            )

        poll(has_sound, why=lambda: f"{stream.sid} in {recorder.sessions()}")
