"""Next hops to recorders: by real addresses, and over TLS only where a probe was answered."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from siprec.srs_uri import parse_srs_uri
from siprec_kemi.src.addresses import NoSocket, UnknownEdge
from siprec_kemi.src.requests import Hop
from tests.kemi.reach_world import INSIDE, PROFILE, Ways, listen, port_of, shut
from tests.kemi.strict_ksr import StrictKsr

HOST = "recorder.example"


class Journey(Ways):
    """Asks for hops, and keeps what came of it: hop or reason."""

    def __init__(self, folder: Path, ksr: StrictKsr) -> None:
        super().__init__(folder, ksr)
        self.hosts.write_text(f"127.0.0.1 {HOST}\n")
        self.found: list[Hop | str] = []

    def begin(self, uri: str, profile: str = "") -> None:
        """Ask for a hop."""
        self.reach.hop(parse_srs_uri(uri), profile, lambda hop, why: self.found.append(hop or why))

    def hop(self, uri: str, profile: str = "") -> Hop | str:
        """Ask for a hop and wait for it."""
        count = len(self.found)
        self.begin(uri, profile)
        self.until(lambda: len(self.found) > count)
        return self.found[-1]


@pytest.fixture
def journey(tmp_path: Path, ksr: StrictKsr) -> Iterator[Journey]:
    with contextlib.closing(Journey(tmp_path, ksr)) as opened:
        yield opened


# Without TLS


def test_hop_over_udp_needs_no_knock(journey: Journey) -> None:
    journey.begin("sip:127.0.0.1:9;transport=udp")
    (hop,) = journey.found
    assert hop == Hop(
        uri="sip:127.0.0.1:9;transport=udp",
        ours=journey.addresses.toward("127.0.0.1", "udp"),
        us="sip:siprec@127.0.0.1:5070;transport=udp",
    )


def test_hop_over_tcp_is_given_when_somebody_listens(journey: Journey) -> None:
    with listen() as recorder:
        port = port_of(recorder)
        journey.begin(f"sip:127.0.0.1:{port}")
        assert journey.found == []
        journey.until(lambda: journey.found)
    assert journey.found == [
        Hop(
            uri=f"sip:127.0.0.1:{port};transport=tcp",
            ours=journey.addresses.toward("127.0.0.1", "tcp"),
            us="sip:siprec@127.0.0.1:5070;transport=tcp",
        )
    ]


def test_hop_to_an_address_that_answered_a_moment_ago_is_given_at_once(journey: Journey) -> None:
    with listen() as recorder:
        uri = f"sip:127.0.0.1:{port_of(recorder)}"
        first = journey.hop(uri)
        journey.begin(uri)
        assert journey.found == [first, first]


def test_next_address_gets_its_turn_when_the_first_refuses(journey: Journey) -> None:
    journey.hosts.write_text(f"127.0.0.1 {HOST}\n127.0.0.2 {HOST}\n")
    with shut() as closed, listen("127.0.0.2", port_of(closed)):
        port = port_of(closed)
        hop = journey.hop(f"sip:{HOST}:{port}")
    assert isinstance(hop, Hop)
    assert hop.uri == f"sip:127.0.0.2:{port};transport=tcp"


def test_name_whose_addresses_all_refuse_is_told_by_the_last(journey: Journey) -> None:
    journey.hosts.write_text(f"127.0.0.1 {HOST}\n127.0.0.2 {HOST}\n")
    with shut() as closed, shut(port_of(closed), "127.0.0.2"):
        port = port_of(closed)
        why = journey.hop(f"sip:{HOST}:{port}")
    assert why == f"127.0.0.2:{port}: Connection refused"


def test_edge_is_left_from_and_is_what_the_recorder_knows_us_by(journey: Journey) -> None:
    with listen() as recorder:
        recorder.settimeout(5.0)
        hop = journey.hop(f"sip:127.0.0.1:{port_of(recorder)};edge=other")
        guest, (host, _) = recorder.accept()
        guest.close()
    assert host == "127.0.0.2"
    assert isinstance(hop, Hop)
    assert hop.ours.socket == "tcp:127.0.0.2:5071"
    assert hop.us == "sip:siprec@other.example:5071;transport=tcp"


def test_address_that_no_socket_of_ours_reaches_is_told(journey: Journey) -> None:
    assert journey.hop("sip:[::1]") == "[src] listen has no tcp socket for IPv6"
    why = "[edges.other] listen has no udp socket for IPv4"
    assert journey.hop("sip:127.0.0.1;edge=other;transport=udp") == why


def test_name_in_ipv6_is_reached_from_ipv6(journey: Journey) -> None:
    journey.hosts.write_text(f"127.0.0.1 {HOST}\n::1 {HOST}\n")
    with listen("::1") as recorder:
        port = port_of(recorder)
        hop = journey.hop(f"sip:{HOST}:{port};edge=six")
    assert isinstance(hop, Hop)
    assert hop.uri == f"sip:[::1]:{port};transport=tcp"
    assert hop.us == "sip:siprec@[::1]:5072;transport=tcp"


def test_unknown_edge_is_an_error_before_anything_is_asked(journey: Journey) -> None:
    for uri in ("sip:127.0.0.1;edge=mars", "sips:127.0.0.1;edge=mars"):
        with pytest.raises(UnknownEdge, match=r"no \[edges\.mars\]"):
            journey.begin(uri)
    assert journey.found == []


# Over TLS


def test_hop_over_tls_goes_through_the_tls_proxy_on_a_proved_way(journey: Journey) -> None:
    journey.begin(f"sips:rec@{HOST}", PROFILE)
    assert journey.found == []
    journey.answer_probe(HOST)
    (hop,) = journey.found
    assert hop == Hop(
        uri=f"sip:{INSIDE};transport=udp",
        ours=journey.addresses.toward("127.0.0.1", "tls"),
        us="sips:siprec@src.example:5061",
        route=f"<sip:{INSIDE};lr;hop=127.0.0.1:5061;con=1.1>",
    )


def test_secure_recorder_without_sips_knows_us_by_a_sip_uri(journey: Journey) -> None:
    journey.begin(f"sip:{HOST};secure=true", PROFILE)
    journey.answer_probe(HOST)
    (hop,) = journey.found
    assert isinstance(hop, Hop)
    assert hop.us == "sip:siprec@src.example:5061;transport=tls"


def test_recorder_that_is_not_who_it_should_be_is_no_hop(journey: Journey) -> None:
    journey.begin(f"sips:{HOST}", PROFILE)
    journey.answer_probe("other.example")
    assert journey.found == [f"certificate of {HOST} is for other.example"]
    journey.begin(f"sips:{HOST}", PROFILE)
    journey.answer_probe(HOST, verified=False)
    assert journey.found[1:] == [f"certificate of {HOST} was not verified"]


def test_forgotten_way_is_proved_anew(journey: Journey) -> None:
    uri = f"sips:{HOST}"
    journey.begin(uri, PROFILE)
    journey.answer_probe(HOST)
    journey.begin(uri, PROFILE)
    assert journey.found[0] == journey.found[1]
    journey.reach.forget(parse_srs_uri(uri), PROFILE)
    journey.begin(uri, PROFILE)
    assert len(journey.found) == 2
    journey.answer_probe(HOST)
    (_, _, again) = journey.found
    assert isinstance(again, Hop)
    assert again.route.endswith("con=1.2>")


# Contact


@pytest.mark.parametrize(
    ("uri", "contact"),
    [
        ("sip:rec@192.0.2.9;transport=udp", "<sip:siprec@127.0.0.1:5070;transport=udp>"),
        ("sip:rec.example", "<sip:siprec@127.0.0.1:5070;transport=tcp>"),
        ("sip:rec.example;edge=other", "<sip:siprec@other.example:5071;transport=tcp>"),
        ("sip:rec.example;edge=six", "<sip:siprec@[::1]:5072;transport=tcp>"),
        ("sip:[2001:db8::1];edge=six", "<sip:siprec@[::1]:5072;transport=tcp>"),
        ("sips:rec.example", "<sips:siprec@src.example:5061>"),
        ("sip:rec.example;secure=true", "<sip:siprec@src.example:5061;transport=tls>"),
    ],
)
def test_contact_is_what_the_recorder_knows_us_by(journey: Journey, uri: str, contact: str) -> None:
    assert journey.reach.contact(parse_srs_uri(uri)) == f"{contact};+sip.src"


@pytest.mark.parametrize("uri", ["sip:[::1]", "sip:a;edge=mars", "sip:a;edge=six;transport=udp"])
def test_contact_without_a_socket_is_an_error(journey: Journey, uri: str) -> None:
    with pytest.raises(NoSocket):
        journey.reach.contact(parse_srs_uri(uri))
