"""Re-INVITEs and UPDATEs of an SRC: what they change, and how they are refused."""

import time

import pytest

from siprec_srs.message import Request, Response
from tests.srs.conftest import Srs, StartSrs
from tests.srs.documents import (
    ALICE,
    COMPLETE,
    PARTIAL,
    SESSION,
    STREAM_1,
    STREAM_2,
    partial,
)
from tests.srs.src_client import SrcClient, ports_of, until

FRAME = bytes([0x10]) * 160
STREAM_3 = "AcR5FUd3Edi8cACQJy/3JQ=="


def _directions(answer: Response) -> list[str]:
    lines = answer.body.decode().splitlines()
    return [line[2:] for line in lines if line in ("a=recvonly", "a=inactive")]


def _wait_for_packets(srs: Srs, count: int) -> None:
    srs.summary(lambda summary: summary["labels"]["1"]["packets"] >= count)


def test_inactive_is_answered_inactive_and_sendonly_recvonly(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        paused = src.changed(sdp=src.sdp(version=2, direction="inactive"))
        assert _directions(paused) == ["inactive", "inactive"]
        one = src.sdp(version=3).replace("a=sendonly", "a=inactive", 1)
        assert _directions(src.changed("UPDATE", sdp=one)) == ["inactive", "recvonly"]
        assert _directions(src.changed(sdp=src.sdp(version=4))) == ["recvonly", "recvonly"]
        src.bye()
    summary = srs.ended()
    assert summary["problems"] == []
    ways = {
        label: [way for _, way in its["directions"]] for label, its in summary["labels"].items()
    }
    assert ways == {
        "1": ["recvonly", "inactive", "recvonly"],
        "2": ["recvonly", "inactive", "recvonly"],
    }
    times = [at for at, _ in summary["labels"]["2"]["directions"]]
    assert times == sorted(times)
    assert [r["method"] for r in summary["received_requests"]] == [
        "INVITE",
        "UPDATE",
        "INVITE",
        "BYE",
    ]
    assert [r["status"] for r in summary["received_requests"]] == [200] * 4


def test_packets_on_an_inactive_line_are_counted_but_not_at_once(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        ports = ports_of(src.establish())
        seq, ts = src.play(0, ports[0], [FRAME] * 2)
        src.changed(sdp=src.sdp(version=2, direction="inactive"))
        seq, ts = src.play(0, ports[0], [FRAME] * 3, seq=seq, ts=ts)
        after = time.monotonic() + 0.6
        for _ in until(5):
            if time.monotonic() > after:
                break
        seq, ts = src.play(0, ports[0], [FRAME] * 4, seq=seq, ts=ts)
        src.changed(sdp=src.sdp(version=3))
        src.play(0, ports[0], [FRAME] * 5, seq=seq, ts=ts)
        src.bye()
    labels = srs.ended()["labels"]
    assert (labels["1"]["packets"], labels["1"]["packets_while_inactive"]) == (14, 4)
    assert labels["2"]["packets_while_inactive"] == 0


def test_lost_m_line_is_refused_and_changes_nothing(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        first = src.establish()
        fewer = src.sdp(version=2).rpartition("m=audio")[0]
        refusal = src.changed(sdp=fewer)
        assert refusal.status == 400
        assert "fewer m-lines" in refusal.get("Warning")
        # The version that was refused may be used again, or counted.
        for version in (2, 3):
            offer = src.sdp(version=version, direction=("inactive", "sendonly")[version % 2])
            assert ports_of(src.changed(sdp=offer)) == ports_of(first)
        src.bye()
    assert srs.ended()["problems"] == ["INVITE: fewer m-lines than before"]


def test_codec_that_nobody_knows_is_refused_and_changes_nothing(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        ports = ports_of(src.establish())
        offer = src.sdp(version=2).replace("RTP/AVP 0 8", "RTP/AVP 18")
        assert src.changed(sdp=offer, metadata=PARTIAL).status == 488
        src.play(0, ports[0], [FRAME])
        _wait_for_packets(srs, 1)
        src.bye()
    summary = srs.ended()
    assert [(m["valid"], m["applied"]) for m in summary["metadata"]] == [
        (True, True),
        (True, False),
    ]
    assert [state["n"] for state in summary["metadata_history"]] == [1]
    assert summary["labels"]["1"]["packets"] == 1


def test_label_that_changes_is_noted(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        offer = src.sdp(version=2).replace("a=label:1", "a=label:7")
        document = COMPLETE.replace("<label>1<", "<label>7<")
        assert src.changed(sdp=offer, metadata=document).status == 200
        src.bye()
    assert "m-line 1 goes from label 1 to 7" in srs.ended()["problems"]


@pytest.mark.parametrize("named", [True, False])
def test_added_m_line_is_recorded_and_wants_a_stream(start_srs: StartSrs, named: bool) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        document = partial(
            f'<stream stream_id="{STREAM_3}" session_id="{SESSION}"><label>3</label></stream>',
            f'<participantstreamassoc participant_id="{ALICE}"><send>{STREAM_1}</send>'
            f"<send>{STREAM_3}</send><recv>{STREAM_2}</recv></participantstreamassoc>",
        )
        offer = src.sdp(version=2, more=(40000,))
        answer = src.changed(sdp=offer, metadata=document if named else "")
        ports = ports_of(answer)
        assert len(set(ports)) == 3
        src.play(0, ports[2], [FRAME] * 20)
        src.bye()
    summary = srs.ended()
    assert summary["labels"]["3"]["packets"] == 20
    wanted = [] if named else ["the new m-line with label 3 has no <stream>"]
    assert summary["problems"] == wanted
    aor = "sip:alice@example.com"
    assert summary["labels"]["3"]["participant"] == (
        {"aor": aor, "name": 'Alice & "Co" ü'} if named else None
    )
    assert summary["labels"]["3"]["agrees"] is named


def test_m_line_that_comes_back_is_told_apart(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        ports = ports_of(src.establish())
        src.play(1, ports[1], [FRAME] * 2)
        head, _, tail = src.sdp(version=2).rpartition("m=audio ")
        src.changed(sdp=f"{head}m=audio 0 {tail.split(' ', 1)[1]}")
        again = ports_of(src.changed(sdp=src.sdp(version=3)))
        src.play(1, again[1], [FRAME] * 3)
        src.bye()
    labels = srs.ended()["labels"]
    assert (labels[f"2#{ports[1]}"]["packets"], labels["2"]["packets"]) == (2, 3)
    assert labels[f"2#{ports[1]}"]["directions"][-1][1] == "removed"


@pytest.mark.parametrize(
    ("method", "status", "reason"),
    [
        ("INVITE", 488, "Not Acceptable Here"),
        ("INVITE", 503, "Service Unavailable"),
        ("UPDATE", 405, "Method Not Allowed"),
        ("UPDATE", 501, "Not Implemented"),
    ],
)
def test_changes_are_refused_as_often_as_told(
    start_srs: StartSrs, method: str, status: int, reason: str
) -> None:
    switch = "--refuse-reinvite" if method == "INVITE" else "--refuse-update"
    srs = start_srs(switch, f"{status}:2")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        sdp = src.sdp() if method == "INVITE" else ""
        answers = [src.changed(method, sdp=sdp, metadata=PARTIAL) for _ in range(3)]
        assert [answer.status for answer in answers] == [status, status, 200]
        assert answers[0].reason == reason
        assert answers[0].get("Allow") == (
            "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO" if status == 405 else ""
        )
        src.bye()
    summary = srs.ended()
    assert summary["problems"] == []
    assert [m["applied"] for m in summary["metadata"]] == [True, False, False, True]


def test_retry_after_is_told_and_must_be_kept(start_srs: StartSrs) -> None:
    srs = start_srs("--refuse-reinvite", "500:1", "--retry-after", "5")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        assert src.changed(sdp=src.sdp()).get("Retry-After") == "5"
        src.changed("UPDATE")
        assert src.changed(sdp=src.sdp()).status == 200
        src.bye()
    assert srs.ended()["problems"] == ["INVITE again too soon after Retry-After: 5"]


def test_refusal_of_the_first_invite_tells_retry_after(start_srs: StartSrs) -> None:
    srs = start_srs("--refuse", "503", "--retry-after", "7")
    with SrcClient(srs.address, tcp=True) as src:
        src.send(src.invite_request())
        assert src.response("INVITE").get("Retry-After") == "7"
    srs.ended()


def test_silent_reinvite_is_not_answered_and_neither_is_its_cancel(start_srs: StartSrs) -> None:
    srs = start_srs("--silent-reinvite")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        invite = src.change(sdp=src.sdp(version=2, direction="inactive"))
        _cancel(src, invite)
        src.send(src.build("INFO"))
        assert src.receive().cseq[1] == "INFO"
        src.bye()
    summary = srs.ended()
    assert [(r["method"], r["status"]) for r in summary["received_requests"]] == [
        ("INVITE", None),
        ("INFO", 200),
        ("BYE", 200),
    ]
    assert [way for _, way in summary["labels"]["1"]["directions"]] == ["recvonly"]


def _cancel(src: SrcClient, invite: Request) -> None:
    via = [("Via", invite.get("Via"))]
    src.send(src.build("CANCEL", cseq=invite.cseq[0], without=["Via"], extra=via))


@pytest.mark.parametrize("late", [False, True])
def test_cancelled_reinvite_changes_nothing_unless_it_was_late(
    start_srs: StartSrs, late: bool
) -> None:
    more = ["--late-200-after-cancel"] if late else []
    srs = start_srs("--delay-reinvite", "60000", *more)
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        invite = src.change(sdp=src.sdp(version=2, direction="inactive"))
        assert src.response(final=False).status == 100
        _cancel(src, invite)
        assert src.response("CANCEL").status == 200
        answer = src.response("INVITE")
        assert answer.status == (200 if late else 487)
        if late:
            src.ack(answer)
        else:
            src.ack_refusal(invite, answer)
        assert src.bye().status == 200
    summary = srs.ended()
    assert summary["ended_by"] == "src-bye"
    ways = [way for _, way in summary["labels"]["1"]["directions"]]
    assert ways == (["recvonly", "inactive"] if late else ["recvonly"])


def test_delayed_reinvite_is_answered_later_and_allows_no_second_one(start_srs: StartSrs) -> None:
    srs = start_srs("--delay-reinvite", "300")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        first = src.change(sdp=src.sdp())
        assert src.response(final=False).status == 100
        second = src.change(sdp=src.sdp())
        refusal = src.response("INVITE")
        assert (refusal.status, refusal.cseq[0]) == (500, second.cseq[0])
        assert refusal.get("Retry-After")
        answer = src.response("INVITE")
        assert (answer.status, answer.cseq[0]) == (200, first.cseq[0])
        src.ack(answer)
        src.bye()
    assert srs.ended()["problems"] == ["INVITE before the re-INVITE had its final response"]


def test_bye_ends_a_pending_reinvite_with_487(start_srs: StartSrs) -> None:
    srs = start_srs("--delay-reinvite", "60000")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        src.change(sdp=src.sdp())
        assert src.response(final=False).status == 100
        src.send(src.build("BYE"))
        assert {src.response().status for _ in range(2)} == {200, 487}
    assert srs.ended()["ended_by"] == "src-bye"


def test_200_to_a_reinvite_is_repeated_until_ack_and_retransmissions_are_absorbed(
    start_srs: StartSrs,
) -> None:
    srs = start_srs("--t1", "50")
    with SrcClient(srs.address) as src:
        src.establish()
        invite = src.change(sdp=src.sdp(version=2, direction="inactive"))
        src.send_raw(invite.encode())
        answers = [src.response("INVITE") for _ in range(4)]
        assert len({answer.encode() for answer in answers}) == 1
        src.ack(answers[0])
        src.bye()
    summary = srs.ended()
    assert len(summary["received_requests"]) == 2
    assert summary["problems"] == []


def test_glare_491_refuses_the_first_offer_only(start_srs: StartSrs) -> None:
    srs = start_srs("--glare", "491")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        assert src.changed(sdp=src.sdp()).status == 491
        assert src.changed(sdp=src.sdp()).status == 200
        src.bye()
    assert srs.ended()["problems"] == ["INVITE again too soon after 491"]


def test_glare_that_crosses_is_tried_again_by_the_srs_within_two_seconds(
    start_srs: StartSrs,
) -> None:
    srs = start_srs("--glare", "cross")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        ours = src.change(sdp=src.sdp())
        messages = [src.receive() for _ in range(2)]
        refusal = next(one for one in messages if isinstance(one, Response))
        theirs = next(one for one in messages if isinstance(one, Request))
        assert refusal.status == 491
        src.ack_refusal(ours, refusal)
        src.reply(theirs, 491)
        began = time.monotonic()
        again = src.request("INVITE")
        assert time.monotonic() - began < 3
        assert again.body == theirs.body
        src.accept(again, src.sdp())
        src.request("ACK")
        src.bye()
    summary = srs.ended()
    assert [r["status"] for r in summary["sent_requests"]] == [491, 200]
    assert summary["problems"] == []


def test_moved_contact_is_where_requests_must_go(start_srs: StartSrs) -> None:
    srs = start_srs("--moved-contact")
    with SrcClient(srs.address, tcp=True) as src:
        first = src.establish()
        invite = src.change(sdp=src.sdp())
        answer = src.response("INVITE")
        assert answer.get("Contact") != first.get("Contact")
        assert invite.uri in first.get("Contact")
        src.take_dialog(answer)
        src.ack(answer)
        src.bye()
    assert srs.ended()["problems"] == []


def test_request_uri_that_is_not_our_contact_is_noted(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        src.remote_target = "sip:somebody@127.0.0.1"
        src.bye()
    assert srs.ended()["problems"] == ["the Request-URI of BYE is not our Contact"]


def test_offer_in_our_200_is_answered_in_the_ack(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        src.establish()
        src.change()
        answer = src.response("INVITE")
        body = src.sdp(version=2, direction="inactive").encode()
        kind = [("Content-Type", "application/sdp")]
        src.send(src.build("ACK", cseq=answer.cseq[0], extra=kind, body=body))
        src.bye()
    summary = srs.ended()
    assert summary["problems"] == []
    assert [way for _, way in summary["labels"]["2"]["directions"]] == ["recvonly", "inactive"]
