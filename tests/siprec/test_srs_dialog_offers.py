"""How the offers of an SRS are answered: while somebody paused, and of more or less than is."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec.errors import SdpError
from siprec.model import Stream
from siprec.sdp import check_answer, parse
from siprec.srs_dialog import Answer, answer_request, event_of_ack
from tests.siprec.pauses import asked, directions, leg_of, paused, version
from tests.siprec.srs_messages import RECORDING, REQUEST, SDP
from tests.siprec.streams import LATER_MS, answer_sdp, follow

# While somebody paused, or is about to


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("INVITE", answer_sdp(4000, 4002), 491),
        ("INVITE", "", 491),
        ("UPDATE", answer_sdp(4000, 4002), 491),
        ("UPDATE", "", 200),
    ],
)
def test_offer_that_crosses_our_reinvite_is_answered_491(
    method: str, body: str, status: int
) -> None:
    stream = asked().stream
    answer = answer_request(stream, replace(REQUEST, method=method, body=body, content_type=SDP))
    assert (answer.status, answer.sdp, answer.events) == (status, "", ())
    assert answer.leg == replace(leg_of(stream), remote_cseq=REQUEST.cseq)


@pytest.mark.parametrize("body", [answer_sdp(4000, 4002), ""])
def test_reinvite_while_paused_is_answered_inactive(body: str) -> None:
    request = replace(REQUEST, method="INVITE", body=body, content_type=SDP)
    stream = paused()
    answer = answer_request(stream, request)
    assert (answer.status, answer.sdp.count("a=inactive")) == (200, 2)
    # It is what the SRS has already.
    assert answer.leg is not None
    assert version(answer.leg) == version(leg_of(stream))


def test_reinvite_that_takes_nothing_is_answered_inactive_and_sendonly_when_it_does() -> None:
    body = answer_sdp(4000, 4002, directions=("inactive", "recvonly"))
    request = replace(REQUEST, method="INVITE", body=body, content_type=SDP)
    answer = answer_request(RECORDING, request)
    assert answer.leg is not None
    assert (directions(answer.leg), version(answer.leg)) == (["inactive", "sendonly"], 2)
    noted = replace(RECORDING, legs=(answer.leg,))
    later = replace(request, body=answer_sdp(4000, 4002), cseq=request.cseq + 1)
    again = answer_request(noted, later)
    assert again.leg is not None
    assert (directions(again.leg), version(again.leg)) == (["sendonly", "sendonly"], 3)


# Offers of more, or less, than there is


def offer(stream: Stream, body: str, **more: object) -> Answer:
    """Let the SRS re-INVITE with an offer."""
    request = replace(REQUEST, method="INVITE", content_type=SDP, body=body, **more)  # type: ignore[arg-type]
    return answer_request(stream, request)


def ports(sdp: str) -> list[int]:
    return [media.port for media in parse(sdp).media]


def after(answer: Answer) -> Stream:
    """Give the stream with what an answer noted."""
    assert answer.leg is not None
    return replace(RECORDING, legs=(answer.leg,))


EXTRA = "m=video 9000 RTP/AVP 99 100\r\nc=IN IP4 192.0.2.9\r\na=sendrecv\r\n"


def test_m_line_that_the_srs_would_add_is_refused_and_stays() -> None:
    answer = offer(RECORDING, answer_sdp(4000, 4002) + EXTRA)
    assert (answer.status, answer.events) == (200, ())
    assert ports(answer.sdp) == [30150, 30136, 0]
    assert "m=video 0 RTP/AVP 99 100" in answer.sdp
    stream = after(answer)
    assert version(leg_of(stream)) == 2
    again = offer(stream, answer_sdp(4000, 4002) + EXTRA, cseq=8)
    assert again.sdp == answer.sdp
    # An offer of ours has it as well, and the answer to that.
    leg = leg_of(stream)
    assert leg.offer is not None
    checked = check_answer(leg.offer, answer_sdp(4000, 4002) + EXTRA.replace("9000", "0"))
    assert checked.accepted == ("1", "2")
    with pytest.raises(SdpError, match="takes an m-line that was refused"):
        check_answer(leg.offer, answer_sdp(4000, 4002) + EXTRA)


def test_m_line_that_the_srs_ends_has_port_0_until_it_wants_it_again() -> None:
    ended = answer_sdp(4000, 4002).replace("m=audio 4000", "m=audio 0")
    answer = offer(RECORDING, ended)
    assert ports(answer.sdp) == [0, 30136]
    assert directions(leg_of(after(answer))) == ["inactive", "sendonly"]
    assert answer.events == (e.SrsReanswered(sdp=ended),)
    assert leg_of(after(answer)).dropped == ("1",)
    back = offer(after(answer), answer_sdp(4000, 4002), cseq=8)
    assert ports(back.sdp) == [30150, 30136]
    assert leg_of(after(back)).dropped == ()


def test_ack_brings_the_answer_to_what_our_200_offered() -> None:
    answer = answer_request(RECORDING, replace(REQUEST, method="INVITE"))
    assert answer.events == (e.OfferGiven(),)
    stream = after(answer)
    moved = answer_sdp(5000, 5002)
    ack = replace(REQUEST, method="ACK", content_type=SDP, body=moved)
    assert event_of_ack(stream, ack) == (1, e.SrsReanswered(sdp=moved))
    for other in (replace(ack, cseq=8), replace(ack, content_type="text/plain")):
        assert event_of_ack(stream, other) is None
    assert event_of_ack(None, ack) is None


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [("INVITE", "", 491), ("UPDATE", answer_sdp(4000, 4002), 491), ("UPDATE", "", 200)],
)
def test_offer_before_the_ack_to_ours_is_answered_491(method: str, body: str, status: int) -> None:
    stream = follow(RECORDING, [e.OfferGiven()], LATER_MS).stream
    answer = answer_request(stream, replace(REQUEST, method=method, body=body, content_type=SDP))
    assert (answer.status, answer.sdp, answer.events) == (status, "", ())
