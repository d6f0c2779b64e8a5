"""OPTIONS to recorders without TLS, sent by a real Kamailio."""

import selectors
from collections.abc import Iterator
from contextlib import closing

import pytest

from siprec.inbox import SrsReplied
from siprec.settings import Runtime, Settings, SrcSettings
from siprec.srs_uri import parse_srs_uri
from siprec_kemi.src import probes as probes_module
from siprec_kemi.src.addresses import Addresses
from siprec_kemi.src.doors import Doors
from siprec_kemi.src.probes import ProbeResult, Probes
from siprec_kemi.src.resolver import Resolver
from siprec_kemi.src.sender import Sender
from tests.kemi.name_server import NameServer
from tests.kemi.probe_node import ProbeNode
from tests.kemi.strict_ksr import StrictKsr
from tests.scenarios.phone import Phone
from tests.scenarios.ports import PortBlock
from tests.scenarios.wire import TcpWire

pytestmark = pytest.mark.daemon


@pytest.fixture(scope="module")
def ports() -> Iterator[PortBlock]:
    with closing(PortBlock()) as block:
        yield block


@pytest.fixture(scope="module")
def names() -> Iterator[NameServer]:
    with NameServer() as server:
        yield server


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, ports: PortBlock, names: NameServer
) -> Iterator[ProbeNode]:
    folder = tmp_path_factory.mktemp("node")
    with ProbeNode(folder, ports, nameserver=names.address) as node:
        yield node


@pytest.fixture(params=["udp", "tcp"])
def srs(request: pytest.FixtureRequest) -> Iterator[Phone]:
    with Phone("srs", ("", 0), transport=request.param) as phone:
        yield phone


def uri_of(srs: Phone, host: str = "127.0.0.1") -> str:
    """Write the URI of a recorder."""
    return f"sip:rec@{host}:{srs.wire.address[1]};transport={srs.transport}"


def test_probe_looks_as_it_should_and_finds_a_recorder_alive(node: ProbeNode, srs: Phone) -> None:
    number = node.begin("ask", uri=uri_of(srs), profile="")
    request = srs.expect("OPTIONS")
    ours = f"siprec@127.0.0.1:{node.port}"
    assert request.start == f"OPTIONS {uri_of(srs)} SIP/2.0"
    assert request.one("Contact") == f"<sip:{ours};transport={srs.transport}>;+sip.src"
    assert request.one("From").startswith(f"<sip:{ours}>;tag=")
    assert request.one("To") == f"<sip:rec@127.0.0.1:{srs.wire.address[1]}>"
    assert "application/rs-metadata+xml" in request.one("Accept")
    assert request.one("Call-ID").startswith("probe-")
    assert request.all("Route") == []
    srs.reply(request, 200, "OK")
    assert node.answer(number) == {
        "id": number,
        "answered": True,
        "status": 200,
        "text": "200 OK",
        "target": {"ip": "127.0.0.1", "port": srs.wire.address[1], "transport": srs.transport},
        "tls": None,
    }


@pytest.mark.parametrize("status", [302, 405, 503, 603])
def test_recorder_that_refuses_is_alive(node: ProbeNode, srs: Phone, status: int) -> None:
    number = node.begin("ask", uri=uri_of(srs), profile="")
    srs.reply(srs.expect("OPTIONS"), status, "So What")
    answer = node.answer(number)
    assert (answer["answered"], answer["text"]) == (True, f"{status} So What")


def test_recorder_cannot_claim_tls(node: ProbeNode, srs: Phone) -> None:
    number = node.begin("ask", uri=uri_of(srs), profile="")
    forged = [("X-TLS-Verified", "1"), ("X-TLS-Route", "<sip:evil;lr>")]
    srs.reply(srs.expect("OPTIONS"), 200, "OK", headers=forged)
    answer = node.answer(number)
    assert (answer["answered"], answer["tls"]) == (True, None)


def test_recorder_that_is_silent_is_given_up(node: ProbeNode) -> None:
    with Phone("srs", ("", 0)) as srs:
        answer = node.ask("ask", uri=uri_of(srs), profile="")
    assert (answer["answered"], answer["status"]) == (False, 408)
    assert answer["text"] == "no answer to OPTIONS within 5 s"


def test_recorder_that_refuses_connections_is_dead_at_once(
    node: ProbeNode, ports: PortBlock
) -> None:
    dead = ports.take()
    answer = node.ask("ask", uri=f"sip:127.0.0.1:{dead}", profile="")
    assert (answer["answered"], answer["status"]) == (False, 0)
    assert answer["text"] == f"127.0.0.1:{dead}: Connection refused"
    assert answer["target"]["port"] == dead


def test_open_door_is_knocked_at_by_each_probe(node: ProbeNode) -> None:
    with Phone("srs", ("", 0), transport="tcp") as srs:
        uri = uri_of(srs)
        number = node.begin("ask", uri=uri, profile="")
        srs.reply(srs.expect("OPTIONS"), 200, "OK")
        assert node.answer(number)["answered"]
    answer = node.ask("ask", uri=uri, profile="")
    assert answer["text"] == f"127.0.0.1:{srs.wire.address[1]}: Connection refused"


