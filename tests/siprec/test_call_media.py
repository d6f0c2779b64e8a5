"""Whose audio a call carries, by what the ends say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.call_media import Flow, flow_from, flow_of, has_video, parsed_flow, quiet_sides
from siprec.model import Side

BOTH, SENDS, WANTS, NONE = (
    Flow(True, True),
    Flow(True, False),
    Flow(False, True),
    Flow(False, False),
)
CALLER, CALLEE = Side.CALLER, Side.CALLEE


def sdp(*lines: str, address: str = "192.0.2.1") -> str:
    head = ["v=0", f"o=- 1 1 IN IP4 {address}", "s=-", f"c=IN IP4 {address}", "t=0 0"]
    return "".join(f"{line}\r\n" for line in (*head, *lines))


AUDIO = "m=audio 4000 RTP/AVP 8"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (sdp(AUDIO), BOTH),
        (sdp(AUDIO, "a=sendonly"), SENDS),
        (sdp(AUDIO, "a=recvonly"), WANTS),
        (sdp(AUDIO, "a=inactive"), NONE),
        (sdp("a=sendonly", AUDIO), SENDS),
        (sdp("a=sendonly", AUDIO, "a=sendrecv"), BOTH),
        (sdp(AUDIO, address="0.0.0.0"), SENDS),
        (sdp(AUDIO, "c=IN IP6 ::"), SENDS),
        (sdp(AUDIO, address="host.example"), BOTH),
        (sdp("m=audio 0 RTP/AVP 8"), NONE),
        (sdp("m=video 9 RTP/AVP 99", "a=inactive", AUDIO), BOTH),
        (sdp("m=video 9 RTP/AVP 99"), None),
        ("garbage", None),
        ("", None),
    ],
)
def test_flow_is_that_of_the_first_audio_m_line(text: str, expected: Flow | None) -> None:
    assert flow_of(text) == parsed_flow(text) == expected


ADDRESSES = [
    "192.0.2.1",
    "0.0.0.0",
    "10.0.0.0",
    "0.0.0.0/127",
    "::",
    "::0",
    "::1",
    "0::",
    "h.example",
]
LINES = [
    *(
        "m=audio 4000 RTP/AVP 8",
        "m=audio 0 RTP/AVP 8",
        "m=audio 00 RTP/AVP 8",
        "m=video 9 RTP/AVP 99",
    ),
    *(
        "a=sendonly",
        "a=recvonly",
        "a=inactive",
        "a=sendrecv",
        "a=sendonlyx",
        "a=rtpmap:8 PCMA/8000",
    ),
    *(f"c=IN IP{6 if ':' in address else 4} {address}" for address in ADDRESSES),
]


@given(st.lists(st.sampled_from(LINES), max_size=8), st.sampled_from(["\r\n", "\n"]))
def test_flow_that_shows_at_once_is_what_parsing_gives(lines: list[str], end: str) -> None:
    text = end.join(["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "t=0 0", *lines]) + end
    assert flow_of(text) == parsed_flow(text)


@pytest.mark.parametrize("flow", [BOTH, SENDS, WANTS, NONE])
def test_flow_is_written_and_read(flow: Flow) -> None:
    assert flow_from(str(flow)) == flow


@pytest.mark.parametrize("text", ["", "1", "111", "2x", "ab"])
def test_anything_else_is_no_flow(text: str) -> None:
    assert flow_from(text) is None


@pytest.mark.parametrize(
    ("offer", "answer", "expected"),
    [
        (BOTH, BOTH, ()),
        (SENDS, WANTS, (CALLEE,)),
        (SENDS, BOTH, (CALLEE,)),
        (WANTS, SENDS, (CALLER,)),
        (NONE, NONE, (CALLER, CALLEE)),
        (BOTH, WANTS, (CALLEE,)),
        (BOTH, SENDS, (CALLER,)),
        (SENDS, NONE, (CALLER, CALLEE)),
        (None, WANTS, (CALLEE,)),
        (None, BOTH, ()),
    ],
)
def test_sides_are_quiet_that_do_not_send_or_are_not_wanted(
    offer: Flow | None, answer: Flow, expected: tuple[Side, ...]
) -> None:
    assert quiet_sides(CALLER, offer, answer) == expected
    other = {CALLER: CALLEE, CALLEE: CALLER}
    mirrored = {other[side] for side in expected}
    assert set(quiet_sides(CALLEE, offer, answer)) == mirrored


@pytest.mark.parametrize(
    ("line", "expected"),
    [("m=video 9 RTP/AVP 99", True), ("m=video 0 RTP/AVP 99", False), ("a=x", False)],
)
def test_video_is_there_when_the_answer_takes_it(line: str, expected: bool) -> None:
    assert has_video(sdp(AUDIO, line)) is expected
