"""How to reach an SRS: by its addresses; over TLS only after a probe proved who it is."""

from collections.abc import Callable
from functools import partial

from siprec.srs_uri import SrsUri
from siprec_kemi.src import requests
from siprec_kemi.src.addresses import IPV6, Addresses, NoSocket
from siprec_kemi.src.doors import Doors
from siprec_kemi.src.requests import Hop
from siprec_kemi.src.resolver import Resolver, Target
from siprec_kemi.src.tls_peers import TlsPeers, TlsRoute

Go = Callable[[Hop | None, str], None]


class Reach:
    """Gives next hops. Nothing is sent over TLS that a probe has not shown the way for."""

    def __init__(
        self, addresses: Addresses, resolver: Resolver, doors: Doors, tls: TlsPeers
    ) -> None:
        self._addresses = addresses
        self._doors = doors
        self._resolver = resolver
        self._tls = tls

    def hop(self, target: SrsUri, profile: str, go: Go) -> None:
        """Call `go(hop, "")`, or `go(None, why)`; at once or later.

        Raises:
            UnknownEdge: the edge of the URI is not configured.
        """
        self._addresses.interface_of(target.edge)
        if target.transport == "tls":
            self._tls.route(target, profile, partial(self._over_tls, target, go))
        else:
            self._resolver.resolve(target, partial(self._resolved, target, go))

    def _over_tls(self, target: SrsUri, go: Go, route: TlsRoute | None, why: str) -> None:
        if route is None:
            go(None, why)
            return
        ours = route.address
        inside = f"sip:{ours.inside};transport=udp"
        us = requests.our_uri(target, ours)
        go(Hop(uri=inside, ours=ours, us=us, route=route.route), "")

    def _resolved(self, target: SrsUri, go: Go, found: tuple[Target, ...], why: str) -> None:
        """Take the first address that can be reached."""
        if not found:
            go(None, why)
            return
        first, left = found[0], found[1:]
        try:
            ours = self._addresses.toward(first.ip, first.transport, target.edge)
        except NoSocket as error:
            self._resolved(target, go, left, str(error))
            return
        uri = requests.hop_uri(first.ip, first.port, first.transport)
        hop = Hop(uri=uri, ours=ours, us=requests.our_uri(target, ours))
        if first.transport == "udp":
            go(hop, "")
            return

        def answered(closed: str) -> None:
            if closed:
                self._resolved(target, go, left, closed)
            else:
                go(hop, "")

        self._doors.knock(first, ours, answered)

    def forget(self, target: SrsUri, profile: str) -> None:
        """Forget the connection over TLS to an SRS."""
        self._tls.forget(target, profile)

    def contact(self, target: SrsUri) -> str:
        """Give the Contact that an SRS knows us by.

        Raises:
            NoSocket: the sockets that reached it are not there any more.
        """
        families = self._addresses.families(target.transport, target.edge)
        wants_ipv6 = ":" in target.host or families == (IPV6,)
        ip = "::" if wants_ipv6 else "0.0.0.0"
        ours = self._addresses.toward(ip, target.transport, target.edge)
        return requests.contact(requests.our_uri(target, ours))
