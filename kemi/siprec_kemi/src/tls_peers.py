"""Ways to recorders over TLS: each is proved by a probe before any key or metadata is sent."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from siprec.certificates import CertificateError, check_certificate, expires_ms
from siprec.srs_uri import SrsUri
from siprec_kemi.clock import monotonic_s, now_ms
from siprec_kemi.src.addresses import Address, Addresses, NoSocket
from siprec_kemi.src.probes import ProbeResult, Probes
from siprec_kemi.src.resolver import Target

# How long a new profile may take to reach the TLS proxies, and how often we look.
LOADED_WITHIN_S = 5.0
LOOK_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsRoute:
    """A proved way: `route` is the Route header's value for INVITE, by `address.inside`.

    `target` is the recorder's address, `address` ours. The peer's certificate ends at
    `certificate_until_ms`.
    """

    route: str
    target: Target
    address: Address
    certificate_until_ms: int


Done = Callable[[TlsRoute | None, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Peer:
    """What may share a connection: the same recorder, from the same edge, by one profile."""

    host: str
    port: int | None
    edge: str | None
    profile: str


@dataclass(slots=True, kw_only=True)
class _Question:
    uri: SrsUri
    until_s: float
    is_probing: bool = False
    waiting: list[Done] = field(default_factory=list)


class _NotProvedError(Exception):
    """A probe has shown no way. `str()` says why."""


class TlsPeers:
    """Keeps proved ways to recorders, and finds new ones.

    loaded: `Runtime.tls_loaded`, the file with the names of the profiles that the TLS proxies
    know. One for each controller: ways are cheap.
    """

    def __init__(self, *, addresses: Addresses, probes: Probes, loaded: str) -> None:
        self._addresses = addresses
        self._probes = probes
        self._loaded = _LoadedProfiles(Path(loaded)) if loaded else None
        self._kept: dict[_Peer, TlsRoute] = {}
        self._asked: dict[_Peer, _Question] = {}

    def route(self, uri: SrsUri, profile_name: str, done: Done) -> None:
        """Call `done(route, "")`, or `done(None, why)`: then nothing may be sent to this recorder.

        At once when a way is known. It holds until `forget`, or until the certificate expires.
        """
        kept = self._kept.get(_peer(uri, profile_name))
        if kept is not None and now_ms() < kept.certificate_until_ms:
            done(kept, "")
            return
        self.check(uri, profile_name, done)

    def check(self, uri: SrsUri, profile_name: str, done: Done) -> None:
        """Probe a recorder even if a way is known, and keep or forget the way accordingly."""
        peer = _peer(uri, profile_name)
        question = self._asked.get(peer)
        if question is not None:
            question.waiting.append(done)
            return
        if self._loaded is None:
            done(None, "this node has no TLS proxy")
            return
        question = _Question(uri=uri, until_s=monotonic_s() + LOADED_WITHIN_S, waiting=[done])
        self._asked[peer] = question
        self._go_on(peer, question, self._loaded)

    def forget(self, uri: SrsUri, profile_name: str) -> None:
        """Forget a way that led nowhere (430 Flow Failed)."""
        self._kept.pop(_peer(uri, profile_name), None)

    def next_due_s(self) -> float | None:
        """Tell when `care` has something to do, on the monotonic clock."""
        if all(question.is_probing for question in self._asked.values()):
            return None
        return monotonic_s() + LOOK_S

    def care(self) -> None:
        """See whether profiles that are waited for have been loaded. Called each turn."""
        if self._loaded is None:
            return
        for peer, question in list(self._asked.items()):
            if not question.is_probing:
                self._go_on(peer, question, self._loaded)

    def _go_on(self, peer: _Peer, question: _Question, loaded: "_LoadedProfiles") -> None:
        if loaded.has(peer.profile):
            question.is_probing = True
            self._probes.ask(question.uri, peer.profile, lambda seen: self._judge(peer, seen))
        elif monotonic_s() >= question.until_s:
            why = f"the TLS proxy has not loaded profile {peer.profile}"
            self._finish(peer, None, f"{why} within {LOADED_WITHIN_S:g} s")

    def _judge(self, peer: _Peer, result: ProbeResult) -> None:
        try:
            way = self._prove(peer, result)
        except (_NotProvedError, CertificateError, NoSocket) as error:
            self._kept.pop(peer, None)
            self._finish(peer, None, str(error))
            return
        self._kept[peer] = way
        self._finish(peer, way, "")

    def _prove(self, peer: _Peer, result: ProbeResult) -> TlsRoute:
        tls, target = result.tls, result.target
        if tls is None or target is None:
            raise _NotProvedError(result.text)
        if not tls.verified or not tls.route:
            raise _NotProvedError(f"certificate of {peer.host} was not verified")
        check_certificate(tls.certificate, peer.host, now_ms())
        return TlsRoute(
            route=tls.route,
            target=target,
            address=self._addresses.toward(target.ip, target.transport, peer.edge),
            certificate_until_ms=expires_ms(tls.certificate),
        )

    def _finish(self, peer: _Peer, way: TlsRoute | None, why: str) -> None:
        for done in self._asked.pop(peer).waiting:
            done(way, why)


class _LoadedProfiles:
    """The names in a file that is replaced as a whole when they change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._names: frozenset[str] = frozenset()

    def has(self, name: str) -> bool:
        """Tell whether a name stands in the file now."""
        try:
            status = self._path.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                self._names = frozenset(self._path.read_text("utf-8").split())
                self._seen = seen
        except OSError:
            # No TLS proxy has started yet, or not again.
            return False
        return name in self._names


def _peer(uri: SrsUri, profile: str) -> _Peer:
    return _Peer(host=uri.host.lower(), port=uri.port, edge=uri.edge, profile=profile)
