"""Our own addresses toward recorders, one for each edge, transport and address family."""

from dataclasses import dataclass

from siprec.settings import Runtime

IPV4, IPV6 = 4, 6


@dataclass(frozen=True, slots=True)
class Address:
    """A socket to send from (`tcp:HOST:PORT`) and what we say we are (`HOST:PORT`).

    Toward TLS the socket is that of the inside, and `inside` (`HOST:PORT`) the TLS proxy that
    the request is sent to; otherwise it is "".
    """

    socket: str
    shown: str
    inside: str = ""


class NoSocket(LookupError):
    """The SRC role listens on no socket that could reach a peer. The message names it."""

    code = 32011


class UnknownEdge(NoSocket):
    """There is no such edge on this node."""

    code = 31942


class Addresses:
    """The sockets of `[src]` (the edge None) and of the edges, as they are advertised."""

    def __init__(self, runtime: Runtime) -> None:
        self._by_kind: dict[tuple[str | None, str, int], Address] = {}
        self._interfaces: dict[str | None, str | None] = {None: None}
        src = runtime.settings.src
        self._add(None, src.listen, src.advertise)
        for edge in runtime.settings.edges:
            self._interfaces[edge.name] = edge.interface or edge.name
            self._add(edge.name, edge.listen, edge.advertise)
        for proxy in runtime.tls_proxies:
            address = Address(f"udp:{runtime.src_inside}", proxy.shown, proxy.inside)
            self._by_kind.setdefault((proxy.edge, "tls", _family_of(proxy.listen)), address)

    def _add(self, edge: str | None, listen: tuple[str, ...], advertise: str | None) -> None:
        for socket in listen:
            transport, _, rest = socket.partition(":")
            if transport == "tls":
                # The TLS proxy's.
                continue
            shown = rest
            if advertise:
                bare = advertise.rpartition("]")[2]
                shown = advertise if ":" in bare else f"{advertise}:{rest.rpartition(':')[2]}"
            kind = (edge, transport, _family_of(rest))
            self._by_kind.setdefault(kind, Address(socket, shown))

    def toward(self, ip: str, transport: str, edge: str | None = None) -> Address:
        """Give the address to use toward a peer, from an edge (None: from `[src]`).

        Raises:
            UnknownEdge: this node has no such edge.
            NoSocket: there is none of that transport and address family.
        """
        self.interface_of(edge)
        family = IPV6 if ":" in ip else IPV4
        address = self._by_kind.get((edge, transport, family))
        if address is None:
            place = "[src]" if edge is None else f"[edges.{edge}]"
            raise NoSocket(f"{place} listen has no {transport} socket for IPv{family}")
        return address

    def families(self, transport: str, edge: str | None = None) -> tuple[int, ...]:
        """Give the address families that can be reached so: of 4 and 6.

        Raises:
            UnknownEdge: this node has no such edge.
        """
        self.interface_of(edge)
        return tuple(f for f in (IPV4, IPV6) if (edge, transport, f) in self._by_kind)

    def interface_of(self, edge: str | None) -> str | None:
        """Give the name of rtpengine's interface for an edge; None for the default one.

        Raises:
            UnknownEdge: this node has no such edge.
        """
        if edge not in self._interfaces:
            raise UnknownEdge(f"there is no [edges.{edge}] on this node")
        return self._interfaces[edge]


def _family_of(listen: str) -> int:
    return IPV6 if "[" in listen else IPV4
