"""What an edge shows to recorders: the addresses, ports and protocols they must allow. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from siprec.settings import EdgeSettings, RtpengineSettings, Settings
from siprec_control.config import DEFAULT_EDGE
from siprec_control.values import parse_listen, split_host_port

_WILDCARDS = ("0.0.0.0", "::")


class Purpose(StrEnum):
    """What goes over a path: signalling or media."""

    SIP = "sip"
    RTP = "rtp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One line for the firewall of a recorder. `edge` is `default` for what names no edge.

    `address` is None when only the operator knows it; `note` then says where to look. `transport`
    is `udp`, `tcp` or `tls`.
    """

    edge: str
    purpose: Purpose
    transport: str
    address: str | None
    port_min: int | None
    port_max: int | None
    note: str = ""


def paths(settings: Settings) -> list[Path]:
    """List the paths of the default edge and of every other, in the order of the settings."""
    src = settings.src
    found = [*_signalling(DEFAULT_EDGE, src.listen, src.advertise), *_media(None, settings)]
    for edge in settings.edges:
        found += _signalling(edge.name, edge.listen, edge.advertise)
        found += _media(edge, settings)
    return found


def media_addresses(edge: EdgeSettings | None, rtpengine: RtpengineSettings) -> list[str]:
    """Give `ADDR` or `ADDR!ADVERTISED` of the embedded rtpengine's interface of an edge.

    Without an edge, and for one that has no media of its own, it is the default interface: all
    that is called like the first one.
    """
    if edge is not None and edge.media is not None:
        return edge.media.split(",")
    named = [each.rpartition("/") for each in rtpengine.interface.split(",")]
    return [address for name, _, address in named if name == named[0][0]]


def _signalling(edge: str, listen: Sequence[str], advertise: str | None) -> Iterator[Path]:
    for item in listen:
        transport, host, port = parse_listen(item)
        address: str | None = host
        if advertise is not None:
            address, advertised = split_host_port(advertise)
            port = advertised or port
        note = ""
        if address in _WILDCARDS:
            address, note = None, f"{item} listens on every address; set advertise"
        yield Path(
            edge=edge,
            purpose=Purpose.SIP,
            transport=transport,
            address=address,
            port_min=port,
            port_max=port,
            note=note,
        )


def _media(edge: EdgeSettings | None, settings: Settings) -> Iterator[Path]:
    shown = DEFAULT_EDGE if edge is None else edge.name
    if settings.rtpengine.ng:
        name = "first" if edge is None else f"{edge.interface or edge.name!r}"
        where = ", ".join(settings.rtpengine.ng)
        note = f"the {name} interface of rtpengine at {where}: its configuration tells"
        yield Path(
            edge=shown,
            purpose=Purpose.RTP,
            transport="udp",
            address=None,
            port_min=None,
            port_max=None,
            note=note,
        )
        return
    for address in media_addresses(edge, settings.rtpengine):
        bound, _, advertised = address.partition("!")
        yield Path(
            edge=shown,
            purpose=Purpose.RTP,
            transport="udp",
            address=advertised or bound,
            port_min=settings.rtpengine.port_min,
            port_max=settings.rtpengine.port_max,
        )
