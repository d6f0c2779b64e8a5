"""What OPTIONS tells the client of a recorder, and with whom no connection comes about."""

import ssl
import warnings

import pytest
from cryptography import x509

from tests.scenarios.sip_text import Message
from tests.tls.proxy import profile
from tests.tls.site import SRS, Node, Site, call, certificate_of, parameters, way

pytestmark = pytest.mark.daemon


def test_probe_shows_peer_and_way(site: Site) -> None:
    names = (SRS, *(f"srs-{number}.recorders.example.com" for number in range(40)), "192.0.2.1")
    srs = site.srs(site.ca.issue(*names))
    reply = site.probe(srs)
    assert reply.one("X-TLS-Verified") == "1"
    assert reply.one("X-TLS-Version") == "TLSv1.3"
    assert reply.one("X-TLS-Cipher") == "TLS_AES_256_GCM_SHA384"
    sans = certificate_of(reply).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert sans.value.get_values_for_type(x509.DNSName) == [*names[:-1]]
    assert [str(each) for each in sans.value.get_values_for_type(x509.IPAddress)] == [names[-1]]
    assert dict(parameters(way(reply)))["hop"] == f"127.0.0.1:{srs.tls.address[1]}"
    assert srs.tls.names_asked == [SRS]


def test_probe_request_shows_nothing_of_the_inside(site: Site) -> None:
    srs = site.srs()
    site.src.probe(site.route(srs.tls.address))
    request = srs.expect("OPTIONS")
    assert "profile" not in str(request)
    assert request.all("Route") == []


def test_probe_again_same_connection(site: Site) -> None:
    srs = site.srs()
    assert way(site.probe(srs)) == way(site.probe(srs))
    assert len(srs.tls.peers) == 1


def test_probe_wrong_host_shows_the_names_before_any_invite(site: Site) -> None:
    srs = site.srs(site.ca.issue("someone-else.example.com"))
    certificate = certificate_of(site.probe(srs))
    sans = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert sans.value.get_values_for_type(x509.DNSName) == ["someone-else.example.com"]


def test_probe_forged_headers_of_srs_dropped(site: Site) -> None:
    srs = site.srs()
    site.src.probe(site.route(srs.tls.address))
    forged = [("X-TLS-Verified", "1"), ("x-tls-route", "<sip:evil>"), ("X-TLS-Certificate", "evil")]
    srs.reply(srs.expect("OPTIONS"), 200, "OK", headers=forged)
    reply = site.src.expect(200)
    assert [len(reply.all(name)) for name, _ in forged] == [1, 1, 1]
    assert "evil" not in str(reply)


def test_probe_refused_by_srs_is_still_alive(site: Site) -> None:
    srs = site.srs()
    site.src.probe(site.route(srs.tls.address))
    srs.reply(srs.expect("OPTIONS"), 405, "Method Not Allowed")
    assert way(site.src.expect(405))


def test_probe_wrong_authority_fails_at_once(site: Site) -> None:
    srs = site.srs(site.other_ca.issue(SRS))
    assert "UNKNOWN_CA" in site.probe_in_vain(srs)
    assert way(site.probe(srs, profile="other"))


def test_probe_expired_certificate_fails_at_once(site: Site) -> None:
    assert "EXPIRED" in site.probe_in_vain(site.srs(site.ca.issue(SRS, days=-2)))


def test_probe_unknown_profile_trusts_nobody(site: Site) -> None:
    assert "UNKNOWN_CA" in site.probe_in_vain(site.srs(), profile="nobody")


def test_probe_srs_wants_client_certificate(site: Site) -> None:
    srs = site.srs(trusted=site.ca.certificate)
    assert way(site.probe(srs))


def test_probe_without_client_certificate_fails_at_once(site: Site) -> None:
    srs = site.srs(site.other_ca.issue(SRS), trusted=site.ca.certificate)
    assert "DID_NOT_RETURN" in site.probe_in_vain(srs, profile="other")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_probe_old_tls_fails_at_once(site: Site, version: ssl.TLSVersion) -> None:
    srs = site.srs()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        srs.tls.limit(version)
    assert "UNSUPPORTED_PROTOCOL" in site.probe_in_vain(srs)


