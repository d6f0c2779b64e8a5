"""A stage with TLS proxies, two edges, and certificates that recorders and connectors use."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

from siprec.model import Stream, StreamState
from siprec.settings import LogLevel
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.ports import PortBlock
from tests.scenarios.secure_phone import SecurePhone
from tests.scenarios.srs import ReferenceSrs, Session
from tests.scenarios.stage import Stage, dial
from tests.scenarios.talk import Talk
from tests.scenarios.trial_ca import TrialCa

EDGES = {"a": "127.0.0.2", "b": "127.0.0.3"}
# What the edge `nat` shows of itself: for signalling, for media.
ADVERTISED = ("127.88.0.1", "127.88.0.2")


class SecureStage(Stage):
    """As `Stage`; `ca` is what its secure recorders are checked against."""

    def __init__(self, folder: Path, *, log_level: LogLevel = LogLevel.INFO) -> None:
        self.ca = TrialCa(folder / "ca", "--days", "90")
        self._ports = PortBlock(10)
        self.edge_port = self._ports.take()
        self.edge_tls_port = self._ports.take()
        settings: dict[str, dict[str, object]] = {
            "routing": {"gateway": None},
            "rtpengine": {"interface": "127.0.0.1"},
            # What recorders see that open a connection to us.
            "tls": {
                "certificate": self.ca.file("server.pem"),
                "private_key": self.ca.file("server.key"),
            },
            # As many streams as a test likes.
            "limits": {"tracks_per_call": 40},
            "log": {"level": log_level.value},
        }
        for name, host in EDGES.items():
            settings[f"edges.{name}"] = self._edge(host)
        settings["edges.nat"] = {
            "listen": [f"tcp:127.0.0.4:{self.edge_port}"],
            "advertise": ADVERTISED[0],
            "media": f"127.0.0.4!{ADVERTISED[1]}",
        }
        try:
            super().__init__(folder, settings=settings, tls=True)
        except BaseException:
            self._ports.close()
            raise

    def _edge(self, host: str) -> dict[str, object]:
        plain = [f"{kind}:{host}:{self.edge_port}" for kind in ("udp", "tcp")]
        return {"listen": [*plain, f"tls:{host}:{self.edge_tls_port}"], "media": host}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self._ports.close()

    def free_ports(self, count: int) -> list[int]:
        """Give ports in a row that nobody else uses."""
        first, last = self._ports.take_range(count)
        return list(range(first, last + 1))

    def secure_recorder(self, *switches: str, certificate: str = "server") -> ReferenceSrs:
        """Start an SRS that listens on TLS, with a certificate of the CA's folder."""
        return self.recorder_alone(*self.ca.listen(certificate), *switches)

    def secure_connector(self, *uris: str, options: Iterable[str] = ()) -> str:
        """Set a connector that trusts the CA; give a `<Start>` of a stream to it."""
        return self.connect(*uris, options=[*self.ca.trust(), *options])

    def secure_phone(self, name: str) -> SecurePhone:
        """Make a phone with SRTP that lives as long as the stage."""
        return self._open.enter_context(SecurePhone(name, self.proxy))

    def begin(self, *starts: str) -> tuple[Phone, Phone]:
        """Let two phones be in a call that runs these verbs."""
        caller, callee = self.pair()
        caller.invite(self.number(*starts, dial(callee)))
        answer(caller, callee)
        return caller, callee

    def wait_streams(self, phone: Phone, state: StreamState, count: int) -> list[Stream]:
        """Wait until the phone's call has so many streams, and all are in a state; oldest first."""
        poll(
            lambda: [stream.state for stream in self.streams(phone)] == [state] * count,
            20,
            why=lambda: f"{self.streams(phone)}\n{self.stack.log}",
        )
        return self.streams(phone)[::-1]

    def record(self, starts: Sequence[str], recorders: Sequence[ReferenceSrs]) -> list[Session]:
        """Record a call from its answer to its end; each recorder has it byte by byte."""
        caller, callee = self.begin(*starts)
        with Talk(caller, callee) as talking:
            streams = self.wait_streams(caller, StreamState.RECORDING, len(starts))
            talking.go_on()
        assert talking.lost == ([], [])
        hang_up(caller, callee)
        self.wait_streams(caller, StreamState.STOPPED, len(starts))
        sessions = [
            self.wait_session(stream, srs) for stream, srs in zip(streams, recorders, strict=True)
        ]
        for session in sessions:
            assert session.ended_by == "src-bye"
            assert session.problems == session.metadata_errors == []
            talking.missing([track.raw for track in session.tracks])
        self.wait_call_over(caller)
        assert self.alerts(caller) == []
        return sessions
