"""Offers and answers as they pass: whose audio is sent, kept between messages and workers."""

import pytest

from siprec.model import Side
from siprec_kemi.proxy import negotiation
from siprec_kemi.proxy.negotiation import Agreed, Answer
from tests.kemi.strict_ksr import StrictKsr

CALLER, CALLEE = Side.CALLER, Side.CALLEE
GET, SET, REMOVE = "htable.sht_get", "htable.sht_sets", "htable.sht_rm"


def sdp(direction: str = "sendrecv", address: str = "192.0.2.1") -> str:
    head = f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
    return f"{head}m=audio 4000 RTP/AVP 8\r\na={direction}\r\n"


@pytest.fixture(autouse=True)
def dialog(ksr: StrictKsr) -> None:
    ksr.variables |= {"$ci": "a@b", "$ft": "from", "$tt": "to", "$cT": "application/sdp"}
    ksr.returns[GET] = None


def passes(ksr: StrictKsr, body: str, to_tag: str = "to") -> None:
    """Let a message with this SDP be the one at hand."""
    ksr.variables |= {"$rb": body, "$tt": to_tag}


def remember(ksr: StrictKsr) -> None:
    """Let the htable give what was kept in it last."""
    _, _, text = ksr.named(SET)[-1]
    ksr.returns[GET] = text


@pytest.mark.parametrize(
    ("offer", "answer", "quiet"),
    [
        (sdp(), sdp(), ()),
        (sdp("sendonly"), sdp("recvonly"), (CALLEE,)),
        (sdp(address="0.0.0.0"), sdp(), (CALLEE,)),
        (sdp("inactive"), "garbage", ()),
        ("garbage", sdp("recvonly"), (CALLEE,)),
    ],
)
def test_answer_tells_who_is_quiet(
    ksr: StrictKsr, offer: str, answer: str, quiet: tuple[Side, ...]
) -> None:
    passes(ksr, offer)
    negotiation.note_offer()
    assert negotiation.answered() is None
    passes(ksr, answer)
    negotiation.note_answer(CALLER)
    assert negotiation.answered() == Answer(quiet)


@pytest.mark.parametrize(("port", "has_video"), [(4002, True), (0, False)])
def test_answer_tells_whether_there_is_video(ksr: StrictKsr, port: int, has_video: bool) -> None:
    passes(ksr, f"{sdp()}m=video 5000 RTP/AVP 99\r\n")
    negotiation.note_offer()
    passes(ksr, f"{sdp()}m=video {port} RTP/AVP 99\r\n")
    negotiation.note_answer(CALLER)
    assert negotiation.answered() == Answer(has_video=has_video)


def test_each_early_dialog_has_an_answer_of_its_own(ksr: StrictKsr) -> None:
    passes(ksr, sdp())
    negotiation.note_offer()
    for tag, direction in (("a", "recvonly"), ("b", "sendrecv"), ("b", "sendonly")):
        passes(ksr, sdp(direction), tag)
        negotiation.note_answer(CALLER)
    found = []
    for tag in ("a", "b", "c"):
        ksr.variables["$tt"] = tag
        found.append(negotiation.answered())
    assert found == [Answer((CALLEE,)), Answer((CALLER,)), None]


@pytest.mark.parametrize(
    ("offer", "answer", "quiet"),
    [
        (sdp(), sdp(), ()),
        (sdp(address="0.0.0.0"), sdp(), (CALLER,)),
        (sdp("sendonly"), sdp("recvonly"), (CALLER,)),
        ("garbage", sdp("recvonly"), (CALLER,)),
    ],
)
def test_offer_in_a_reply_is_kept_until_it_is_answered(
    ksr: StrictKsr, offer: str, answer: str, quiet: tuple[Side, ...]
) -> None:
    assert not negotiation.is_late_answer()
    passes(ksr, offer)
    negotiation.note_late_offer()
    remember(ksr)
    assert negotiation.is_late_answer()
    passes(ksr, answer)
    assert negotiation.take_late_answer(CALLEE) == Answer(quiet)
    assert ksr.named(REMOVE) == [("negotiated", "a@b from to")]


def test_answer_to_an_offer_that_nobody_knows_is_believed(ksr: StrictKsr) -> None:
    passes(ksr, sdp("sendonly"))
    assert negotiation.take_late_answer(CALLEE) == Answer((CALLEE,))


@pytest.mark.parametrize("quiet", [(), (CALLEE,), (CALLER, CALLEE)])
@pytest.mark.parametrize("is_srtp", [True, False])
@pytest.mark.parametrize("has_video", [True, False])
def test_what_was_agreed_early_is_taken_once(
    ksr: StrictKsr, quiet: tuple[Side, ...], is_srtp: bool, has_video: bool
) -> None:
    assert negotiation.take_early("to") is None
    negotiation.keep_early("to", Agreed(Answer(quiet, has_video), is_srtp))
    remember(ksr)
    assert negotiation.take_early("to") == Agreed(Answer(quiet, has_video), is_srtp)
    assert ksr.named(REMOVE) == [("negotiated", "a@b to")]
