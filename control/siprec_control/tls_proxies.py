"""The TLS proxies of a stack: which there are, and their command lines. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from siprec.settings import Settings, TlsProxy
from siprec_control.tls_profiles import CALLS, RECORDERS
from siprec_control.values import parse_listen, split_host_port

KAMAILIO = "/usr/sbin/kamailio"
LOOPBACK = "127.0.0.1"

# A profile that trusts all authorities of the system takes 26 MB, another one 1 MB.
_SHARED_MB = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """One TLS proxy to be: `listen` are its `tls:` sockets, `edge` None for [src] and [sip].

    `is_for_calls` tells that of [sip], which takes calls, from those toward recorders.
    """

    name: str
    listen: tuple[str, ...]
    advertise: str | None
    edge: str | None = None
    is_for_calls: bool = False

    @property
    def shown(self) -> str:
        """Give `HOST:PORT` of the first socket, as peers know it."""
        return shown_at(self.listen[0], self.advertise)


def outsides(settings: Settings) -> list[Outside]:
    """List them: one for each socket toward recorders, one for all sockets of calls."""
    found = []
    for edge, listen, advertise in (
        (None, settings.src.listen, settings.src.advertise),
        *((edge.name, edge.listen, edge.advertise) for edge in settings.edges),
    ):
        for number, item in enumerate(only_tls(listen), start=1):
            name = f"tls-{edge or 'src'}{'' if number == 1 else f'.{number}'}"
            found.append(Outside(name=name, listen=(item,), advertise=advertise, edge=edge))
    if calls := only_tls(settings.sip.listen):
        advertise = settings.sip.advertise
        found.append(Outside(name="tls-sip", listen=calls, advertise=advertise, is_for_calls=True))
    return found


def only_tls(listen: Sequence[str]) -> tuple[str, ...]:
    """Give the sockets that are a TLS proxy's."""
    return tuple(item for item in listen if item.startswith("tls:"))


def without_tls(listen: Sequence[str]) -> tuple[str, ...]:
    """Give the sockets that are a role's own."""
    return tuple(item for item in listen if not item.startswith("tls:"))


def shown_at(listen: str, advertise: str | None) -> str:
    """Give `HOST:PORT` of a socket as peers know it; advertised without a port it keeps its own."""
    _, host, port = parse_listen(listen)
    if advertise is not None:
        host, advertised = split_host_port(advertise)
        port = advertised or port
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def kamailio_listen(sockets: Iterable[tuple[str, str | None]]) -> list[str]:
    """Write sockets, and what each is shown as, for Kamailio's command line.

    Kamailio 5.6 shows those without an advertised address at that of the last one before them
    that has some: these are advertised as what they are.
    """
    options, is_known = [], False
    for listen, advertise in sockets:
        is_known = is_known or advertise is not None
        options += ["-l", f"{listen}/{shown_at(listen, advertise)}" if is_known else listen]
    return options


def runtime_proxies(found: Sequence[Outside], insides: Sequence[str]) -> tuple[TlsProxy, ...]:
    """Give those toward recorders as controllers know them."""
    return tuple(
        TlsProxy(edge=each.edge, listen=each.listen[0], shown=each.shown, inside=inside)
        for each, inside in zip(found, insides, strict=True)
        if not each.is_for_calls
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPlan:
    """The TLS proxies of a stack that has some.

    `folder` holds tls.cfg and its PEM files; `insides` are of `outsides`, in that order.
    `callers` are the networks that may call.
    """

    folder: Path
    outsides: tuple[Outside, ...]
    insides: tuple[str, ...]
    src_inside: str
    sip_inside: str
    callers: tuple[str, ...]


def tls_command(plan: TlsPlan, index: int, cfg: Path, run: Path, log_level: int) -> list[str]:
    """Build the command line of one TLS proxy; `run` is its folder for the pid file."""
    outside = plan.outsides[index]
    config = plan.folder / (CALLS if outside.is_for_calls else RECORDERS)
    command = [KAMAILIO, "-DD", "-E", "-x", "fm", "-X", "fm", "-m", str(_SHARED_MB), "-M", "8"]
    command += ["-n", "1", "-f", str(cfg), "-A", f"LOG_LEVEL={log_level}"]
    for name, value in _strings(plan, outside, config):
        command += ["-A", f'{name}="{value}"']
    if not outside.is_for_calls:
        command += _source(outside.listen[0])
    inside = (f"udp:{plan.insides[index]}", None)
    command += kamailio_listen([inside, *((item, outside.advertise) for item in outside.listen)])
    return [*command, "-Y", str(run), "-P", str(run / "kamailio.pid")]


def _strings(plan: TlsPlan, outside: Outside, config: Path) -> Iterator[tuple[str, str]]:
    yield "TLS_CONFIG", str(config)
    yield "OWN_NODES", f"{LOOPBACK}/32"
    if outside.is_for_calls:
        yield "PROXY_URI", f"sip:{plan.sip_inside}"
        # No network at all is none that exists.
        yield "CALLERS", ",".join(plan.callers) or "0.0.0.0/32"
    else:
        yield "SRC_URI", f"sip:{plan.src_inside}"


def _source(listen: str) -> list[str]:
    _, host, _ = parse_listen(listen)
    if host in ("0.0.0.0", "::"):
        return []
    return ["-A", f"SOURCE_IPV{6 if ':' in host else 4}={host}"]
