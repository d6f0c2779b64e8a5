"""Names of recorders, against a real name server."""

import selectors
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from siprec.settings import EdgeSettings, Runtime, Settings, SrcSettings
from siprec.srs_uri import parse_srs_uri
from siprec_kemi.src import resolver as resolver_module
from siprec_kemi.src.addresses import Addresses
from siprec_kemi.src.mail import Mailbox
from siprec_kemi.src.resolver import FAILED_S, MAX_TARGETS, Resolver, Target
from tests.kemi.name_server import NameServer

DUAL = ("udp:127.0.0.1:1", "tcp:127.0.0.1:1", "tcp:[::1]:1")


class Client:
    """A resolver in a loop, as a controller has it."""

    def __init__(self, mailbox: Mailbox, nameserver: str, hosts: Path) -> None:
        self._mailbox = mailbox
        edges = (EdgeSettings(name="four", listen=("tcp:127.0.0.1:2",)),)
        settings = Settings(src=SrcSettings(listen=DUAL), edges=edges)
        addresses = Addresses(Runtime(settings=settings, node="n", route_key=""))
        self.resolver = Resolver(mailbox.wake, addresses, nameserver=nameserver, hosts=hosts)
        self.answers: list[tuple[tuple[Target, ...], str]] = []

    def ask(self, uri: str) -> None:
        """Ask, and do not wait."""
        self.resolver.resolve(parse_srs_uri(uri), lambda *answer: self.answers.append(answer))

    def wait(self, count: int = 1) -> None:
        """Wait for so many answers in all."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._mailbox, selectors.EVENT_READ)
            while len(self.answers) < count:
                assert selector.select(10.0)
                self._mailbox.receive()
                self.resolver.deliver()

    def find(self, uri: str) -> list[str]:
        """Ask, wait, and give the targets as `IP:PORT`."""
        targets, why = self.answer(uri)
        assert targets, why
        return [target.host_port for target in targets]

    def why(self, uri: str) -> str:
        """Ask, wait, and give why there are none."""
        targets, why = self.answer(uri)
        assert targets == ()
        return why

    def answer(self, uri: str) -> tuple[tuple[Target, ...], str]:
        """Ask, and wait."""
        self.answers.clear()
        self.ask(uri)
        self.wait()
        return self.answers.pop()


@pytest.fixture
def names() -> Iterator[NameServer]:
    with NameServer() as server:
        yield server


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    return tmp_path / "hosts"


@pytest.fixture
def client(names: NameServer, hosts: Path) -> Iterator[Client]:
    mailbox = Mailbox()
    yield Client(mailbox, names.address, hosts)
    mailbox._socket.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Give a function that lets time pass for the resolver."""
    now = [1_000.0]
    monkeypatch.setattr(resolver_module, "monotonic_s", lambda: now[0])

    def later(seconds: float) -> None:
        now[0] += seconds

    return later


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("sip:192.0.2.1", Target("192.0.2.1", 5060, "tcp")),
        ("sip:192.0.2.1:7;transport=udp", Target("192.0.2.1", 7, "udp")),
        ("sips:[2001:db8::1]", Target("2001:db8::1", 5061, "tls")),
    ],
)
def test_address_in_numbers_is_given_at_once(
    client: Client, names: NameServer, uri: str, target: Target
) -> None:
    client.ask(uri)
    assert client.answers == [((target,), "")]
    assert names.queries == []


# Ports, SRV


def test_name_with_port_has_all_its_addresses_and_no_srv(client: Client, names: NameServer) -> None:
    names.add("srs.example", "A", "192.0.2.1", "192.0.2.2")
    names.add("srs.example", "AAAA", "2001:db8::1")
    names.add("_sip._tcp.srs.example", "SRV", "0 0 9 other.example.")
    found = client.find("sip:SRS.example:5080")
    assert sorted(found[:2]) == ["192.0.2.1:5080", "192.0.2.2:5080"]
    assert found[2:] == ["[2001:db8::1]:5080"]
    assert sorted(names.queries) == ["srs.example A", "srs.example AAAA"]