def test_probe_tls_1_2_works(site: Site) -> None:
    srs = site.srs()
    srs.tls.limit(ssl.TLSVersion.TLSv1_2)
    assert site.probe(srs).one("X-TLS-Version") == "TLSv1.2"


def test_probe_refused_connection_fails_at_once(site: Site) -> None:
    site.src.probe(site.route(("127.0.0.1", site.ports.take())))
    assert site.src.expect(503, within_s=1)


def test_probe_other_profile_same_address_refused(site: Site) -> None:
    """An open connection is used whatever the profile: that must not happen unseen."""
    srs = site.srs()
    site.probe(srs)
    site.src.probe(site.route(srs.tls.address, profile="other"))
    assert "Another Profile" in site.src.expect(403).start


def test_invite_without_probe_refused_and_opens_nothing(site: Site) -> None:
    srs = site.srs()
    for secret in ("", ";con=1.1", ";profile=good", ";profile=good;con=x"):
        hop = f"127.0.0.1:{srs.tls.address[1]}"
        route = f"<sip:127.0.0.1:{site.proxy.inside[1]};lr;hop={hop}{secret}>"
        invite = site.src.invite("srs", uri=f"sip:{SRS}", headers=[("Route", route)])
        assert site.src.expect(430).status == 430
        site.src.ack_refusal(Message("", invite.headers))
    assert srs.hears_nothing()
    assert srs.tls.peers == []


def test_profile_that_verifies_nothing_offers_no_way(bare_site: Site) -> None:
    site = bare_site
    site.start(profiles=profile("lax", site.other_ca.certificate).replace("= yes", "= no"))
    reply = site.probe(site.srs(), profile="lax")
    assert (reply.one("X-TLS-Verified"), way(reply)) == ("0", "")


def test_stranger_on_the_inside_hears_nothing(bare_site: Site) -> None:
    site = bare_site
    site.start({"OWN_NODES": "192.0.2.0/24"})
    srs = site.srs()
    site.src.probe(site.route(srs.tls.address))
    assert srs.hears_nothing()
    assert site.src.hears_nothing()


def test_stranger_on_the_outside_refused(site: Site) -> None:
    """Only requests in a dialog reach the client; calls are not taken at all."""
    stranger = site.phone("stranger")
    host, port = site.proxy.outside
    for uri in (f"sip:siprec@{host}:{port};transport=tls", f"sip:+15550100@{host}:{port}"):
        invite = stranger.invite("siprec", uri=uri)
        assert stranger.expect(403).status == 403
        stranger.ack_refusal(Message("", invite.headers))
    assert site.src.hears_nothing()


def test_stranger_outside_cannot_reach_what_it_routes_to(site: Site) -> None:
    victim = site.src
    stranger = site.phone("stranger")
    stranger.routes = [
        f"<sip:{site.proxy.outside[0]}:{site.proxy.outside[1]};transport=tls;lr>",
        f"<sip:127.0.0.1:{victim.wire.address[1]};lr>",
    ]
    stranger.remote, stranger.remote_tag = "<sip:victim@127.0.0.1>", "1"
    stranger.target = "sip:victim@127.0.0.1"
    stranger.request("MESSAGE")
    assert stranger.expect(403).status == 403
    assert victim.hears_nothing()


def test_session_with_two_recorders_each_on_its_connection(site: Site) -> None:
    first, second = site.srs(), site.srs(site.other_ca.issue(SRS))
    with Node() as other:
        other.proxy, other.behind = site.src.proxy, site.src.behind
        call(site.src, first, way(site.probe(first)))
        route = way(site.probe(second, profile="other"))
        call(other, second, route)
        assert len(first.tls.peers) == len(second.tls.peers) == 1
