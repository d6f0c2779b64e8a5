"""New profiles for a TLS proxy that runs: who is connected does not notice."""

import contextlib

import pytest

from tests.scenarios.polling import poll
from tests.scenarios.sip_text import Message
from tests.tls.proxy import profile
from tests.tls.site import Node, Site, call, way
from tests.tls.tls_wire import TlsPhone

pytestmark = pytest.mark.daemon

RELOADS = 100


def _order(site: Site, user: str = "reload") -> Message:
    """Send OPTIONS to the TLS proxy itself; give its answer."""
    host, port = site.proxy.inside
    with Node() as node:
        node.proxy = site.proxy.inside
        node.target, node.remote = f"sip:{user}@{host}:{port}", f"<sip:{user}@{host}>"
        node.send(node.compose("OPTIONS"))
        return node.expect(200, 500)


def _good(site: Site, *more: str) -> str:
    return "\n".join((profile("good", site.ca.certificate, site.us), *more))


def _exchange(sender: Node, receiver: TlsPhone) -> None:
    sender.request("INFO")
    receiver.reply(receiver.expect("INFO"), 200, "OK")
    sender.expect(200)


def test_reload_new_profile_is_known_and_session_goes_on(site: Site) -> None:
    srs, other = site.srs(), site.srs(site.other_ca.issue("srs.example.com"))
    call(site.src, srs, way(site.probe(srs)))
    peers = srs.tls.peers
    with Node() as prober:
        prober.proxy = site.proxy.inside
        prober.probe(site.route(other.tls.address, profile="late"))
        poll(lambda: other.next(0.02) or other.tls.failures)
        prober.expect(503)
        site.proxy.write(_good(site, profile("late", site.other_ca.certificate)))
        assert _order(site).status == 200
        prober.probe(site.route(other.tls.address, profile="late"))
        other.reply(other.expect("OPTIONS"), 200, "OK")
        assert way(prober.expect(200))
    _exchange(site.src, srs)
    assert srs.tls.peers == peers


def test_reload_profile_taken_away_trusts_nobody(site: Site) -> None:
    site.proxy.write("")
    assert _order(site).status == 200
    assert "UNKNOWN_CA" in site.probe_in_vain(site.srs())


def test_reload_of_a_broken_file_is_refused_and_old_profiles_stay(site: Site) -> None:
    site.proxy.write("[client:any]\nserver_id = x\nserver_name = x\nca_list = /nowhere\n")
    reply = _order(site)
    assert reply.start == "SIP/2.0 500 Profiles Not Loaded"
    assert way(site.probe(site.srs()))


def test_options_to_the_proxy_itself_says_that_it_lives(site: Site) -> None:
    assert _order(site, user="ping").status == 200
    assert "successfully loaded" not in site.proxy.log


def test_reload_ordered_from_outside_is_refused(site: Site) -> None:
    stranger = site.phone("stranger")
    host, port = site.proxy.outside
    for place in (site.proxy.inside, site.proxy.outside):
        stranger.forget()
        stranger.target = f"sip:reload@{place[0]}:{place[1]}"
        stranger.remote = f"<sip:reload@{host}:{port}>"
        stranger.send(stranger.compose("OPTIONS"), to=site.proxy.outside)
        assert stranger.expect(403).status == 403
    assert "successfully loaded" not in site.proxy.log


def test_reload_many_times_under_load_loses_nothing(site: Site) -> None:
    """Each time with requests in a session, and with a connection made anew."""
    srs, other = site.srs(), site.srs()
    call(site.src, srs, way(site.probe(srs)))
    with Node() as prober:
        prober.proxy = site.proxy.inside
        for number in range(RELOADS):
            extra = profile(f"extra-{number}", site.other_ca.certificate)
            site.proxy.write(_good(site, extra))
            prober.probe(site.route(other.tls.address))
            assert _order(site).status == 200
            _exchange(site.src, srs)
            other.reply(other.expect("OPTIONS"), 200, "OK")
            assert way(prober.expect(200))
            with contextlib.suppress(OSError):
                other.tls.cut()
            site.proxy.notices_end_of(other.tls.address[1])
    assert len(srs.tls.peers) == 1
    assert site.proxy.is_running()


def test_connection_of_a_profile_that_is_gone_makes_way(site: Site) -> None:
    srs = site.srs()
    site.probe(srs)
    site.proxy.write(_good(site, profile("next", site.ca.certificate, site.us)))
    assert _order(site).status == 200
    with Node() as prober:
        prober.proxy = site.proxy.inside
        prober.probe(site.route(srs.tls.address, profile="next"))
        assert prober.expect(403).status == 403
        assert _order(site, "gone-good").status == 200
        prober.probe(site.route(srs.tls.address, profile="next"))
        srs.reply(srs.expect("OPTIONS"), 200, "OK")
        assert way(prober.expect(200))
