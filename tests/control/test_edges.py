"""What recorders must allow, edge by edge."""

from siprec.settings import EdgeSettings, RtpengineSettings, Settings, SrcSettings
from siprec_control.edges import Path, Purpose, paths

SRC = SrcSettings(listen=("udp:192.0.2.1:5070", "tls:[2001:db8::1]:5071"))
EDGES = (
    EdgeSettings(
        name="ash",
        listen=("tcp:10.0.0.3:5070", "tls:10.0.0.3:5071"),
        advertise="198.51.100.3:6071",
        media="10.0.0.3!198.51.100.4",
    ),
    EdgeSettings(name="eu", listen=("udp:192.0.2.5:5070",), interface="europe"),
)
RTPENGINE = RtpengineSettings(
    interface="pub/192.0.2.1,pub/2001:db8::1,priv/10.0.0.1", port_min=20000, port_max=20999
)


def line(path: Path) -> str:
    ports = f"{path.port_min}-{path.port_max}"
    return f"{path.edge} {path.purpose.value} {path.transport} {path.address} {ports}"


def test_paths_are_what_recorders_see() -> None:
    found = paths(Settings(src=SRC, edges=EDGES, rtpengine=RTPENGINE))
    assert list(map(line, found)) == [
        "default sip udp 192.0.2.1 5070-5070",
        "default sip tls 2001:db8::1 5071-5071",
        "default rtp udp 192.0.2.1 20000-20999",
        "default rtp udp 2001:db8::1 20000-20999",
        "ash sip tcp 198.51.100.3 6071-6071",
        "ash sip tls 198.51.100.3 6071-6071",
        "ash rtp udp 198.51.100.4 20000-20999",
        "eu sip udp 192.0.2.5 5070-5070",
        "eu rtp udp 192.0.2.1 20000-20999",
        "eu rtp udp 2001:db8::1 20000-20999",
    ]
    assert not any(path.note for path in found)


def test_media_of_running_rtpengines_is_not_known() -> None:
    rtpengine = RtpengineSettings(ng=("192.0.2.9:2223",))
    found = paths(Settings(src=SRC, edges=EDGES[1:], rtpengine=rtpengine))
    unknown = [path for path in found if path.purpose is Purpose.RTP]
    assert [(path.address, path.port_min) for path in unknown] == [(None, None)] * 2
    assert [path.note for path in unknown] == [
        "the first interface of rtpengine at 192.0.2.9:2223: its configuration tells",
        "the 'europe' interface of rtpengine at 192.0.2.9:2223: its configuration tells",
    ]


def test_socket_on_every_address_asks_for_advertise() -> None:
    found = paths(Settings(src=SrcSettings(listen=("udp:0.0.0.0:5070",))))
    assert (found[0].address, found[0].port_min) == (None, 5070)
    assert found[0].note == "udp:0.0.0.0:5070 listens on every address; set advertise"
    shown = paths(Settings(src=SrcSettings(listen=("udp:0.0.0.0:5070",), advertise="h.example")))
    assert (shown[0].address, shown[0].note) == ("h.example", "")
