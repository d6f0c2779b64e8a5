"""A stack with a recorder, and what tests of calls ask of both."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from rtpengine_ng.client import ask
from rtpengine_ng.errors import NgRefused
from rtpengine_ng.messages import query
from siprec.alerts import Alert
from siprec.model import Call, Stream, StreamState
from tests.scenarios.phone import Phone
from tests.scenarios.polling import WITHIN_S, poll
from tests.scenarios.srs import ReferenceSrs, Session
from tests.scenarios.stack import Settings, Stack
from tests.scenarios.wire import Address

RECORD = '<Start><Siprec name="all"/></Start>'


def dial(*phones: Phone, timeout_s: int | None = None) -> str:
    """Write a `<Dial>` that rings phones together."""
    timeout = "" if timeout_s is None else f' timeout="{timeout_s}"'
    targets = "".join(f"<Sip>{phone.contact}</Sip>" for phone in phones)
    return f"<Dial{timeout}>{targets}</Dial>"


class Stage:
    """A stack and the SRS of its connector `Default`; phones close with it. Use it with `with`."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: Settings | None = None,
        tls: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._open = ExitStack()
        self._numbers = itertools.count(100)
        self._errors_seen = 0
        with ExitStack() as opened:
            self.srs = opened.enter_context(ReferenceSrs(folder / "srs"))
            self.stack = opened.enter_context(
                Stack(
                    folder / "stack",
                    settings=settings,
                    ipv6=True,
                    tls=tls,
                    environment=environment,
                )
            )
            self.stack.cli("connector", "set", "Default", "--srs", self.srs.uri)
            self._open = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, trace)

    @property
    def proxy(self) -> Address:
        """Give the address of the proxy role."""
        return "127.0.0.1", self.stack.sip_port

    def phone(
        self,
        name: str,
        *,
        transport: str = "udp",
        host: str = "127.0.0.1",
        claims: str | None = None,
    ) -> Phone:
        """Make a phone that lives as long as the stage."""
        proxy = ("::1" if ":" in host else "127.0.0.1", self.stack.sip_port)
        made = Phone(name, proxy, transport=transport, host=host, claims=claims)
        return self._open.enter_context(made)

    def pair(self) -> tuple[Phone, Phone]:
        """Make a caller and a callee."""
        return self.phone("alice"), self.phone("bob")

    def recorder(self, *switches: str) -> tuple[ReferenceSrs, str]:
        """Start an SRS with switches; give it and a `<Start>` of a stream to it."""
        srs = self.recorder_alone(*switches)
        return srs, self.connect(srs.uri)

    def recorder_alone(self, *switches: str, listen: str = "127.0.0.1:0") -> ReferenceSrs:
        """Start an SRS with switches, without a connector."""
        folder = self._folder / f"srs-{next(self._numbers)}"
        return self._open.enter_context(ReferenceSrs(folder, *switches, listen=listen))

    def connect(self, *uris: str, options: Iterable[str] = ()) -> str:
        """Set a new connector with options; give a `<Start>` of a stream to it."""
        name = f"C{next(self._numbers)}"
        srs = [word for uri in uris for word in ("--srs", uri)]
        self.stack.cli("connector", "set", name, *srs, *options)
        return f'<Start><Siprec name="{name}" connectorName="{name}"/></Start>'

    def number(self, *verbs: str) -> str:
        """Give a number that no test used before, with a document of these verbs."""
        number = f"7{next(self._numbers)}"
        self.stack.set_number(number, *verbs)
        return number

    # What became of a call

    def call(self, phone: Phone) -> Call | None:
        """Give the call that the phone is, or was, in."""
        calls = self.stack.store.calls(live_only=False)
        return next((call for call in calls if call.sip_call_id == phone.call_id), None)

    def wait_call(self, phone: Phone) -> Call:
        """Wait until the controllers know that the phone's call has media, or is over."""

        def found() -> Call | None:
            call = self.call(phone)
            return call if call and (call.has_media or call.ended_ms) else None

        return poll(found, why=lambda: f"{self.call(phone)}")

    def wait_ringing(self, phone: Phone) -> Call:
        """Wait until the controllers know that the phone's call rings, or more."""
        return poll(lambda: self.call(phone), why="no such call")

    def wait_call_over(self, phone: Phone) -> Call:
        """Wait for the end of the phone's call, and that rtpengine has forgotten it."""

        def over() -> Call | None:
            call = self.call(phone)
            return None if call is None or call.is_live else call

        call = poll(over, why=lambda: f"{self.call(phone)}")
        assert call is not None
        poll(lambda: not self.is_anchored(phone), why="rtpengine still has the call")
        return call

    def streams(self, phone: Phone) -> list[Stream]:
        """Give the streams of the phone's call."""
        call = self.call(phone)
        return [] if call is None else self.stack.store.streams(call.sid)

    def wait_stream(self, phone: Phone, *states: StreamState, within_s: float = WITHIN_S) -> Stream:
        """Wait until the only stream of the phone's call is in one of the states."""

        def reached() -> Stream | None:
            return next((s for s in self.streams(phone) if s.state in states), None)

        found = poll(reached, within_s, why=lambda: f"{self.streams(phone)}\n{self.stack.log}")
        assert found is not None
        return found

    def wait_recording(self, phone: Phone) -> Stream:
        """Wait until the phone's call is being recorded."""
        return self.wait_stream(phone, StreamState.RECORDING)

    def wait_recorded(self, phone: Phone, *, srs: ReferenceSrs | None = None) -> Session:
        """Wait until the stream has stopped, without an error, and the SRS has its BYE."""
        stream = self.wait_stream(phone, StreamState.STOPPED)
        session = self.wait_session(stream, srs)
        assert session.ended_by == "src-bye"
        assert session.problems == []
        assert session.metadata_errors == []
        return session

    def wait_session(self, stream: Stream, srs: ReferenceSrs | None = None) -> Session:
        """Wait until the session of a stream is over at the SRS."""

        def over() -> Session | None:
            session = (srs or self.srs).session_of(stream.sid)
            return session if session is not None and session.is_over else None

        session = poll(over, why=lambda: (srs or self.srs).log)
        assert session is not None
        return session

    def alerts(self, phone: Phone) -> list[Alert]:
        """Give the alerts about the phone's call."""
        call = self.call(phone)
        return [a for a in self.stack.store.alerts(200) if call and a.call_sid == call.sid]

    def is_anchored(self, phone: Phone) -> bool:
        """Tell whether rtpengine knows the phone's call."""
        try:
            ask(self.stack.ng, query(phone.call_id, phone.tag), 2)
        except NgRefused:
            return False
        return True

    def logs(self) -> Iterator[tuple[str, str]]:
        """Give what the stack has written, with its name."""
        yield "stack", self.stack.log

    def new_errors(self) -> list[str]:
        """List the error lines of the stack's log that were not listed before."""
        errors = self.stack.errors()
        new, self._errors_seen = errors[self._errors_seen :], len(errors)
        return new
