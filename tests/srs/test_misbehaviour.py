"""Each switch that makes the SRS misbehave."""

import json
from typing import Any

import pytest

from siprec_srs.message import Response
from tests.srs.conftest import Srs, StartSrs
from tests.srs.src_client import SrcClient, ports_of, until


def _invite(srs: Srs, *, tcp: bool = True) -> tuple[SrcClient, Response]:
    src = SrcClient(srs.address, tcp=tcp)
    src.send(src.invite_request())
    answer = src.response("INVITE")
    src.take_dialog(answer)
    return src, answer


def _refused(srs: Srs) -> dict[str, Any]:
    summary = srs.ended()
    assert (summary["state"], summary["ended_by"]) == ("refused", "refused")
    return summary


@pytest.mark.parametrize(
    ("switch", "status", "reason"),
    [("486", 486, "Busy Here"), ("503:Out of tape", 503, "Out of tape"), ("699", 699, "Refused")],
)
def test_refuse_answers_with_status(
    start_srs: StartSrs, switch: str, status: int, reason: str
) -> None:
    srs = start_srs("--refuse", switch)
    src, answer = _invite(srs)
    with src:
        assert (answer.status, answer.reason) == (status, reason)
    assert _refused(srs)["refused_with"] == status


def test_redirect_answers_302_with_contact(start_srs: StartSrs) -> None:
    srs = start_srs("--redirect", "sip:other@127.0.0.2:5060;transport=tcp")
    src, answer = _invite(srs)
    with src:
        assert answer.status == 302
        assert answer.get("Contact") == "<sip:other@127.0.0.2:5060;transport=tcp>"
    _refused(srs)


def test_silent_answers_options_but_no_invite(start_srs: StartSrs) -> None:
    srs = start_srs("--silent")
    with SrcClient(srs.address) as src:
        src.send(src.invite_request())
        src.send(src.build("OPTIONS"))
        assert src.receive().cseq[1] == "OPTIONS"
    assert srs.summary(lambda s: True)["state"] == "ringing"
    srs.stop()
    assert srs.ended()["ended_by"] == "shutdown"


def test_ring_only_rings_until_cancel(start_srs: StartSrs) -> None:
    srs = start_srs("--ring-only")
    with SrcClient(srs.address) as src:
        invite = src.send(src.invite_request())
        assert [src.response(final=False).status for _ in range(2)] == [100, 180]
        src.send_raw(invite.encode())
        assert src.response(final=False).status == 180
        _cancel(src, invite.get("Via"))
        assert src.response("CANCEL").status == 200
        refusal = src.response("INVITE")
        assert refusal.status == 487
        src.take_dialog(refusal)
        assert src.response("INVITE").status == 487
        _ack_refusal(src, invite.get("Via"))
    assert srs.ended()["ended_by"] == "cancel"


def _cancel(src: SrcClient, via: str) -> None:
    cancel = src.build("CANCEL", cseq=src.cseq, without=["Via"], extra=[("Via", via)])
    src.send(cancel)


def _ack_refusal(src: SrcClient, via: str) -> None:
    src.send(src.build("ACK", cseq=src.cseq, without=["Via"], extra=[("Via", via)]))


def test_late_200_after_cancel_answers_200(start_srs: StartSrs) -> None:
    srs = start_srs("--ring-only", "--late-200-after-cancel")
    with SrcClient(srs.address, tcp=True) as src:
        invite = src.send(src.invite_request())
        assert src.response(final=False).status == 100
        _cancel(src, invite.get("Via"))
        assert src.response("CANCEL").status == 200
        answer = src.response("INVITE")
        assert answer.status == 200
        src.take_dialog(answer)
        src.ack(answer)
        assert src.bye().status == 200
    assert srs.ended()["ended_by"] == "src-bye"


