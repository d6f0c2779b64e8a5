"""Recorders' names to addresses and ports (RFC 3263), in threads: nothing here waits for DNS.

/etc/hosts comes first: a name that stands there is taken from there, and has no SRV records.
Then, when the URI has no port, SRV; then A and AAAA. NAPTR is not asked for, for the transport
is always known (RFC 3263 §4.1).
"""

import ipaddress
import itertools
import os
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.rdata
import dns.resolver
import dns.rrset
from dns.rdtypes.IN.SRV import SRV

from siprec.srs_uri import SrsUri
from siprec_kemi.clock import monotonic_s
from siprec_kemi.src.addresses import IPV4, IPV6, Addresses, NoSocket

THREADS = 4
WITHIN_S = 3.0
# A name server that drops what it does not know must leave time for the addresses.
SRV_WITHIN_S = 1.5
TRY_S = 1.0
FRESH_MIN_S, FRESH_MAX_S = 5.0, 60.0
FAILED_S = 2.0
MAX_TARGETS = 8
HOSTS = Path("/etc/hosts")
# `HOST:PORT` of the name server to ask, instead of those of /etc/resolv.conf.
NAMESERVER = "SIPREC_NAMESERVER"

_SERVICES = {"tls": "_sips._tcp", "tcp": "_sip._tcp", "udp": "_sip._udp"}
_KINDS = {IPV4: "A", IPV6: "AAAA"}

# Importing after Kamailio has forked is risky, and dnspython would do it type by type.
dns.rdata.load_all_types()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request can go: an address in numbers, IPv6 without brackets."""

    ip: str
    port: int
    transport: str

    @property
    def host_port(self) -> str:
        """Give `IP:PORT`, IPv6 in brackets."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


Done = Callable[[tuple[Target, ...], str], None]


class LookupFailed(Exception):
    """A name leads nowhere. `str()` says why, without the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    host: str
    port: int | None
    default_port: int
    transport: str
    families: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the DNS says. `srv` None: there are no such records, or they were not asked for."""

    srv: dns.rrset.RRset | None = None
    ips: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fresh_s: float = FRESH_MIN_S


@dataclass(frozen=True, slots=True)
class _Known:
    found: _Found | None
    why: str
    until_s: float


class Resolver:
    """Looks up where recorders are, and keeps the answers for as long as they are good.

    `wake` is called from another thread when an answer waits for `deliver`. `addresses` tells
    which address families are of use (None: both).
    """

    def __init__(
        self,
        wake: Callable[[], None],
        addresses: Addresses | None = None,
        *,
        nameserver: str | None = None,
        hosts: Path = HOSTS,
    ) -> None:
        self._wake = wake
        self._addresses = addresses
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="dns")
        self._names = _Names(nameserver or os.environ.get(NAMESERVER, ""), hosts)
        self._known: dict[_Question, _Known] = {}
        self._asked: dict[_Question, list[Done]] = {}
        self._answers: deque[tuple[_Question, Future[_Found]]] = deque()

    def resolve(self, target: SrsUri, done: Done) -> None:
        """Call `done(targets, "")`, the best first, or `done((), why)`.

        At once when the answer is known, else from `deliver`. Recorders of the same priority
        are in another order each time, by their weights (RFC 2782).
        """
        if _is_numeric(target.host):
            port = target.port or target.default_port
            done((Target(target.host, port, target.transport),), "")
            return
        families: tuple[int, ...] = (IPV4, IPV6)
        if self._addresses is not None:
            try:
                families = self._addresses.families(target.transport, target.edge)
            except NoSocket as error:
                done((), str(error))
                return
        question = _Question(
            host=target.host.lower(),
            port=target.port,
            default_port=target.default_port,
            transport=target.transport,
            families=families,
        )
        self._ask(question, done)

    def _ask(self, question: _Question, done: Done) -> None:
        known = self._known.get(question)
        if known is not None and monotonic_s() < known.until_s:
            _tell(question, known, done)
            return
        waiting = self._asked.setdefault(question, [])
        waiting.append(done)
        if len(waiting) == 1:
            future = self._pool.submit(self._names.look_up, question)
            future.add_done_callback(lambda answer: self._note(question, answer))

    def _note(self, question: _Question, answer: Future[_Found]) -> None:
        self._answers.append((question, answer))
        self._wake()

    def deliver(self) -> None:
        """Hand out the answers that came."""
        while self._answers:
            question, answer = self._answers.popleft()
            now_s, error = monotonic_s(), answer.exception()
            if error is None:
                found = answer.result()
                known = _Known(found, "", now_s + found.fresh_s)
            else:
                known = _Known(None, f"{question.host}: {error}", now_s + FAILED_S)
            self._known[question] = known
            for done in self._asked.pop(question, ()):
                _tell(question, known, done)