@pytest.mark.parametrize(
    ("uri", "service", "port"),
    [
        ("sip:srs.example", "_sip._tcp", 5060),
        ("sip:srs.example;transport=udp", "_sip._udp", 5060),
    ],
)
def test_name_without_port_and_srv_has_the_default_port(
    client: Client, names: NameServer, uri: str, service: str, port: int
) -> None:
    names.add("srs.example", "A", "192.0.2.1")
    assert client.find(uri) == [f"192.0.2.1:{port}"]
    assert names.queries[0] == f"{service}.srs.example SRV"


@pytest.mark.parametrize(
    ("uri", "service"),
    [
        ("sip:srs.example", "_sip._tcp"),
        ("sip:srs.example;transport=udp", "_sip._udp"),
    ],
)
def test_srv_leads_to_names_and_ports(
    client: Client, names: NameServer, uri: str, service: str
) -> None:
    names.add(f"{service}.srs.example", "SRV", "20 0 5082 b.example.", "10 0 5081 a.example.")
    names.add("a.example", "A", "192.0.2.1", "192.0.2.2")
    names.add("b.example", "A", "192.0.2.3")
    found = client.find(uri)
    assert sorted(found[:2]) == ["192.0.2.1:5081", "192.0.2.2:5081"]
    assert found[2:] == ["192.0.2.3:5082"]


def test_tls_has_a_service_and_a_port_of_its_own(names: NameServer, hosts: Path) -> None:
    mailbox = Mailbox()
    client = Client(mailbox, names.address, hosts)
    # Both families, for no addresses are given.
    client.resolver = Resolver(mailbox.wake, nameserver=names.address, hosts=hosts)
    names.add("_sips._tcp.srs.example", "SRV", "0 0 5099 a.example.")
    names.add("a.example", "AAAA", "2001:db8::1")
    names.add("bare.example", "A", "192.0.2.1")
    assert client.find("sips:srs.example") == ["[2001:db8::1]:5099"]
    assert client.find("sip:bare.example;secure=true") == ["192.0.2.1:5061"]
    mailbox._socket.close()


def test_srv_of_one_priority_is_shared_by_weight(client: Client, names: NameServer) -> None:
    names.add("_sip._tcp.srs.example", "SRV", "1 30 1 a.example.", "1 10 2 a.example.")
    names.add("a.example", "A", "192.0.2.1")
    firsts = Counter(client.find("sip:srs.example")[0] for _ in range(1_000))
    assert 680 < firsts["192.0.2.1:1"] < 820
    assert len(names.queries) == 3


def test_srv_target_without_address_is_passed_over(client: Client, names: NameServer) -> None:
    names.add("_sip._tcp.srs.example", "SRV", "1 0 1 gone.example.", "2 0 2 a.example.")
    names.add("a.example", "A", "192.0.2.1")
    assert client.find("sip:srs.example") == ["192.0.2.1:2"]


def test_srv_that_denies_the_service_is_told(client: Client, names: NameServer) -> None:
    names.add("_sip._tcp.srs.example", "SRV", "0 0 0 .")
    names.add("srs.example", "A", "192.0.2.1")
    assert client.why("sip:srs.example") == "srs.example: it offers no SIP over tcp"


@pytest.mark.parametrize("fault", ["silent", "failing"])
def test_srv_that_the_name_server_cannot_do_is_done_without(
    client: Client, names: NameServer, fault: str
) -> None:
    getattr(names, fault).add("SRV")
    names.add("srs.example", "A", "192.0.2.1")
    assert client.find("sip:srs.example") == ["192.0.2.1:5060"]


def test_targets_are_not_endless(client: Client, names: NameServer) -> None:
    names.add("srs.example", "A", *(f"192.0.2.{n}" for n in range(1, 30)))
    assert len(client.find("sip:srs.example:1")) == MAX_TARGETS


# Families


def test_family_without_a_socket_is_not_asked_for(client: Client, names: NameServer) -> None:
    names.add("srs.example", "A", "192.0.2.1")
    names.add("srs.example", "AAAA", "2001:db8::1")
    assert client.find("sip:srs.example:1;edge=four") == ["192.0.2.1:1"]
    assert client.find("sip:srs.example:1;transport=udp") == ["192.0.2.1:1"]
    assert set(names.queries) == {"srs.example A"}