def test_delay_with_ringing_answers_later(start_srs: StartSrs) -> None:
    srs = start_srs("--delay", "300", "--ringing")
    with SrcClient(srs.address) as src:
        src.send(src.invite_request())
        assert [src.response(final=False).status for _ in range(3)] == [100, 180, 200]


def test_garbage_is_no_sdp(start_srs: StartSrs) -> None:
    src, answer = _invite(start_srs("--garbage"))
    with src:
        assert answer.status == 200
        assert b"v=0" not in answer.body
        assert answer.body


def test_no_sdp_has_no_body(start_srs: StartSrs) -> None:
    src, answer = _invite(start_srs("--no-sdp"))
    with src:
        assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(("switch", "count"), [("--fewer-mlines", 1), ("--extra-mline", 3)])
def test_mline_count_is_wrong(start_srs: StartSrs, switch: str, count: int) -> None:
    src, answer = _invite(start_srs(switch))
    with src:
        assert len(ports_of(answer)) == count


@pytest.mark.parametrize(("index", "zeros"), [("0", [True, False]), ("all", [True, True])])
def test_port_zero_refuses_mlines(start_srs: StartSrs, index: str, zeros: list[bool]) -> None:
    srs = start_srs("--port-zero", index)
    src, answer = _invite(srs)
    with src:
        assert answer.status == 200
        assert [port == 0 for port in ports_of(answer)] == zeros
    summary = srs.summary(lambda s: s["state"] == "recording")
    assert summary["labels"]["1"]["refused"] is True


def test_other_codec_was_not_offered(start_srs: StartSrs) -> None:
    src, answer = _invite(start_srs("--other-codec"))
    with src:
        assert b"RTP/AVP 18" in answer.body
        assert b"G729" in answer.body


def test_inactive_answers_inactive(start_srs: StartSrs) -> None:
    src, answer = _invite(start_srs("--inactive"))
    with src:
        assert answer.body.count(b"a=inactive") == 2
        assert b"recvonly" not in answer.body


@pytest.mark.parametrize("tcp", [True, False])
def test_hang_up_sends_bye_along_the_route_set(start_srs: StartSrs, tcp: bool) -> None:
    srs = start_srs("--hang-up-after", "0.1", "--max-sessions", "1")
    with SrcClient(srs.address, tcp=tcp) as src:
        transport = ";transport=tcp" if tcp else ""
        route = f"<sip:127.0.0.1:{src.port};lr{transport}>"
        second = "<sip:p2.example.com;lr>"
        src.send(src.invite_request(extra=[("Record-Route", route), ("Record-Route", second)]))
        answer = src.response("INVITE")
        assert answer.all("Record-Route") == [route, second]
        src.take_dialog(answer)
        src.ack(answer)
        bye = src.request("BYE")
        assert bye.values("Route") == [route, second]
        assert bye.uri == src.contact.partition("<")[2].partition(">")[0]
        assert f";tag={src.from_tag}" in bye.get("To")
        src.reply(bye, 200)
    summary = srs.ended()
    assert summary["ended_by"] == "srs-bye"
    assert [(r["method"], r["status"]) for r in summary["sent_requests"]] == [("BYE", 200)]
    assert srs.process.wait(5) == 0


@pytest.mark.parametrize("reason", ["", 'SIP;cause=503;text="No disk"'])
def test_hang_up_gives_its_reason(start_srs: StartSrs, reason: str) -> None:
    srs = start_srs("--hang-up-after", "0", "--hang-up-reason", reason)
    with SrcClient(srs.address) as src:
        src.establish()
        bye = src.request("BYE")
        assert bye.all("Reason") == ([reason] if reason else [])
        src.reply(bye, 200)
    assert srs.ended()["ended_by"] == "srs-bye"


