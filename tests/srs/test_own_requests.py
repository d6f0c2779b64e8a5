"""What the SRS asks for on its own, and what it makes of the answers."""

import pytest

from siprec_srs.message import Request
from siprec_srs.sdp import parse_offer
from tests.srs.conftest import StartSrs
from tests.srs.documents import COMPLETE, PARTIAL, STREAM_1, write_mixed
from tests.srs.src_client import SrcClient, ports_of, until

FRAME = bytes([0x10]) * 160


def _directions(request: Request) -> list[str]:
    return [line.direction for line in parse_offer(request.body).media]


def _answered(src: SrcClient, sdp: str, method: str = "INVITE") -> Request:
    request = src.request(method)
    src.accept(request, sdp)
    if method == "INVITE":
        src.request("ACK")
    return request


def test_inactive_at_first_and_recvonly_later(start_srs: StartSrs) -> None:
    srs = start_srs("--inactive", "--reinvite-after", "0.05", "--reinvite-offers", "recvonly")
    with SrcClient(srs.address, tcp=True) as src:
        first = src.establish()
        assert b"a=inactive" in first.body
        offer = _answered(src, src.sdp())
        assert _directions(offer) == ["recvonly", "recvonly"]
        assert b" 2 IN IP4" in offer.body
        # What it said last holds for the SRC's next offer too.
        assert b"a=recvonly" in src.changed(sdp=src.sdp()).body
        src.bye()
    summary = srs.ended()
    assert [way for _, way in summary["labels"]["1"]["directions"]] == ["inactive", "recvonly"]
    assert summary["sent_requests"][0]["offer"] == "recvonly"
    assert summary["problems"] == []


def test_list_of_offers_is_sent_one_after_the_other(start_srs: StartSrs) -> None:
    offers = "inactive,recvonly,same,sendrecv"
    srs = start_srs("--reinvite-after", "0.1", "--reinvite-offers", offers)
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        paused = src.sdp(version=2, direction="inactive")
        assert _directions(_answered(src, paused)) == ["inactive"] * 2
        for wanted in ("recvonly", "recvonly", "sendrecv"):
            assert _directions(_answered(src, src.sdp(version=3))) == [wanted] * 2
        src.bye()
    summary = srs.ended()
    ways = [way for _, way in summary["labels"]["2"]["directions"]]
    assert ways == ["recvonly", "inactive", "recvonly"]
    assert [r["offer"] for r in summary["sent_requests"]] == offers.split(",")
    assert summary["problems"] == []


def test_port_zero_ends_one_stream(start_srs: StartSrs) -> None:
    srs = start_srs("--reinvite-after", "0.05", "--reinvite-offers", "port0:1")
    with SrcClient(srs.address, tcp=True) as src:
        first = src.establish()
        offer = src.request("INVITE")
        assert [line.port for line in parse_offer(offer.body).media] == [ports_of(first)[0], 0]
        head, _, tail = src.sdp(version=2).rpartition("m=audio ")
        src.accept(offer, f"{head}m=audio 0 {tail.split(' ', 1)[1]}")
        src.request("ACK")
        # Whatever the SRC offers then, the stream stays refused.
        assert ports_of(src.changed(sdp=src.sdp(version=3))) == [ports_of(first)[0], 0]
        src.bye()
    summary = srs.ended()
    assert [way for _, way in summary["labels"]["2"]["directions"]] == ["recvonly", "removed"]


def test_extra_m_line_must_be_refused_and_then_stays(start_srs: StartSrs) -> None:
    srs = start_srs("--reinvite-after", "0.05", "--reinvite-offers", "extra")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        offer = src.request("INVITE")
        assert len(parse_offer(offer.body).media) == 3
        refused = "m=audio 0 RTP/AVP 0\r\n"
        src.accept(offer, src.sdp(version=2) + refused)
        src.request("ACK")
        answer = src.changed(sdp=src.sdp(version=2) + refused)
        assert [line.port for line in parse_offer(answer.body).media][2] == 0
        assert src.changed(sdp=src.sdp(version=3)).status == 400
        src.bye()
    assert srs.ended()["problems"] == ["INVITE: fewer m-lines than before"]


def test_wrong_answers_to_offers_are_problems(start_srs: StartSrs) -> None:
    srs = start_srs("--reinvite-after", "0.1", "--reinvite-offers", "inactive,extra,same")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        _answered(src, src.sdp())
        _answered(src, src.sdp(version=2, more=(40000,)))
        _answered(src, "")
        src.bye()
    problems = srs.ended()["problems"]
    assert "the 200 to our INVITE: m-line 1: sendonly is no answer to inactive" in problems
    assert "the 200 to our INVITE: m-line 3: an m-line that we added was accepted" in problems
    assert "the 200 to our INVITE has no session description" in problems


