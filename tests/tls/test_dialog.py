"""A recording session through the TLS proxy: both sides' requests, and its restart."""

import pytest

from tests.scenarios.phone import Phone
from tests.scenarios.polling import poll
from tests.scenarios.sip_text import Message
from tests.tls.site import Node, Site, call, way
from tests.tls.tls_wire import TlsPhone

pytestmark = pytest.mark.daemon

SECRETS = ("X-TLS", "hop=", "con=", "profile=")


def _is_clean(message: Message, site: Site) -> bool:
    """Tell that the way to the recorder is not shown to it."""
    words = (*SECRETS, f":{site.proxy.inside[1]}")
    return not any(word in str(message) for word in words)


def test_session_both_sides_send_requests_all_arrive(site: Site) -> None:
    src, srs = site.src, site.srs()
    invite, answer = call(src, srs, way(site.probe(srs)))
    assert _is_clean(invite, site)
    assert invite.all("Route") == invite.all("Record-Route") == []
    assert answer.one("Contact") == f"<{srs.contact}>"
    for method in ("INVITE", "UPDATE", "OPTIONS", "INFO"):
        request = _exchange(src, srs, method)
        assert request.all("Route") == []
        assert _is_clean(request, site)
    for method in ("INVITE", "UPDATE", "OPTIONS", "INFO", "BYE"):
        srs.proxy = srs.tls.peers[0]
        request = _exchange(srs, src, method)
        assert request.uri == src.contact
    assert len(srs.tls.peers) == 1


def _exchange(sender: Phone, receiver: Phone, method: str) -> Message:
    sdp = sender.sdp() if method in ("INVITE", "UPDATE") else ""
    sender.request(method, sdp=sdp)
    request = receiver.expect(method)
    receiver.reply(request, 200, "OK", sdp=receiver.sdp() if sdp else "")
    reply = sender.expect(200)
    if method == "INVITE":
        sender.send(sender.compose("ACK", cseq=reply.cseq))
        receiver.expect("ACK")
    return request


def test_session_srs_opens_connection_of_its_own_bye_arrives(site: Site) -> None:
    src, srs = site.src, site.srs()
    call(src, srs, way(site.probe(srs)))
    _exchange(srs, src, "BYE")
    assert len(srs.tls.peers) == 2


def test_session_large_bodies_arrive_whole(site: Site) -> None:
    src, srs = site.src, site.srs()
    route = way(site.probe(srs))
    sdp = src.sdp() + "".join(f"a=note:{number:>090}\r\n" for number in range(500))
    src.invite("srs", uri="sip:srs.example.com", sdp=sdp, headers=[("Route", route)])
    invite = srs.expect("INVITE")
    assert invite.body == sdp
    srs.reply(invite, 200, "OK", sdp=sdp)
    assert src.expect(200).body == sdp


def test_invite_cancelled_srs_hears_cancel(site: Site) -> None:
    src, srs = site.src, site.srs()
    route = way(site.probe(srs))
    src.invite("srs", uri="sip:srs.example.com", headers=[("Route", route)])
    invite = srs.expect("INVITE")
    srs.reply(invite, 180, "Ringing")
    src.expect(180)
    src.cancel()
    srs.reply(srs.expect("CANCEL"), 200, "OK")
    srs.reply(invite, 487, "Request Terminated")
    assert {src.expect(200, 487).status, src.expect(200, 487).status} == {200, 487}
    src.ack_refusal(Message("SIP/2.0 487 Request Terminated", (*invite.headers,)))
    srs.expect("ACK")


def test_connection_lost_request_fails_at_once_and_works_after_probe(site: Site) -> None:
    src, srs = site.src, site.srs()
    call(src, srs, way(site.probe(srs)))
    srs.tls.cut()
    site.proxy.notices_end_of(srs.tls.address[1])
    _fails_until_probed(site, src, srs)


def test_tls_proxy_killed_mid_session_works_after_probe(site: Site) -> None:
    src, srs = site.src, site.srs()
    call(src, srs, way(site.probe(srs)))
    site.proxy.kill()
    poll(lambda: srs.next(0.02) or not srs.tls.peers)
    site.proxy.start()
    # Connections are numbered from 1 again: this one must not be taken for the lost one.
    _probe_beside(site, srs)
    _fails_until_probed(site, src, srs)


def test_tls_proxy_killed_mid_session_srs_reaches_us_again(site: Site) -> None:
    src, srs = site.src, site.srs()
    call(src, srs, way(site.probe(srs)))
    site.proxy.kill()
    poll(lambda: srs.next(0.02) or not srs.tls.peers)
    site.proxy.start()
    _exchange(srs, src, "INVITE")
    _exchange(srs, src, "BYE")


def _fails_until_probed(site: Site, src: Node, srs: TlsPhone) -> None:
    src.request("BYE")
    assert src.expect(430, within_s=1).start == "SIP/2.0 430 Flow Failed"
    src.routes = [_probe_beside(site, srs)]
    _exchange(src, srs, "BYE")


def _probe_beside(site: Site, srs: TlsPhone) -> str:
    """Probe without touching the dialog of the client; give the new way."""
    with Node() as prober:
        prober.proxy, prober.behind = site.src.proxy, site.src.behind
        prober.probe(site.route(srs.tls.address))
        srs.reply(srs.expect("OPTIONS"), 200, "OK")
        return way(prober.expect(200))