def test_family_that_fails_leaves_the_other(client: Client, names: NameServer) -> None:
    names.failing.add("AAAA")
    names.add("srs.example", "A", "192.0.2.1")
    assert client.find("sip:srs.example:1") == ["192.0.2.1:1"]


def test_edge_that_is_unknown_is_told(client: Client) -> None:
    client.ask("sip:srs.example;edge=mars")
    assert client.answers == [((), "there is no [edges.mars] on this node")]


# /etc/hosts


def test_name_in_hosts_is_taken_from_there(client: Client, names: NameServer, hosts: Path) -> None:
    hosts.write_text("# 192.0.2.8 srs\n192.0.2.9 x Srs\n::1 srs # and so on\nnonsense srs\n\n")
    assert client.find("sip:srs") == ["192.0.2.9:5060", "[::1]:5060"]
    assert client.find("sip:srs;edge=four") == ["192.0.2.9:5060"]
    assert names.queries == []


def test_localhost_is_known(names: NameServer) -> None:
    mailbox = Mailbox()
    client = Client(mailbox, names.address, resolver_module.HOSTS)
    assert "127.0.0.1:5060" in client.find("sip:localhost")
    mailbox._socket.close()


# Failures


def test_name_that_is_unknown_is_told(client: Client) -> None:
    why = client.why("sip:nowhere.example")
    assert why == "nowhere.example: the DNS has no IPv4 or IPv6 address"
    why = client.why("sip:nowhere.example;transport=udp")
    assert why == "nowhere.example: the DNS has no IPv4 address"


def test_name_server_that_is_silent_is_given_up(client: Client, names: NameServer) -> None:
    names.silent |= {"SRV", "A", "AAAA"}
    assert client.why("sip:srs.example") == "srs.example: no answer of the name server within 3 s"


def test_name_server_that_fails_is_told(client: Client, names: NameServer) -> None:
    names.failing |= {"A", "AAAA"}
    assert client.why("sip:srs.example:1").startswith("srs.example: All nameservers failed")


def test_name_server_of_the_environment_is_asked(
    names: NameServer, hosts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIPREC_NAMESERVER", names.address)
    names.add("srs.example", "A", "192.0.2.1")
    mailbox = Mailbox()
    assert Client(mailbox, "", hosts).find("sip:srs.example:1") == ["192.0.2.1:1"]
    mailbox._socket.close()


# Freshness


def test_question_asked_twice_is_looked_up_once(client: Client, names: NameServer) -> None:
    names.add("srs.example", "A", "192.0.2.1")
    for _ in range(3):
        client.ask("sip:srs.example:1")
    client.wait(3)
    assert client.answers == [((Target("192.0.2.1", 1, "tcp"),), "")] * 3
    assert len(names.queries) == 2


@pytest.mark.parametrize(("ttl", "fresh_s"), [(0, 5), (7, 7), (20, 20), (3_600, 60)])
def test_answer_is_fresh_for_its_ttl_in_bounds(
    client: Client, names: NameServer, clock: Callable[[float], None], ttl: int, fresh_s: int
) -> None:
    names.add("srs.example", "CNAME", "real.example.", ttl=ttl)
    names.add("real.example", "A", "192.0.2.1", ttl=9_999)
    assert client.find("sip:srs.example:1;edge=four") == ["192.0.2.1:1"]
    names.add("real.example", "A", "192.0.2.2")
    clock(fresh_s - 0.1)
    assert client.find("sip:srs.example:1;edge=four") == ["192.0.2.1:1"]
    clock(0.1)
    assert client.find("sip:srs.example:1;edge=four") == ["192.0.2.2:1"]


def test_failure_is_kept_for_a_moment(
    client: Client, names: NameServer, clock: Callable[[float], None]
) -> None:
    client.why("sip:srs.example:1")
    names.add("srs.example", "A", "192.0.2.1")
    clock(FAILED_S - 0.1)
    client.why("sip:srs.example:1")
    clock(0.1)
    assert client.find("sip:srs.example:1") == ["192.0.2.1:1"]
