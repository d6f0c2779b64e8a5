"""Our own addresses toward recorders, one for each transport and address family."""

from dataclasses import dataclass

from siprec.settings import SrcSettings


@dataclass(frozen=True, slots=True)
class Address:
    """A socket to send from (`tcp:HOST:PORT`) and what we say we are (`HOST:PORT`)."""

    socket: str
    shown: str


class NoSocket(LookupError):
    """The SRC role listens on no socket that could reach a peer. The message names it."""


def _host_port(listen: str) -> tuple[str, str, str]:
    transport, _, rest = listen.partition(":")
    host, _, port = rest.rpartition(":")
    return transport, host, port


class Addresses:
    """The sockets of `[src] listen`, as `[src] advertise` shows them."""

    def __init__(self, settings: SrcSettings) -> None:
        self._by_kind: dict[tuple[str, bool], Address] = {}
        for listen in settings.listen:
            transport, host, port = _host_port(listen)
            shown = f"{host}:{port}"
            if settings.advertise:
                bare = settings.advertise.rpartition("]")[2]
                shown = settings.advertise if ":" in bare else f"{settings.advertise}:{port}"
            self._by_kind.setdefault((transport, ":" in host), Address(listen, shown))

    def toward(self, ip: str, transport: str) -> Address:
        """Give the address to use toward a peer.

        Raises:
            NoSocket: there is none of that transport and address family.
        """
        address = self._by_kind.get((transport, ":" in ip))
        if address is None:
            family = "IPv6" if ":" in ip else "IPv4"
            raise NoSocket(f"[src] listen has no {transport} socket for {family}")
        return address
