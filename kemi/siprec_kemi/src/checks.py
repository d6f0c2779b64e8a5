"""What health checks of recorders ask, and what people are told of them."""

from collections.abc import Callable, Iterable

from siprec.alerts import About, AlertLevel
from siprec.connector import Connector
from siprec.health import DAY_MS, SrsHealth, key_in
from siprec.recorder import Recorder
from siprec.sids import shard_of_call_id
from siprec.srs_uri import parse_srs_uri
from siprec.store import Store
from siprec.tls_profile import tls_profile
from siprec_kemi.clock import now_ms
from siprec_kemi.src.health_watch import Done, HealthWatch
from siprec_kemi.src.own_certificates import OwnCertificates
from siprec_kemi.src.probes import Probes
from siprec_kemi.src.tls_peers import TlsPeers, TlsRoute

UNREACHABLE = 32011
NOT_SECURE = 32209


class Checks:
    """The questions and the alerts of a `HealthWatch`."""

    def __init__(self, probes: Probes, tls: TlsPeers, recorder: Recorder) -> None:
        self._probes = probes
        self._tls = tls
        self._recorder = recorder

    def watch(self, store: Store, owns: Callable[[int], bool]) -> HealthWatch:
        """Make what asks and tells this of the SRSs whose shard `owns` says is ours."""
        return HealthWatch(
            store,
            owns=owns,
            ask=self.ask,
            on_change=self.changed,
            on_expiring=self.expiring,
            on_list=OwnCertificates(owns=owns, tell=self.own_expiring).look,
        )

    def ask(self, connector: Connector, srs_uri: str, done: Done) -> None:
        """Ask an SRS with OPTIONS; over TLS its certificate must be right as well."""
        target = parse_srs_uri(srs_uri)

        def proved(way: TlsRoute | None, why: str) -> None:
            until_ms = None if way is None else way.certificate_until_ms
            done(way is not None, why, until_ms)

        if target.transport == "tls":
            self._tls.check(target, tls_profile(connector).name, proved)
        else:
            self._probes.ask(target, "", lambda seen: done(seen.answered, seen.text, None))

    def changed(self, connector: Connector, srs_uri: str, health: SrsHealth) -> None:
        """Tell that an SRS ceased to answer, or answers again."""
        text = f"the SRS {srs_uri} does not answer health checks: {health.text}"
        if health.reachable:
            text = f"the SRS {srs_uri} answers health checks again"
        self._tell(connector, srs_uri, UNREACHABLE, text)

    def expiring(self, connector: Connector, srs_uri: str, until_ms: int) -> None:
        """Tell that the certificate of an SRS ends soon."""
        days = max(0, until_ms - now_ms()) // DAY_MS
        text = f"the certificate of the SRS {srs_uri} expires in {days} days"
        self._tell(connector, srs_uri, NOT_SECURE, text)

    def own_expiring(self, connector: Connector, sentences: Iterable[str]) -> None:
        """Tell that certificates which a connector holds end soon."""
        text = f"certificates of the connector {connector.name}: {'; '.join(sentences)}"
        self._tell(connector, connector.srs[0].uri, NOT_SECURE, text)

    def _tell(self, connector: Connector, srs_uri: str, code: int, text: str) -> None:
        self._recorder.tell(
            shard_of_call_id(key_in(connector, srs_uri)),
            About(account_sid=connector.account_sid, connector_name=connector.name, srs=srs_uri),
            code,
            text,
            AlertLevel.WARNING,
            now_ms(),
        )
