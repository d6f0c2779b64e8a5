"""Offers of the SRS, and which answers an SRC may give."""

from dataclasses import replace

import pytest

from siprec_srs.offers import Wish, judge_answer
from siprec_srs.sdp import AnswerLine, Offer, parse_offer
from tests.srs.documents import write_sdp

AGREED = [
    AnswerLine(port=4000, payload_type=8, encoding="PCMA", label="1"),
    AnswerLine(port=4002, payload_type=8, encoding="PCMA", label="2"),
]


def _answer(*, direction: str = "sendonly", ports: tuple[int, ...] = (5000, 5002)) -> Offer:
    return parse_offer(write_sdp(ports, direction=direction).encode())


@pytest.mark.parametrize(
    ("wish", "ports", "directions"),
    [
        (Wish(), [4000, 4002], ["recvonly", "recvonly"]),
        (Wish(direction="inactive"), [4000, 4002], ["inactive", "inactive"]),
        (Wish(port_zero=0), [0, 4002], ["recvonly", "recvonly"]),
        (Wish(port_zero=7), [4000, 4002], ["recvonly", "recvonly"]),
        (Wish(extra=True), [4000, 4002, 9], ["recvonly"] * 3),
    ],
)
def test_wish_changes_what_was_agreed_on(
    wish: Wish, ports: list[int], directions: list[str]
) -> None:
    lines = wish.lines(AGREED)
    assert [line.port for line in lines] == ports
    assert [line.direction for line in lines] == directions


def test_offer_leaves_the_role_in_the_handshake_open() -> None:
    secured = [replace(AGREED[0], security=("setup:active", "fingerprint:sha-256 AB"))]
    assert Wish().lines(secured)[0].security == ("setup:actpass", "fingerprint:sha-256 AB")


@pytest.mark.parametrize(
    ("offered", "answered", "is_right"),
    [
        ("recvonly", "sendonly", True),
        ("recvonly", "inactive", True),
        ("recvonly", "sendrecv", False),
        ("recvonly", "recvonly", False),
        ("sendrecv", "sendonly", True),
        ("sendrecv", "sendrecv", False),
        ("inactive", "inactive", True),
        ("inactive", "sendonly", False),
    ],
)
def test_direction_of_the_answer_fits_the_offer(
    offered: str, answered: str, is_right: bool
) -> None:
    lines = Wish(direction=offered).lines(AGREED)
    found = judge_answer(lines, _answer(direction=answered), 2)
    wanted = [] if is_right else [f"{answered} is no answer to {offered}"]
    assert [text.partition(": ")[2] for text in found[:1]] == wanted


@pytest.mark.parametrize(
    ("wish", "answer", "problem"),
    [
        (Wish(), _answer(ports=(5000,)), "answered 1 m-lines to the 2 of our offer"),
        (Wish(port_zero=1), _answer(), "m-line 2: an m-line that we ended has a port"),
        (
            Wish(extra=True),
            _answer(ports=(5000, 5002, 5004)),
            "m-line 3: an m-line that we added was accepted",
        ),
        (
            Wish(),
            parse_offer(write_sdp((5000, 5002)).replace("label:2", "label:3").encode()),
            "m-line 2: label 3 instead of 2",
        ),
        (
            Wish(),
            parse_offer(write_sdp((5000, 5002)).replace("AVP 0 8", "SAVP 0 8", 1).encode()),
            "m-line 1: RTP/SAVP is no answer to RTP/AVP",
        ),
        (
            Wish(),
            parse_offer(write_sdp((0, 5002), formats="0").encode()),
            "m-line 2: payload type 8 is not among ('0',)",
        ),
    ],
)
def test_wrong_answer_is_told(wish: Wish, answer: Offer, problem: str) -> None:
    assert judge_answer(wish.lines(AGREED), answer, 2) == [problem]


def test_m_lines_that_are_refused_need_nothing_else() -> None:
    lines = Wish(port_zero=1, extra=True).lines(AGREED)
    answer = write_sdp((5000, 0)) + "m=audio 0 RTP/AVP 0\r\n"
    assert judge_answer(lines, parse_offer(answer.encode()), 2) == []