def test_moved_port_is_where_packets_must_go(start_srs: StartSrs) -> None:
    srs = start_srs("--reinvite-after", "0.05", "--moved-port", "--raw")
    with SrcClient(srs.address, tcp=True) as src:
        old = ports_of(src.establish())
        seq, ts = src.play(0, old[0], [FRAME] * 2)
        new = [line.port for line in parse_offer(_answered(src, src.sdp()).body).media]
        assert not set(old) & set(new)
        seq, ts = src.play(0, new[0], [FRAME] * 3, seq=seq, ts=ts)
        for _ in until(5):
            seq, ts = src.play(0, old[0], [FRAME], seq=seq, ts=ts)
            src.send(src.build("OPTIONS"))
            src.response("OPTIONS")
            if seq >= 140:
                break
        src.bye()
    summary = srs.ended()
    label = summary["labels"]["1"]
    assert (label["port"], label["packets"], label["lost"]) == (new[0], 40, 0)
    assert 0 < label["packets_at_old_port"] < 35
    assert summary["labels"]["2"]["packets_at_old_port"] == 0
    assert (summary["folder"] / "1.raw").read_bytes() == FRAME * 40
    assert summary["problems"] == []


def test_refused_offer_leaves_ports_and_directions(start_srs: StartSrs) -> None:
    switches = ["--moved-port", "--reinvite-offers", "inactive"]
    srs = start_srs("--reinvite-after", "0.05", *switches)
    with SrcClient(srs.address, tcp=True) as src:
        first = src.establish()
        src.reply(src.request("INVITE"), 488)
        src.request("ACK")
        again = src.changed(sdp=src.sdp())
        assert ports_of(again) == ports_of(first)
        assert b" 3 IN IP4" in again.body
        src.bye()
    summary = srs.ended()
    assert [way for _, way in summary["labels"]["1"]["directions"]] == ["recvonly"]
    assert summary["problems"] == ["our INVITE was answered 488"]


def test_reinvite_without_sdp_takes_the_offer_and_answers_in_the_ack(start_srs: StartSrs) -> None:
    srs = start_srs("--reinvite-after", "0.05", "--reinvite-without-sdp")
    with SrcClient(srs.address, tcp=True) as src:
        first = src.establish()
        invite = src.request("INVITE")
        assert (invite.body, invite.get("Content-Type")) == (b"", "")
        src.accept(invite, src.sdp(version=2, direction="inactive"))
        ack = src.request("ACK")
        assert _directions(ack) == ["inactive"] * 2
        assert [line.port for line in parse_offer(ack.body).media] == ports_of(first)
        src.bye()
    summary = srs.ended()
    assert summary["sent_requests"][0]["offer"] == "none"
    assert summary["problems"] == []


def test_200_without_the_wanted_offer_is_a_problem(start_srs: StartSrs) -> None:
    srs = start_srs("--reinvite-after", "0.05", "--reinvite-without-sdp")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        assert _answered(src, "").body == b""
        src.bye()
    wanted = ["the 200 to our INVITE without an offer has no offer"]
    assert srs.ended()["problems"] == wanted


@pytest.mark.parametrize("offers", ["", "inactive"])
def test_update_is_sent_with_and_without_an_offer(start_srs: StartSrs, offers: str) -> None:
    more = ["--update-offers", offers] if offers else []
    srs = start_srs("--update-after", "0.05", *more)
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        sdp = src.sdp(version=2, direction="inactive") if offers else ""
        update = _answered(src, sdp, "UPDATE")
        assert bool(update.body) is bool(offers)
        assert "+sip.srs" in update.get("Contact")
        src.bye()
    assert srs.ended()["problems"] == []


def test_info_is_sent(start_srs: StartSrs) -> None:
    srs = start_srs("--info-after", "0.05")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        src.reply(src.request("INFO"), 200)
        srs.summary(lambda summary: [r["status"] for r in summary["sent_requests"]] == [200])
        src.bye()


def test_snapshot_request_is_followed_by_a_snapshot(start_srs: StartSrs) -> None:
    srs = start_srs("--snapshot-request-after", "0.05")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        update = src.request("UPDATE")
        assert update.get("Content-Disposition") == "recording-session"
        assert update.get("Content-Type") == "application/rs-metadata+xml"
        assert b"<requestsnapshot " in update.body
        src.accept(update, "")
        # A partial document is not what was asked for.
        src.changed("UPDATE", metadata=PARTIAL)
        assert (
            srs.summary(lambda s: len(s["metadata"]) == 2)["sent_requests"][0]["snapshot_after_s"]
            is None
        )
        src.changed("UPDATE", metadata=COMPLETE)
        src.bye()
    summary = srs.ended()
    assert 0 <= summary["sent_requests"][0]["snapshot_after_s"] < 5
    assert summary["problems"] == []


def test_snapshot_that_does_not_come_is_a_problem(start_srs: StartSrs) -> None:
    srs = start_srs("--snapshot-request-after", "0.05")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        src.accept(src.request("UPDATE"), "")
        srs.summary(lambda summary: bool(summary["problems"]))
        src.bye()
    assert srs.ended()["problems"] == ["no snapshot within 2 s of our request"]


