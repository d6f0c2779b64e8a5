"""Requests inside a call: relayed, media renegotiated, recording going on."""

import pytest

from siprec.model import StreamState
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.stage import RECORD, Stage, dial
from tests.scenarios.talk import Talk, talk

pytestmark = pytest.mark.daemon


@pytest.fixture
def pair(stage: Stage) -> tuple[Phone, Phone]:
    """Give a caller and a callee whose call is being recorded."""
    caller, callee = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee)))
    answer(caller, callee)
    stage.wait_recording(caller)
    return caller, callee


def sides(pair: tuple[Phone, Phone], who: str) -> tuple[Phone, Phone]:
    return pair if who == "caller" else (pair[1], pair[0])


def reinvite(who: Phone, other: Phone, offer: str, answer: str, *, method: str = "INVITE") -> None:
    """Renegotiate the media of the call."""
    who.request(method, sdp=offer)
    other.reply(other.expect(method), 200, "OK", sdp=answer)
    done = who.expect(200)
    if method == "INVITE":
        who.ack(done)
        other.expect("ACK")


def end(stage: Stage, pair: tuple[Phone, Phone]) -> list[dict[str, int]]:
    """Hang up and check the recording; give each track's packets by payload type."""
    assert [s.state for s in stage.streams(pair[0])] == [StreamState.RECORDING]
    hang_up(*pair)
    session = stage.wait_recorded(pair[0])
    stage.wait_call_over(pair[0])
    return [track.summary["payload_types"] for track in session.tracks]


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_hold_and_unhold_by_either_side_leave_the_recording_on(
    stage: Stage, pair: tuple[Phone, Phone], who: str
) -> None:
    holder, held = sides(pair, who)
    reinvite(holder, held, holder.sdp(direction="sendonly"), held.sdp(direction="recvonly"))
    reinvite(holder, held, holder.sdp(), held.sdp())
    talk(*pair)
    assert all(packets.get("8", 0) >= 15 for packets in end(stage, pair))


@pytest.mark.parametrize("who", ["caller", "callee"])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.7"], ids=["port", "address"])
def test_port_or_address_change_by_either_side_is_followed(
    stage: Stage, pair: tuple[Phone, Phone], who: str, host: str
) -> None:
    mover, other = sides(pair, who)
    talk(*pair)
    new = stage.phone("spare", host=host).rtp
    mover.rtp.close()
    mover.rtp, mover.rtp_port = new, new.getsockname()[1]
    reinvite(
        mover, other, mover.sdp().replace("c=IN IP4 127.0.0.1", f"c=IN IP4 {host}"), other.sdp()
    )
    talk(*pair)
    assert all(packets.get("8", 0) >= 30 for packets in end(stage, pair))


def test_update_is_relayed_and_renegotiates(stage: Stage, pair: tuple[Phone, Phone]) -> None:
    caller, callee = pair
    caller.request("UPDATE", sdp=caller.sdp(direction="sendonly"))
    callee.reply(callee.expect("UPDATE"), 200, "OK", sdp=callee.sdp(direction="recvonly"))
    caller.expect(200)
    callee.request("UPDATE", sdp=callee.sdp())
    caller.reply(caller.expect("UPDATE"), 200, "OK", sdp=caller.sdp())
    callee.expect(200)
    talk(*pair)
    end(stage, pair)


@pytest.mark.parametrize("method", ["INFO", "REFER", "OPTIONS", "UPDATE"])
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_request_without_media_is_relayed(
    stage: Stage, pair: tuple[Phone, Phone], who: str, method: str
) -> None:
    sender, other = sides(pair, who)
    sender.request(method, headers=[("Refer-To", "<sip:carol@127.0.0.1>"), ("X-Mine", "kept")])
    request = other.expect(method)
    assert request.one("X-Mine") == "kept"
    other.reply(request, 200, "OK", headers=[("X-Yours", "kept, too")])
    assert sender.expect(200).one("X-Yours") == "kept, too"
    end(stage, pair)


def test_refused_reinvite_changes_nothing(stage: Stage, pair: tuple[Phone, Phone]) -> None:
    caller, callee = pair
    caller.request("INVITE", sdp=caller.sdp())
    callee.reply(callee.expect("INVITE"), 488, "Not Acceptable Here")
    caller.expect(488)
    callee.expect("ACK")
    talk(*pair)
    assert all(packets.get("8", 0) >= 15 for packets in end(stage, pair))


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_codec_change_gives_the_recorder_what_it_negotiated(
    stage: Stage, pair: tuple[Phone, Phone], who: str, method: str
) -> None:
    one, other = sides(pair, who)
    talk(*pair)
    pcmu = "0 PCMU/8000"
    reinvite(one, other, one.sdp(payload=pcmu), other.sdp(payload=pcmu), method=method)
    with Talk(*pair, payload_type=0) as talking:
        talking.go_on(40)
    assert talking.lost == ([], [])
    packets = end(stage, pair)
    # Until the answer is given again to rtpengine, some milliseconds, it forks the new codec.
    assert all(track["8"] >= 40 and track.get("0", 0) <= 5 for track in packets)


def test_prack_of_a_reliable_183_is_relayed(stage: Stage) -> None:
    caller, callee = stage.pair()
    reliable = [("Supported", "100rel"), ("Require", "100rel")]
    caller.invite(stage.number(RECORD, dial(callee)), headers=reliable)
    invite = callee.expect("INVITE")
    callee.reply(
        invite, 183, "Session Progress", sdp=callee.sdp(), headers=[("RSeq", "7"), reliable[1]]
    )
    progress = caller.expect(183)
    assert progress.one("RSeq") == "7"
    caller.follow(progress)
    caller.request("PRACK", headers=[("RAck", f"7 {progress.cseq} INVITE")])
    prack = callee.expect("PRACK")
    assert prack.one("RAck") == f"7 {invite.cseq} INVITE"
    callee.reply(prack, 200, "OK")
    caller.expect(200)
    talk(caller, callee)
    callee.reply(invite, 200, "OK")
    caller.ack(caller.expect(200))
    callee.expect("ACK")
    stage.wait_recording(caller)
    talk(caller, callee)
    assert len(end(stage, (caller, callee))) == 2


def test_late_offer_is_recorded(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee)), sdp="")
    answer(caller, callee, offer=False)
    stage.wait_recording(caller)
    talk(caller, callee)
    assert all(packets.get("8", 0) >= 15 for packets in end(stage, (caller, callee)))
    assert stage.alerts(caller) == []


def test_offerless_reinvite_is_relayed(stage: Stage, pair: tuple[Phone, Phone]) -> None:
    caller, callee = pair
    caller.request("INVITE")
    callee.reply(callee.expect("INVITE"), 200, "OK", sdp=callee.sdp())
    caller.ack(caller.expect(200), sdp=caller.sdp())
    callee.expect("ACK")
    talk(*pair)
    assert all(packets.get("8", 0) >= 15 for packets in end(stage, pair))