def test_second_address_is_tried_when_the_first_is_dead(
    node: ProbeNode, names: NameServer, ports: PortBlock, srs: Phone
) -> None:
    live, dead = srs.wire.address[1], ports.take()
    service = f"_sip._{srs.transport}.recorder.example"
    names.add(service, "SRV", f"1 0 {dead} a.example.", f"2 0 {live} a.example.")
    names.add("a.example", "A", "127.0.0.1")
    uri = f"sip:recorder.example;transport={srs.transport}"
    number = node.begin("ask", uri=uri, profile="")
    srs.reply(srs.expect("OPTIONS"), 200, "OK")
    answer = node.answer(number)
    assert answer["answered"]
    assert answer["target"]["port"] == live


def test_edge_has_its_own_address_and_connection(node: ProbeNode) -> None:
    with Phone("srs", ("", 0), transport="tcp") as srs:
        assert isinstance(srs.wire, TcpWire)
        for edge, ours in (
            ("", f"127.0.0.1:{node.port}"),
            (";edge=other", f"127.0.0.2:{node.edge_port}"),
        ):
            number = node.begin("ask", uri=f"{uri_of(srs)}{edge}", profile="")
            request = srs.expect("OPTIONS")
            assert request.one("Contact").startswith(f"<sip:siprec@{ours};")
            assert "edge" not in str(request)
            srs.reply(request, 200, "OK")
            assert node.answer(number)["answered"]
        assert [host for host, _ in srs.wire._connections] == ["127.0.0.1", "127.0.0.2"]


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("sip:nowhere.example", "nowhere.example: the DNS has no IPv4 address"),
        ("sip:127.0.0.1;edge=mars", "there is no [edges.mars] on this node"),
        (
            "sip:127.0.0.1;edge=other;transport=udp",
            "[edges.other] listen has no udp socket for IPv4",
        ),
        ("sips:127.0.0.1", "[src] listen has no tls socket for IPv4"),
        ("sip:[::1]", "[src] listen has no tcp socket for IPv6"),
    ],
)
def test_recorder_out_of_reach_is_told(node: ProbeNode, uri: str, why: str) -> None:
    answer = node.ask("ask", uri=uri, profile="")
    assert (answer["answered"], answer["text"]) == (False, why)


def test_route_over_tls_without_a_tls_proxy_is_told(node: ProbeNode) -> None:
    answer = node.ask("route", uri="sips:127.0.0.1", profile="p1")
    assert (answer["route"], answer["why"]) == (None, "this node has no TLS proxy")


# What a real Kamailio does not do on command


class Asked:
    """Probes without a Kamailio; time passes when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, selector: selectors.BaseSelector) -> None:
        self._now_s = 100.0
        monkeypatch.setattr(probes_module, "monotonic_s", lambda: self._now_s)
        settings = Settings(src=SrcSettings(listen=("udp:127.0.0.1:5070",)))
        addresses = Addresses(Runtime(settings=settings, node="n", route_key=""))
        self.probes = Probes(
            addresses=addresses,
            resolver=Resolver(lambda: None, addresses),
            doors=Doors(selector),
            sender=Sender(),
            port=40_000,
        )
        self.results: list[ProbeResult] = []

    def ask(self) -> None:
        """Ask a recorder over UDP."""
        uri = parse_srs_uri("sip:127.0.0.1;transport=udp")
        self.probes.ask(uri, "", self.results.append)

    def until(self, due_s: float) -> None:
        """Let time pass."""
        self._now_s = due_s
        self.probes.care()


@pytest.fixture
def asked(ksr: StrictKsr, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    with selectors.DefaultSelector() as selector:
        yield Asked(monkeypatch, selector)


def test_probe_that_tm_does_not_take_is_told(ksr: StrictKsr, asked: Asked) -> None:
    ksr.returns["tm.t_uac_send"] = -1
    asked.ask()
    assert [result.text for result in asked.results] == ["tm could not send OPTIONS"]
    assert asked.probes.next_due_s() is None


def test_probe_whose_answer_gets_lost_comes_to_an_end(ksr: StrictKsr, asked: Asked) -> None:
    asked.ask()
    due_s = asked.probes.next_due_s()
    assert due_s is not None
    asked.until(due_s - 0.01)
    assert asked.results == []
    asked.until(due_s)
    assert [result.text for result in asked.results] == ["the answer to OPTIONS got lost"]
    assert not asked.results[0].answered
    (headers,) = [str(arguments[4]) for arguments in ksr.named("tm.t_uac_send")]
    call_id = headers.partition("Call-ID: ")[2].partition("\r\n")[0]
    late = SrsReplied(call_id=call_id, method="OPTIONS", cseq=1, status=200)
    assert asked.probes.take(late)
    assert len(asked.results) == 1


def test_reply_to_something_else_is_not_taken(asked: Asked) -> None:
    other = SrsReplied(call_id="SR1-1-1", method="OPTIONS", cseq=1, status=200)
    assert not asked.probes.take(other)