def _tell(question: _Question, known: _Known, done: Done) -> None:
    targets = () if known.found is None else _targets(question, known.found)
    done(targets, known.why)


def _targets(question: _Question, found: _Found) -> tuple[Target, ...]:
    if found.srv is None:
        places = [(question.host, question.port or question.default_port)]
    else:
        places = _in_order(found.srv)
    all_targets = (
        Target(ip, port, question.transport)
        for name, port in places
        for ip in found.ips.get(name, ())
    )
    return tuple(dict.fromkeys(all_targets))[:MAX_TARGETS]


def _in_order(srv: dns.rrset.RRset) -> list[tuple[str, int]]:
    """Give names and ports by priority, and by chance inside one: RFC 2782."""
    records = (each for each in srv.processing_order() if isinstance(each, SRV))
    return [(str(each.target), each.port) for each in records]


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class _Names:
    """The name service, for the threads. Keeps nothing."""

    def __init__(self, nameserver: str, hosts: Path) -> None:
        self._nameserver = nameserver
        self._hosts = hosts

    def look_up(self, question: _Question) -> _Found:
        """Find what there is for a question.

        Raises:
            LookupFailed: nothing of use.
        """
        ips = self._in_hosts(question.host, question.families)
        if ips:
            return _Found(ips={question.host: ips})
        try:
            return _Lookup(self._server(), question).find()
        except dns.exception.Timeout:
            raise LookupFailed(f"no answer of the name server within {WITHIN_S:g} s") from None
        except (dns.exception.DNSException, OSError) as error:
            raise LookupFailed(str(error)) from error

    def _server(self) -> dns.resolver.Resolver:
        # Anew each time: resolv.conf may change.
        server = dns.resolver.Resolver(configure=not self._nameserver)
        if self._nameserver:
            host, _, port = self._nameserver.rpartition(":")
            server.nameservers, server.port = [host.strip("[]")], int(port)
        server.timeout = TRY_S
        return server

    def _in_hosts(self, host: str, families: tuple[int, ...]) -> tuple[str, ...]:
        try:
            lines = self._hosts.read_text("utf-8", "replace").splitlines()
        except OSError:
            return ()
        found = []
        for line in lines:
            ip, *names = line.partition("#")[0].split() or [""]
            if host in (name.lower() for name in names) and _is_numeric(ip):
                family = IPV6 if ":" in ip else IPV4
                found += [ip] if family in families else []
        return tuple(found)


class _Lookup:
    """One lookup, with WITHIN_S for all its queries together."""

    def __init__(self, server: dns.resolver.Resolver, question: _Question) -> None:
        self._server = server
        self._question = question
        self._until_s = monotonic_s() + WITHIN_S
        self._ttl_s = FRESH_MAX_S

    def find(self) -> _Found:
        """Ask for SRV when the URI has no port, then for addresses.

        Raises:
            LookupFailed, dns.exception.DNSException: nothing of use.
        """
        srv = self._srv() if self._question.port is None else None
        names = [self._question.host]
        if srv is not None:
            names = list(dict.fromkeys(name for name, _ in _in_order(srv)))
            # RFC 2782: a target of "." says that the service is decidedly not there.
            if names == ["."]:
                raise LookupFailed(f"it offers no SIP over {self._question.transport}")
        ips = self._addresses_of(names[:MAX_TARGETS])
        return _Found(srv=srv, ips=ips, fresh_s=max(self._ttl_s, FRESH_MIN_S))

    def _srv(self) -> dns.rrset.RRset | None:
        service = _SERVICES[self._question.transport]
        try:
            return self._query(f"{service}.{self._question.host}", "SRV", SRV_WITHIN_S)
        except dns.exception.DNSException:
            # Some name servers fail at what they do not know. The addresses will tell.
            return None

    def _addresses_of(self, names: list[str]) -> dict[str, tuple[str, ...]]:
        ips: dict[str, tuple[str, ...]] = {}
        failure: Exception = LookupFailed(f"the DNS has no {self._families} address")
        for name, family in itertools.product(names, self._question.families):
            try:
                found = self._query(name, _KINDS[family], WITHIN_S)
            except dns.exception.DNSException as error:
                failure = error
                continue
            ips[name] = ips.get(name, ()) + tuple(each.address for each in found or ())
        if not any(ips.values()):
            raise failure
        return ips

    @property
    def _families(self) -> str:
        return " or ".join(f"IPv{family}" for family in self._question.families)

    def _query(self, name: str, kind: str, within_s: float) -> dns.rrset.RRset | None:
        """Ask for records of a kind; None when there are none."""
        left_s = min(within_s, self._until_s - monotonic_s())
        try:
            answer = self._server.resolve(name, kind, lifetime=left_s, search=True)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return None
        self._ttl_s = min(self._ttl_s, answer.chaining_result.minimum_ttl)
        return answer.rrset
