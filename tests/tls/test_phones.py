"""Calls of endpoints that speak TLS, through the TLS proxy and the real proxy role."""

from collections.abc import Iterator

import pytest

from siprec.actions import EndCall
from siprec.connector import Connector, Srs
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.stack import Stack
from tests.tls.site import Site
from tests.tls.tls_wire import TlsPhone

pytestmark = pytest.mark.daemon

BEHIND_NAT = "10.77.0.5:5061"


@pytest.fixture(scope="module")
def callee() -> Iterator[Phone]:
    """Run the callee, which is the gateway of the stack."""
    with Phone("callee", ("", 0)) as phone:
        yield phone


@pytest.fixture(scope="module")
def stack(callee: Phone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a stack that routes every call to the callee."""
    with Stack(tmp_path_factory.mktemp("stack"), gateway_port=callee.wire.address[1]) as stack:
        yield stack


@pytest.fixture
def site(bare_site: Site, stack: Stack, callee: Phone) -> Site:
    """Run a TLS proxy that takes calls for the stack."""
    proxy = f"sip:127.0.0.1:{stack.sip_port}"
    bare_site.start({"PROXY_URI": proxy, "CALLERS": "127.0.0.0/8"})
    callee.proxy = ("127.0.0.1", stack.sip_port)
    return bare_site


@pytest.fixture(params=[None, BEHIND_NAT], ids=["open", "nat"])
def caller(request: pytest.FixtureRequest, site: Site) -> TlsPhone:
    """Run an endpoint with TLS, behind a NAT or not."""
    return site.phone("caller", claims=request.param)


def _renegotiate(who: Phone, other: Phone) -> None:
    who.request("INVITE", sdp=who.sdp())
    reinvite = other.expect("INVITE")
    other.reply(reinvite, 200, "OK", sdp=other.sdp())
    reply = who.expect(200)
    who.send(who.compose("ACK", cseq=reply.cseq))
    other.expect("ACK")


@pytest.mark.parametrize("ends_by", ["caller", "callee"])
def test_call_from_tls_both_sides_send_requests_all_arrive(
    caller: TlsPhone, callee: Phone, ends_by: str
) -> None:
    caller.invite("+15550100")
    answer(caller, callee)
    _renegotiate(caller, callee)
    _renegotiate(callee, caller)
    if ends_by == "caller":
        hang_up(caller, callee)
    else:
        hang_up(callee, caller)
    assert len(caller.tls.peers) == 1


def test_call_from_tls_cancelled_callee_hears(caller: TlsPhone, callee: Phone) -> None:
    caller.invite("+15550100")
    invite = callee.expect("INVITE")
    callee.reply(invite, 180, "Ringing")
    caller.expect(180)
    caller.cancel()
    callee.reply(callee.expect("CANCEL"), 200, "OK")
    callee.reply(invite, 487, "Request Terminated")
    refusal = {reply.status: reply for reply in (caller.expect(200, 487), caller.expect(200, 487))}
    caller.ack_refusal(refusal[487])
    callee.expect("ACK")


def test_call_from_tls_endpoint_gone_callee_told_at_once(
    site: Site, caller: TlsPhone, callee: Phone
) -> None:
    caller.invite("+15550100")
    answer(caller, callee)
    caller.tls.cut()
    site.proxy.notices_end_of(site.proxy.outside[1])
    callee.request("BYE")
    assert callee.expect(430, within_s=2)


def test_call_from_tls_of_unlisted_caller_refused(
    bare_site: Site, stack: Stack, callee: Phone
) -> None:
    proxy = f"sip:127.0.0.1:{stack.sip_port}"
    bare_site.start({"PROXY_URI": proxy, "CALLERS": "192.0.2.0/24"})
    caller = bare_site.phone("caller")
    caller.invite("+15550100")
    caller.ack_refusal(caller.expect(403))
    assert callee.hears_nothing()


def test_call_from_tls_that_nobody_records_any_more_is_ended(
    caller: TlsPhone, callee: Phone, stack: Stack
) -> None:
    account_sid = stack.runtime.settings.account.sid or ""
    recorder = Srs(uri=f"sip:127.0.0.1:{stack.ports.take()}")
    stack.store.put_connector(
        Connector(
            account_sid=account_sid, name="Must", srs=(recorder,), required=True, end_call_s=5
        )
    )
    start = '<Start><Siprec name="all" connectorName="Must"/></Start>'
    stack.set_number("+15550101", start, "<Dial><Number>+15550101</Number></Dial>")
    caller.invite("+15550101")
    answer(caller, callee)
    action = EndCall(
        call_sid="CA" + "0" * 32,
        account_sid="",
        sip_call_id=caller.call_id,
        from_tag=caller.tag,
        to_tag=callee.tag,
        reason="nobody records it any more",
    )
    stack.store.orders.action(stack.runtime.node, action)
    for phone in (caller, callee):
        bye = phone.expect("BYE")
        assert bye.to_tag == phone.tag
        phone.reply(bye, 200, "OK")
        assert phone.hears_nothing()
    assert len(caller.tls.peers) == 1