def test_491_is_tried_again(start_srs: StartSrs) -> None:
    srs = start_srs("--reinvite-after", "0.05", "--reinvite-offers", "inactive")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        first = src.request("INVITE")
        src.reply(first, 491)
        again = _answered(src, src.sdp(version=2, direction="inactive"))
        assert again.body == first.body
        assert again.cseq[0] == first.cseq[0] + 1
        src.bye()
    assert srs.ended()["problems"] == []


def test_offer_of_the_src_during_ours_is_answered_491(start_srs: StartSrs) -> None:
    srs = start_srs("--reinvite-after", "0.05")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        theirs = src.request("INVITE")
        for method in ("INVITE", "UPDATE"):
            assert src.changed(method, sdp=src.sdp()).status == 491
        assert src.changed("UPDATE", metadata=PARTIAL).status == 200
        src.accept(theirs, src.sdp())
        src.request("ACK")
        src.bye()
    assert [r["status"] for r in srs.ended()["received_requests"]] == [491, 491, 200, 200]


def test_own_offer_waits_for_a_pending_reinvite(start_srs: StartSrs) -> None:
    srs = start_srs("--reinvite-after", "0.1", "--delay-reinvite", "500")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        src.change(sdp=src.sdp())
        assert src.response(final=False).status == 100
        answer = src.receive()
        assert answer.cseq[1] == "INVITE"
        assert not isinstance(answer, Request)
        src.ack(answer)
        _answered(src, src.sdp())
        src.bye()
    assert srs.ended()["problems"] == []


def test_cancel_comes_right_behind_our_reinvite(start_srs: StartSrs) -> None:
    srs = start_srs("--reinvite-after", "0.05", "--cancel-reinvite")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        invite = src.request("INVITE")
        cancel = src.request("CANCEL")
        assert cancel.get("Via") == invite.get("Via")
        assert cancel.cseq == (invite.cseq[0], "CANCEL")
        src.reply(cancel, 200)
        src.reply(invite, 487)
        assert src.request("ACK").get("Via") == invite.get("Via")
        src.bye()
    summary = srs.ended()
    sent = sorted((r["method"], r["status"]) for r in summary["sent_requests"])
    assert sent == [("CANCEL", 200), ("INVITE", 487)]
    assert summary["problems"] == []


def test_metadata_in_the_200_to_our_reinvite_is_kept(start_srs: StartSrs) -> None:
    srs = start_srs("--reinvite-after", "0.05")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        kind = ("Content-Type", "multipart/mixed;boundary=next-part")
        request = src.request("INVITE")
        body = write_mixed(src.sdp(), COMPLETE)
        src.reply(request, 200, extra=[("Contact", src.contact), kind], body=body)
        src.request("ACK")
        src.bye()
    summary = srs.ended()
    assert [m["source"] for m in summary["metadata"]] == ["INVITE", "200"]
    assert STREAM_1 in summary["metadata_history"][1]["streams"]


def test_second_200_of_a_fork_wants_ack_and_bye(start_srs: StartSrs) -> None:
    srs = start_srs("--forked-200", "--t1", "100")
    with SrcClient(srs.address) as src:
        src.send(src.invite_request())
        first, second = src.response("INVITE"), src.response("INVITE")
        tags = [answer.get("To").partition("tag=")[2] for answer in (first, second)]
        assert tags[0] != tags[1]
        assert first.body != second.body
        src.take_dialog(second)
        src.ack(second)
        assert src.bye().status == 200
        assert src.bye().status == 481
        src.take_dialog(first)
        src.ack(first)
        assert src.bye().status == 200
    summary = srs.ended()
    assert summary["forked"] == {"tag": tags[1], "acknowledged": True, "ended": True}
    assert summary["problems"] == []


def test_fork_that_is_left_alone_is_a_problem(start_srs: StartSrs) -> None:
    srs = start_srs("--forked-200")
    with SrcClient(srs.address) as src:
        src.establish()
        src.bye()
    assert srs.ended()["problems"] == [
        "no ACK for the second 200",
        "no BYE for the dialog of the second 200",
    ]


@pytest.mark.parametrize(
    "switches",
    [
        ["--reinvite-offers", "recvonly"],
        ["--moved-port"],
        ["--update-offers", "same"],
        ["--reinvite-after", "1", "--reinvite-offers", "sendonly"],
        ["--reinvite-after", "1", "--reinvite-offers", "port0:x"],
        ["--session-expires", "x"],
        ["--session-expires", "90:us"],
        ["--refuse-reinvite", "200"],
        ["--refuse-update", "500:x"],
        ["--proxy-auth"],
    ],
)
def test_wrong_usage_is_explained(switches: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from siprec_srs.cli import main

    assert main(switches) == 2
    assert switches[-2 if len(switches) > 1 else -1] in capsys.readouterr().err