def test_options_after_is_answered_and_recorded(start_srs: StartSrs) -> None:
    srs = start_srs("--options-after", "0.05")
    with SrcClient(srs.address) as src:
        src.establish()
        src.reply(src.request("OPTIONS"), 200)
        wanted = [("OPTIONS", 200)]
        summary = srs.summary(
            lambda s: bool(s["sent_requests"] and s["sent_requests"][0]["status"])
        )
        assert [(r["method"], r["status"]) for r in summary["sent_requests"]] == wanted
        src.bye()
    assert srs.ended()["problems"] == []


def test_reinvite_after_offers_what_was_answered(start_srs: StartSrs) -> None:
    srs = start_srs("--reinvite-after", "0.05")
    with SrcClient(srs.address) as src:
        answer = src.establish()
        offer = src.request("INVITE")
        assert offer.body == answer.body
        assert "+sip.srs" in offer.get("Contact")
        extra = [("Contact", src.contact), ("Content-Type", "application/sdp")]
        src.reply(offer, 200, extra=extra, body=src.sdp().encode())
        assert src.request("ACK").cseq == (offer.cseq[0], "ACK")
        # A 200 that comes again gets its ACK again.
        src.reply(offer, 200, extra=extra, body=src.sdp().encode())
        assert src.request("ACK").cseq == (offer.cseq[0], "ACK")
        src.bye()
    summary = srs.ended()
    assert [(r["method"], r["status"]) for r in summary["sent_requests"]] == [("INVITE", 200)]
    assert summary["problems"] == []


def test_refused_reinvite_is_acknowledged_and_noted(start_srs: StartSrs) -> None:
    srs = start_srs("--reinvite-after", "0.05")
    with SrcClient(srs.address) as src:
        src.establish()
        offer = src.request("INVITE")
        src.reply(offer, 488)
        ack = src.request("ACK")
        assert ack.get("Via") == offer.get("Via")
        src.bye()
    assert srs.ended()["problems"] == ["our INVITE was answered 488"]


def test_die_after_exits_without_bye(start_srs: StartSrs) -> None:
    srs = start_srs("--die-after", "0.1")
    with SrcClient(srs.address) as src:
        src.establish()
        assert srs.process.wait(5) == 0
    assert srs.summaries()[0]["state"] == "recording"


def test_no_media_answers_with_real_ports_and_writes_no_wav(start_srs: StartSrs) -> None:
    srs = start_srs("--no-media", "--quiet")
    with SrcClient(srs.address) as src:
        assert all(ports_of(src.establish()))
        src.bye()
    assert not list(srs.ended()["folder"].glob("*.wav"))
    assert srs.stop()[1] == ""


def test_events_tell_the_session_as_json_lines(start_srs: StartSrs) -> None:
    srs = start_srs("--events", "--quiet")
    with SrcClient(srs.address) as src:
        ports = ports_of(src.establish())
        src.play(0, ports[0], [bytes(160)])
        src.bye()
    srs.ended()
    out, _ = srs.stop()
    events = [json.loads(line) for line in out.splitlines()]
    names = [event["event"] for event in events]
    assert names == ["invite", "answered", "first-media", "ended"]
    assert {event["call_id"] for event in events} == {src.call_id}


def test_restart_never_overwrites_earlier_sessions(start_srs: StartSrs) -> None:
    srs = start_srs()
    src, _ = _invite(srs)
    with src:
        for _ in until(5):
            if srs.summaries():
                break
    srs.stop()
    again = Srs(srs.out)
    src, _ = _invite(again)
    with src:
        again.stop()
    assert [s["folder"].name.split("-")[0] for s in srs.summaries()] == ["1", "2"]


@pytest.mark.parametrize(
    "switches",
    [
        ["--listen", "nowhere"],
        ["--refuse", "200"],
        ["--port-zero", "x"],
        ["--hang-up-reason", "SIP\r\nRoute: sip:elsewhere"],
        ["--rtp-ports", "5-1"],
    ],
)
def test_wrong_usage_is_explained(switches: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from siprec_srs.cli import main

    assert main(switches) == 2
    assert switches[0] in capsys.readouterr().err
