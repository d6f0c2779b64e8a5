"""Transactions and dialogs over real sockets."""

import pytest

from siprec_srs.message import Request
from tests.srs.conftest import StartSrs
from tests.srs.documents import PARTIAL
from tests.srs.src_client import SrcClient, ports_of

METADATA = [
    ("Content-Type", "application/rs-metadata+xml"),
    ("Content-Disposition", "recording-session"),
]


@pytest.mark.parametrize("tcp", [False, True])
def test_200_is_repeated_until_ack(start_srs: StartSrs, tcp: bool) -> None:
    srs = start_srs("--t1", "50")
    with SrcClient(srs.address, tcp=tcp) as src:
        src.send(src.invite_request())
        answers = [src.response("INVITE") for _ in range(3)]
        assert len({answer.encode() for answer in answers}) == 1
        src.take_dialog(answers[0])
        src.ack(answers[0])
        assert src.bye().status == 200
    summary = srs.ended()
    assert summary["acknowledged"]
    assert summary["problems"] == []


def test_200_without_ack_ends_in_bye(start_srs: StartSrs) -> None:
    srs = start_srs("--t1", "10")
    with SrcClient(srs.address) as src:
        src.send(src.invite_request())
        src.reply(src.request("BYE"), 200)
    summary = srs.ended()
    assert summary["ended_by"] == "timeout"
    assert summary["problems"] == ["no ACK for the INVITE with CSeq 1"]


def test_repeated_requests_get_the_same_response(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address) as src:
        invite = src.send(src.invite_request())
        first = src.response("INVITE")
        src.send_raw(invite.encode())
        assert src.response("INVITE").encode() == first.encode()
        src.take_dialog(first)
        src.ack(first)
        bye = src.send(src.build("BYE"))
        answer = src.response("BYE")
        src.send_raw(bye.encode())
        assert src.response("BYE").encode() == answer.encode()
    srs.ended()
    assert len(srs.summaries()) == 1


def test_refusal_is_repeated_over_udp_until_ack(start_srs: StartSrs) -> None:
    srs = start_srs("--refuse", "486", "--t1", "50")
    with SrcClient(srs.address) as src:
        invite = src.send(src.invite_request())
        assert [src.response("INVITE").status for _ in range(3)] == [486] * 3
        src.send(src.build("ACK", cseq=1, without=["Via"], extra=[("Via", invite.get("Via"))]))
        src.send(src.build("OPTIONS"))
        assert src.response("OPTIONS").status == 200


@pytest.mark.parametrize("method", ["BYE", "UPDATE", "INFO", "OPTIONS"])
def test_unknown_dialog_is_answered_481(start_srs: StartSrs, method: str) -> None:
    srs = start_srs()
    with SrcClient(srs.address) as src:
        src.to_tag = "unknown"
        src.send(src.build(method))
        assert src.response(method).status == 481


def test_wrong_tag_does_not_end_the_session(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address) as src:
        src.establish()
        right, src.from_tag = src.from_tag, "bogus"
        assert src.bye().status == 481
        src.from_tag = right
        assert src.bye().status == 200
    assert srs.ended()["ended_by"] == "src-bye"


def test_cancel_without_invite_is_answered_481(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address) as src:
        src.send(src.build("CANCEL"))
        assert src.response("CANCEL").status == 481


def test_unknown_method_is_answered_405(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address) as src:
        src.send(src.build("PUBLISH"))
        answer = src.response("PUBLISH")
    assert answer.status == 405
    assert "INVITE" in answer.get("Allow")


def test_old_cseq_in_dialog_is_answered_500(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address) as src:
        src.establish()
        src.send(src.build("INFO", cseq=1))
        assert src.response("INFO").status == 500


def test_several_vias_come_back_in_order(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address) as src:
        request = src.build("OPTIONS")
        second = "SIP/2.0/TLS 10.0.0.1;branch=z9hG4bKdeeper"
        headers = (request.headers[0], ("v", second), *request.headers[1:])
        src.send(Request(method="OPTIONS", uri=request.uri, headers=headers))
        vias = src.response("OPTIONS").values("Via")
    assert vias[1] == second
    assert f"rport={src.port}" in vias[0]


def test_in_dialog_requests_are_answered(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        for method in ("OPTIONS", "INFO"):
            src.send(src.build(method))
            assert src.response(method).status == 200
        contact = ("Contact", src.contact)
        src.send(src.build("UPDATE", extra=[contact, *METADATA], body=PARTIAL.encode()))
        assert src.response("UPDATE").status == 200
        bad = PARTIAL.replace("session_id=", "id=").encode()
        src.send(src.build("UPDATE", extra=[contact, *METADATA], body=bad))
        answer = src.response("UPDATE")
        assert (answer.status, bool(answer.get("Warning"))) == (400, True)
        src.bye()
    assert [m["valid"] for m in srs.ended()["metadata"]] == [True, True, False]


def test_reinvite_without_change_is_answered_the_same(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        first = src.establish()
        src.send(src.invite_request())
        again = src.response("INVITE")
        src.ack(again)
        assert (again.status, again.body) == (200, first.body)
        src.bye()
    assert srs.ended()["problems"] == []


def test_reinvite_with_stream_removed_answers_port_zero(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        first = src.establish()
        head, _, tail = src.sdp(version=2).rpartition("m=audio ")
        offer = f"{head}m=audio 0 {tail.split(' ', 1)[1]}"
        extra = [("Contact", src.contact), ("Content-Type", "application/sdp")]
        src.send(src.build("INVITE", extra=extra, body=offer.encode()))
        again = src.response("INVITE")
        src.ack(again)
        assert ports_of(again) == [ports_of(first)[0], 0]
        assert b" 2 IN IP4" in again.body
        src.bye()
    assert srs.ended()["problems"] == []


def test_reinvite_without_offer_gets_an_offer(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        first = src.establish()
        src.send(src.build("INVITE", extra=[("Contact", src.contact)]))
        again = src.response("INVITE")
        src.ack(again)
        assert again.body == first.body
        src.bye()


def test_version_that_does_not_rise_is_noted(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        src.send(src.invite_request(sdp=src.sdp(version=2)))
        src.ack(src.response("INVITE"))
        src.bye()
    assert srs.ended()["problems"] == ["o= went from 77 1 to 77 2"]


def test_session_timer_is_agreed_and_expires(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        extra = [("Supported", "timer"), ("Session-Expires", "1;refresher=uac")]
        src.send(src.invite_request(extra=extra))
        answer = src.response("INVITE")
        assert answer.get("Session-Expires") == "1;refresher=uac"
        assert answer.get("Require") == "timer"
        src.take_dialog(answer)
        src.ack(answer)
    summary = srs.ended()
    assert summary["ended_by"] == "timeout"


def test_sigterm_ends_live_sessions_as_shutdown(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address) as src:
        ports = ports_of(src.establish())
        src.play(0, ports[0], [bytes(160)] * 3)
        srs.stop()
    summary = srs.ended()
    assert summary["ended_by"] == "shutdown"
    assert summary["labels"]["1"]["packets"] == 3


def test_garbage_on_udp_and_tcp_harms_nobody(start_srs: StartSrs) -> None:
    srs = start_srs()
    for tcp in (False, True):
        with SrcClient(srs.address, tcp=tcp) as src:
            src.send_raw(b"\x00\xff" * 50 + b"\r\n\r\nrest")
        with SrcClient(srs.address, tcp=tcp) as src:
            src.establish()
            assert src.bye().status == 200
