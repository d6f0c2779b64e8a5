"""What a controller reaches recorders with, without a Kamailio: its selector, doors and names."""

import selectors
import socket
import time
from collections.abc import Callable
from pathlib import Path

from siprec.inbox import SrsReplied, TlsSeen
from siprec.settings import EdgeSettings, Runtime, Settings, SrcSettings, TlsProxy
from siprec_kemi.src.addresses import Addresses
from siprec_kemi.src.doors import Doors, Knock
from siprec_kemi.src.probes import Probes
from siprec_kemi.src.reach import Reach
from siprec_kemi.src.resolver import Resolver
from siprec_kemi.src.sender import Sender
from siprec_kemi.src.tls_peers import TlsPeers
from tests.kemi.strict_ksr import StrictKsr
from tests.siprec.pem import certificate, ec_key

WITHIN_S = 5.0
PROFILE = "good"
INSIDE = "127.0.0.1:5081"
SETTINGS = Settings(
    src=SrcSettings(listen=("udp:127.0.0.1:5070", "tcp:127.0.0.1:5070")),
    edges=(
        EdgeSettings(name="other", listen=("tcp:127.0.0.2:5071",), advertise="other.example"),
        EdgeSettings(name="six", listen=("tcp:[::1]:5072",)),
    ),
)
PROXY = TlsProxy(edge=None, listen="tls:127.0.0.1:5061", shown="src.example:5061", inside=INSIDE)


class Ways:
    """Ways to recorders. `hosts` is what /etc/hosts would be: the only names there are."""

    def __init__(self, folder: Path, ksr: StrictKsr) -> None:
        self.hosts, self.loaded = folder / "hosts", folder / "loaded"
        self.hosts.write_text("")
        self.loaded.write_text(f"{PROFILE}\n")
        runtime = Runtime(
            settings=SETTINGS,
            node="n",
            route_key="",
            tls_proxies=(PROXY,),
            src_inside="127.0.0.1:5079",
            tls_loaded=str(self.loaded),
        )
        self._ksr = ksr
        self._answered = 0
        self.selector = selectors.DefaultSelector()
        self.sender = Sender()
        self.addresses = Addresses(runtime)
        self.resolver = Resolver(lambda: None, self.addresses, hosts=self.hosts)
        self.doors = Doors(self.selector)
        self.probes = Probes(
            addresses=self.addresses,
            resolver=self.resolver,
            doors=self.doors,
            sender=self.sender,
            port=40_000,
        )
        self.tls = TlsPeers(addresses=self.addresses, probes=self.probes, loaded=str(self.loaded))
        self.reach = Reach(self.addresses, self.resolver, self.doors, self.tls)

    def close(self) -> None:
        """Close what is open."""
        for key in list(self.selector.get_map().values()):
            if isinstance(key.data, Knock):
                key.data.channel.close()
        self.selector.close()

    def until(self, is_done: Callable[[], object]) -> None:
        """Turn as a controller does until something is so."""
        give_up_s = time.monotonic() + WITHIN_S
        while not is_done():
            assert time.monotonic() < give_up_s, "it does not come about"
            for key, _ in self.selector.select(0.01):
                assert isinstance(key.data, Knock)
                self.doors.take(key.data)
            self.resolver.deliver()

    def sent(self, method: str) -> list[str]:
        """Give the headers of all requests of a method that tm was given."""
        sent = self._ksr.named("tm.t_uac_send")
        return [str(arguments[4]) for arguments in sent if arguments[0] == method]

    def answer_probe(self, host: str, *, verified: bool = True) -> None:
        """Answer the next OPTIONS as a recorder with a certificate for that host."""
        self._answered += 1
        self.until(lambda: len(self.sent("OPTIONS")) == self._answered)
        seen = TlsSeen(
            route=f"<sip:{INSIDE};lr;hop=127.0.0.1:5061;con=1.{self._answered}>",
            verified=verified,
            certificate=certificate(ec_key(), name=host),
        )
        call_id = header_of(self.sent("OPTIONS")[-1], "Call-ID")
        reply = SrsReplied(
            call_id=call_id, method="OPTIONS", cseq=1, status=200, reason="OK", tls=seen
        )
        assert self.probes.take(reply)


def header_of(headers: str, name: str) -> str:
    """Give the value of a header."""
    (value,) = [
        value
        for line in headers.split("\r\n")
        for found, _, value in [line.partition(": ")]
        if found == name
    ]
    return value


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Open the door of a recorder."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def port_of(listener: socket.socket) -> int:
    """Give the port of a socket."""
    port: int = listener.getsockname()[1]
    return port


def shut(port: int = 0, host: str = "127.0.0.1") -> socket.socket:
    """Take a port on which nobody listens, so that nobody else comes to."""
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind((host, port))
    return taken
