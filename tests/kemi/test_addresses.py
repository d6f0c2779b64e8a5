"""Our own addresses toward recorders: of [src], of edges, of TLS proxies."""

import pytest

from siprec.settings import EdgeSettings, Runtime, Settings, SrcSettings, TlsProxy
from siprec_kemi.src.addresses import Address, Addresses, NoSocket, UnknownEdge

LISTEN = (
    "udp:192.0.2.1:5070",
    "tcp:192.0.2.1:5071",
    "tls:192.0.2.1:5061",
    "tcp:[2001:db8::1]:5072",
    "tcp:192.0.2.2:1",
)
EDGES = (
    EdgeSettings(name="ashburn", listen=("tcp:198.51.100.1:5070",), advertise="ash.example"),
    EdgeSettings(name="tokyo", listen=("tls:198.51.100.2:5061",), interface="tyo"),
)
TLS = (
    TlsProxy(edge=None, listen="tls:192.0.2.1:5061", shown="src.example:5061", inside="[::1]:1"),
    TlsProxy(edge=None, listen="tls:[2001:db8::1]:1", shown="[2001:db8::1]:1", inside="[::1]:2"),
    TlsProxy(edge="tokyo", listen="tls:198.51.100.2:5061", shown="t.example:1", inside="[::1]:3"),
)


def addresses(advertise: str | None = None) -> Addresses:
    """Give the addresses of a node with edges and TLS proxies."""
    settings = Settings(src=SrcSettings(listen=LISTEN, advertise=advertise), edges=EDGES)
    return Addresses(
        Runtime(
            settings=settings,
            node="n",
            route_key="",
            tls_proxies=TLS,
            src_inside="127.0.0.1:5079",
        )
    )


@pytest.mark.parametrize(
    ("ip", "transport", "advertise", "address"),
    [
        ("192.0.2.9", "udp", None, Address("udp:192.0.2.1:5070", "192.0.2.1:5070")),
        ("192.0.2.9", "tcp", None, Address("tcp:192.0.2.1:5071", "192.0.2.1:5071")),
        ("2001:db8::9", "tcp", None, Address("tcp:[2001:db8::1]:5072", "[2001:db8::1]:5072")),
        ("192.0.2.9", "tcp", "src.example", Address("tcp:192.0.2.1:5071", "src.example:5071")),
        ("192.0.2.9", "tcp", "src.example:1", Address("tcp:192.0.2.1:5071", "src.example:1")),
        ("192.0.2.9", "udp", "[2001:db8::5]", Address(LISTEN[0], "[2001:db8::5]:5070")),
        ("192.0.2.9", "udp", "[2001:db8::5]:9", Address(LISTEN[0], "[2001:db8::5]:9")),
    ],
)
def test_address_fits_transport_and_family(
    ip: str, transport: str, advertise: str | None, address: Address
) -> None:
    assert addresses(advertise).toward(ip, transport) == address


def test_address_of_an_edge_is_its_own() -> None:
    ours = Address("tcp:198.51.100.1:5070", "ash.example:5070")
    assert addresses().toward("192.0.2.9", "tcp", "ashburn") == ours


@pytest.mark.parametrize(
    ("ip", "edge", "shown", "inside"),
    [
        ("192.0.2.9", None, "src.example:5061", "[::1]:1"),
        ("2001:db8::9", None, "[2001:db8::1]:1", "[::1]:2"),
        ("192.0.2.9", "tokyo", "t.example:1", "[::1]:3"),
    ],
)
def test_address_toward_tls_is_that_of_the_tls_proxy(
    ip: str, edge: str | None, shown: str, inside: str
) -> None:
    assert addresses().toward(ip, "tls", edge) == Address("udp:127.0.0.1:5079", shown, inside)


@pytest.mark.parametrize(
    ("ip", "transport", "edge", "why"),
    [
        ("2001:db8::9", "udp", None, r"\[src\] listen has no udp socket for IPv6"),
        ("192.0.2.9", "tls", "ashburn", r"\[edges\.ashburn\] listen has no tls socket for IPv4"),
        # An edge does not fall back on [src]: the recorder's firewall would not let that in.
        ("192.0.2.9", "udp", "ashburn", r"\[edges\.ashburn\] listen has no udp socket"),
    ],
)
def test_address_that_is_missing_is_named(
    ip: str, transport: str, edge: str | None, why: str
) -> None:
    with pytest.raises(NoSocket, match=why) as caught:
        addresses().toward(ip, transport, edge)
    assert caught.value.code == 32011


def test_edge_that_is_unknown_is_named_and_has_a_code_of_its_own() -> None:
    ours = addresses()
    for look in (
        lambda: ours.toward("192.0.2.9", "tcp", "mars"),
        lambda: ours.families("tcp", "mars"),
        lambda: ours.interface_of("mars"),
    ):
        with pytest.raises(UnknownEdge, match=r"\[edges\.mars\]") as caught:
            look()
        assert caught.value.code == 31942


@pytest.mark.parametrize(
    ("transport", "edge", "families"),
    [
        ("udp", None, (4,)),
        ("tcp", None, (4, 6)),
        ("tls", None, (4, 6)),
        ("tls", "tokyo", (4,)),
        ("tls", "ashburn", ()),
    ],
)
def test_families_are_those_of_the_sockets(
    transport: str, edge: str | None, families: tuple[int, ...]
) -> None:
    assert addresses().families(transport, edge) == families


def test_interface_is_called_like_the_edge_unless_named() -> None:
    ours = addresses()
    edges = (None, "ashburn", "tokyo")
    assert [ours.interface_of(edge) for edge in edges] == [None, "ashburn", "tyo"]
