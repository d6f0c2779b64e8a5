"""A stage with TLS proxies, two edges, and certificates that recorders and connectors use."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from siprec.model import Stream
from tests.scenarios.phone import Phone, answer
from tests.scenarios.ports import PortBlock
from tests.scenarios.srs import ReferenceSrs
from tests.scenarios.stack import Settings
from tests.scenarios.stage import Stage, dial
from tests.scenarios.trial_ca import TrialCa

EDGES = {"a": "127.0.0.2", "b": "127.0.0.3"}


class SecureStage(Stage):
    """As `Stage`; `ca` is what its secure recorders are checked against."""

    def __init__(self, folder: Path) -> None:
        self.ca = TrialCa(folder / "ca")
        self._ports = PortBlock(10)
        self.edge_port = self._ports.take()
        self.edge_tls_port = self._ports.take()
        settings: dict[str, dict[str, object]] = {
            "routing": {"gateway": None},
            "rtpengine": {"interface": "127.0.0.1"},
            # As many streams as a test likes.
            "limits": {"tracks_per_call": 40},
        }
        for name, host in EDGES.items():
            settings[f"edges.{name}"] = self._edge(host)
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

    def secure_recorder(self, *switches: str, certificate: str = "server") -> ReferenceSrs:
        """Start an SRS that listens on TLS, with a certificate of the CA's folder."""
        return self.recorder_alone(*self.ca.listen(certificate), *switches)

    def secure_connector(self, *uris: str, options: Iterable[str] = ()) -> str:
        """Set a connector that trusts the CA; give a `<Start>` of a stream to it."""
        return self.connect(*uris, options=[*self.ca.trust(), *options])

    def begin(self, *starts: str) -> tuple[Phone, Phone]:
        """Let two phones be in a call that runs these verbs."""
        caller, callee = self.pair()
        caller.invite(self.number(*starts, dial(callee)))
        answer(caller, callee)
        return caller, callee

    def stream(self, phone: Phone, start: str) -> Stream | None:
        """Give the stream that a `<Start>` of ours began."""
        return next((s for s in self.streams(phone) if f'name="{s.order.name}"' in start), None)
