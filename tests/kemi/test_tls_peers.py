"""Ways to recorders over TLS: real Kamailio, real TLS proxy, real certificates."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kemi.name_server import NameServer
from tests.kemi.probe_node import ProbeNode
from tests.tls.proxy import profile
from tests.tls.site import Site
from tests.tls.tls_wire import TlsPhone

pytestmark = pytest.mark.daemon

HOST = "srs.example.com"


class Peers:
    """A node with a TLS proxy, whose profiles are `good`, `other` and `lax`."""

    def __init__(self, site: Site, node: ProbeNode, names: NameServer) -> None:
        self.site = site
        self.node = node
        self.names = names

    def load(self, *profiles: str) -> None:
        """Say which profiles the TLS proxy knows, as its feeder does: at one stroke."""
        part = self.node.loaded.with_suffix(".part")
        part.write_text("".join(f"{name}\n" for name in profiles))
        os.replace(part, self.node.loaded)

    def recorder(self, *names: str, days: int = 1) -> TlsPhone:
        """Start a recorder with a certificate for these names."""
        return self.site.srs(self.site.ca.issue(*(names or (HOST,)), days=days))

    def begin(self, do: str, srs: TlsPhone, host: str = HOST, profile: str = "good") -> int:
        """Ask for the way to a recorder."""
        uri = f"sips:rec@{host}:{srs.tls.address[1]}"
        return self.node.begin(do, uri=uri, profile=profile)

    def probed(
        self, srs: TlsPhone, *, host: str = HOST, do: str = "route", profile: str = "good"
    ) -> dict[str, Any]:
        """Ask for the way to a recorder that answers one probe."""
        number = self.begin(do, srs, host, profile)
        srs.reply(srs.expect("OPTIONS"), 200, "OK")
        return self.node.answer(number)

    def forget(self, srs: TlsPhone, *, host: str = HOST, profile: str = "good") -> None:
        """Forget the way to a recorder, as after 430 Flow Failed."""
        assert self.node.answer(self.begin("forget", srs, host, profile))

    def refused(self, srs: TlsPhone, *, profile: str = "good") -> str:
        """Ask for the way to a recorder with which there is no handshake; give why."""
        number = self.begin("route", srs, profile=profile)
        assert srs.next(1.0) is None
        answer = self.node.answer(number)
        assert answer["route"] is None
        return str(answer["why"])


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    folder = tmp_path_factory.mktemp("peers")
    with Site(folder) as site, NameServer() as names:
        lax = profile("lax", site.other_ca.certificate).replace("= yes", "= no")
        site.start(profiles=lax)
        names.add(HOST, "A", "127.0.0.1")
        inside, outside = (
            f"{host}:{port}" for host, port in (site.proxy.inside, site.proxy.outside)
        )
        node = ProbeNode(
            folder / "node",
            site.ports,
            src_inside=f"127.0.0.1:{site.ports.take()}",
            tls=(outside, inside),
            nameserver=names.address,
        )
        with node:
            made = Peers(site, node, names)
            made.load("good", "other", "lax")
            yield made


def test_recorder_with_the_right_certificate_has_a_way(peers: Peers) -> None:
    srs = peers.recorder(HOST, "127.0.0.1")
    number = peers.begin("route", srs)
    request = srs.expect("OPTIONS")
    outside = f"127.0.0.1:{peers.site.proxy.outside[1]}"
    assert request.start == f"OPTIONS sips:rec@{HOST}:{srs.tls.address[1]} SIP/2.0"
    assert request.one("Contact") == f"<sips:siprec@{outside}>;+sip.src"
    assert request.one("From").startswith(f"<sip:siprec@{outside}>;tag=")
    assert "profile" not in str(request)
    srs.reply(request, 405, "Method Not Allowed")
    answer = peers.node.answer(number)
    assert answer["why"] == ""
    route = answer["route"]
    assert f"hop=127.0.0.1:{srs.tls.address[1]};con=" in route["route"]
    assert route["target"] == {"ip": "127.0.0.1", "port": srs.tls.address[1], "transport": "tls"}
    assert route["address"]["shown"] == outside
    assert route["address"]["inside"] == f"127.0.0.1:{peers.site.proxy.inside[1]}"
    assert route["certificate_until_ms"] > 0
    assert srs.tls.names_asked == [HOST]


def test_recorder_in_numbers_is_known_by_its_address_and_asked_for_no_name(peers: Peers) -> None:
    srs = peers.recorder("127.0.0.1")
    assert peers.probed(srs, host="127.0.0.1")["route"]
    assert srs.tls.names_asked == [None]


def test_way_is_kept_until_it_is_forgotten(peers: Peers) -> None:
    srs = peers.recorder()
    route = peers.probed(srs)["route"]
    for _ in range(3):
        assert peers.node.answer(peers.begin("route", srs))["route"] == route
    peers.forget(srs, profile="other")
    assert peers.node.answer(peers.begin("route", srs))["route"] == route
    # Names are the same in any case.
    peers.forget(srs, host=HOST.upper())
    assert peers.probed(srs)["route"] == route
    assert len(srs.tls.peers) == 1


def test_way_that_was_lost_is_found_anew(peers: Peers) -> None:
    srs = peers.recorder()
    route = peers.probed(srs)["route"]
    srs.tls.cut()
    peers.site.proxy.notices_end_of(srs.tls.address[1])
    peers.forget(srs)
    again = peers.probed(srs)["route"]
    assert again["target"] == route["target"]
    assert again["route"] != route["route"]


def test_check_probes_again_and_keeps_or_forgets_the_way(peers: Peers) -> None:
    srs = peers.recorder()
    route = peers.probed(srs)["route"]
    assert peers.probed(srs, do="check")["route"] == route
    number = peers.begin("check", srs)
    srs.expect("OPTIONS")
    answer = peers.node.answer(number)
    assert (answer["route"], answer["why"]) == (None, "no answer to OPTIONS within 5 s")
    assert peers.probed(srs)["route"] == route


def test_questions_at_once_share_a_probe(peers: Peers) -> None:
    srs = peers.recorder()
    numbers = [peers.begin(do, srs) for do in ("route", "check", "route")]
    srs.reply(srs.expect("OPTIONS"), 200, "OK")
    routes = [peers.node.answer(number)["route"] for number in numbers]
    assert routes[0] == routes[1] == routes[2]
    assert routes[0] is not None
    assert srs.hears_nothing()


# Whom we do not talk with


def test_certificate_for_another_host_is_no_way(peers: Peers) -> None:
    srs = peers.recorder("other.example", "*.example.com")
    for do in ("route", "route", "check"):
        answer = peers.probed(srs, do=do)
        assert answer["route"] is None
        assert answer["why"] == f"certificate of {HOST} is for other.example, *.example.com"


def test_certificate_that_expired_is_no_way(peers: Peers) -> None:
    why = peers.refused(peers.recorder(HOST, days=-2))
    assert why == (
        "TLS connection failed: untrusted, expired or refused; see the log of the TLS proxy"
    )


def test_certificate_of_another_authority_is_no_way(peers: Peers) -> None:
    assert peers.refused(peers.recorder(), profile="other").startswith("TLS connection failed")


def test_certificate_that_nobody_verified_is_no_way(peers: Peers) -> None:
    answer = peers.probed(peers.recorder(), profile="lax")
    assert answer["route"] is None
    assert answer["why"] == f"certificate of {HOST} was not verified"


def test_recorder_without_tls_at_all_is_no_way(peers: Peers) -> None:
    number = peers.node.begin("route", uri=f"sips:{HOST}:{peers.site.ports.take()}", profile="good")
    assert peers.node.answer(number)["why"].startswith("TLS connection failed")


def test_address_in_use_with_another_profile_is_told(peers: Peers) -> None:
    srs = peers.recorder()
    assert peers.probed(srs)["route"]
    why = peers.refused(srs, profile="other")
    assert why == "another connector already uses this address with another TLS profile"


def test_name_that_leads_nowhere_is_told(peers: Peers) -> None:
    answer = peers.node.ask("route", uri="sips:nowhere.example", profile="good")
    assert answer["why"] == "nowhere.example: the DNS has no IPv4 address"


# Profiles


def test_profile_that_is_not_loaded_yet_is_waited_for(peers: Peers) -> None:
    srs = peers.site.srs(peers.site.other_ca.issue(HOST))
    peers.load("good", "lax")
    number = peers.begin("route", srs, profile="other")
    # Before the TLS proxy knows it, it would trust nobody.
    assert srs.hears_nothing()
    peers.load("good", "other", "lax")
    srs.reply(srs.expect("OPTIONS"), 200, "OK")
    assert peers.node.answer(number)["route"]


def test_profile_that_is_never_loaded_is_given_up(peers: Peers) -> None:
    srs = peers.recorder()
    answer = peers.node.answer(peers.begin("route", srs, profile="unheard-of"))
    assert answer["route"] is None
    assert answer["why"] == "the TLS proxy has not loaded profile unheard-of within 5 s"


def test_profiles_are_waited_for_while_there_is_no_list(peers: Peers) -> None:
    srs = peers.recorder()
    peers.node.loaded.unlink()
    number = peers.begin("route", srs)
    assert srs.hears_nothing()
    peers.load("good", "other", "lax")
    srs.reply(srs.expect("OPTIONS"), 200, "OK")
    assert peers.node.answer(number)["route"]
