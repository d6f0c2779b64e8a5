"""The answer of the SRS, which is never trusted."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.record import from_json, to_json
from siprec.sdp import CheckedAnswer, Offer, SdpError, check_answer, compose_offer, parse
from tests.siprec.fork_sdp import LABELS, WANTED, fork, media

GOLDEN = Path(__file__).parent / "golden"


def _offer(*blocks: list[str]) -> Offer:
    return compose_offer(fork(*blocks), WANTED, LABELS, 42, 1)


def _answer(*lines: str) -> str:
    head = ("v=0", "o=srs 1 1 IN IP4 10.0.0.9", "s=srs", "c=IN IP4 10.0.0.9", "t=0 0")
    return "\r\n".join([*head, *lines, ""])


GOOD = ("m=audio 4000 RTP/AVP 8", "a=recvonly")
REFUSED = ("m=audio 0 RTP/AVP 8",)


def test_check_answer_gives_rtpengine_the_golden_answer() -> None:
    answer = _answer(*GOOD, "a=rtcp:4001 IN IP4 6.6.6.6", "a=tool:evil", *REFUSED)
    checked = check_answer(_offer(), answer)
    assert checked.sdp.encode() == (GOLDEN / "checked-answer.sdp").read_bytes()
    assert (checked.accepted, checked.refused, checked.inactive) == (("1",), ("2",), ())
    assert from_json(CheckedAnswer, to_json(checked)) == checked


@pytest.mark.parametrize("direction", ["a=recvonly", "a=sendrecv", "b=AS:64"])
def test_check_answer_takes_an_srs_that_receives(direction: str) -> None:
    line = ("m=audio 4000 RTP/AVP 8", direction)
    assert check_answer(_offer(), _answer(*line, *line)).accepted == ("1", "2")


@pytest.mark.parametrize(
    "block",
    [
        ("m=audio 4000 RTP/AVP 8", "a=inactive"),
        ("m=audio 4000 RTP/AVP 8", "a=sendonly"),
        ("m=audio 4000 RTP/AVP 8", "c=IN IP4 0.0.0.0"),
        ("m=audio 4000 RTP/AVP 8", "c=IN IP6 ::"),
        ("m=audio 9 RTP/AVP 18", "a=inactive"),
    ],
)
def test_check_answer_of_an_srs_that_waits_is_inactive(block: tuple[str, ...]) -> None:
    checked = check_answer(_offer(), _answer(*block, *block))
    assert (checked.accepted, checked.refused, checked.inactive) == ((), (), ("1", "2"))
    nowhere = [(m.connection, m.direction) for m in parse(checked.sdp).media if m.port]
    assert nowhere == ([] if "18" in block[0] else [("0.0.0.0", "inactive")] * 2)


def test_check_answer_of_the_other_address_family_is_refused() -> None:
    line = ("m=audio 4000 RTP/AVP 8", "c=IN IP6 2001:db8::1")
    with pytest.raises(SdpError, match="wants media at IPv6, rtpengine sends it by IPv4"):
        check_answer(_offer(), _answer(*line, *line))


def test_check_answer_with_fewer_m_lines_refuses_the_rest() -> None:
    checked = check_answer(_offer(), _answer(*GOOD))
    assert (checked.accepted, checked.refused) == (("1",), ("2",))


def test_check_answer_keeps_every_m_line_of_the_fork() -> None:
    video = media("1", kind="video", port=30000, formats=())
    checked = check_answer(_offer(media("0"), video, media("1")), _answer(*GOOD, *GOOD))
    kinds = [(m.kind, m.port, m.formats) for m in parse(checked.sdp).media]
    assert kinds == [("audio", 4000, ("8",)), ("video", 0, ("0",)), ("audio", 4000, ("8",))]


def _opus_offer() -> Offer:
    formats = ("96 opus/48000/2", "8 PCMA/8000", "0", "97")
    block = media("1", formats=formats, extra=["a=fmtp:96 useinbandfec=1"])
    return compose_offer(fork(block), WANTED[:1], LABELS, 42, 1)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (("8",), ["8", "a=rtpmap:8 PCMA/8000"]),
        (("8 101", "a=rtpmap:101 telephone-event/8000"), ["8", "a=rtpmap:8 PCMA/8000"]),
        (("18 0",), ["0", "a=rtpmap:0 PCMU/8000"]),
        (("0", "a=rtpmap:0 PCMU/8000/1"), ["0", "a=rtpmap:0 PCMU/8000"]),
        (("97",), ["97"]),
        (
            ("96", "a=rtpmap:96 OPUS/48000/2", "a=fmtp:96 evil"),
            ["96", "a=rtpmap:96 opus/48000/2", "a=fmtp:96 useinbandfec=1"],
        ),
        (("96",), ["96", "a=rtpmap:96 opus/48000/2", "a=fmtp:96 useinbandfec=1"]),
        (
            ("107", "a=rtpmap:107 opus/48000/2"),
            ["107", "a=rtpmap:107 opus/48000/2", "a=fmtp:107 useinbandfec=1"],
        ),
    ],
)
def test_check_answer_passes_on_offered_codecs_alone(
    chosen: tuple[str, ...], expected: list[str]
) -> None:
    formats, *lines = chosen
    checked = check_answer(_opus_offer(), _answer(f"m=audio 4000 RTP/AVP {formats}", *lines))
    head, *rest = checked.sdp.splitlines()[4:]
    codecs = [line for line in rest if line.startswith(("a=rtpmap", "a=fmtp"))]
    assert [head.removeprefix("m=audio 4000 RTP/AVP "), *codecs] == expected


@pytest.mark.parametrize(
    ("formats", "expected"),
    [
        ("8 101", ["8 101", "a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000"]),
        ("8", ["8", "a=rtpmap:8 PCMA/8000"]),
    ],
)
def test_check_answer_passes_on_digits_that_were_offered(formats: str, expected: list[str]) -> None:
    offer = compose_offer(fork(), WANTED[:1], LABELS, 42, 1, keep_digits=True)
    checked = check_answer(offer, _answer(f"m=audio 4000 RTP/AVP {formats}", "a=recvonly"))
    head, *rest = checked.sdp.splitlines()[7:]
    rtpmaps = [line for line in rest if line.startswith("a=rtpmap")]
    assert [head.removeprefix("m=audio 4000 RTP/AVP "), *rtpmaps] == expected


def test_check_answer_of_an_srs_that_takes_digits_alone_is_refused() -> None:
    offer = compose_offer(fork(), WANTED[:1], LABELS, 42, 1, keep_digits=True)
    with pytest.raises(SdpError, match="chose TELEPHONE-EVENT/8000, offered was PCMA/8000"):
        check_answer(
            offer,
            _answer("m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000", "a=recvonly"),
        )


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((*GOOD, *GOOD, *GOOD), "has 3 m-lines, 2 were offered"),
        ((*REFUSED, *REFUSED), "refused every track"),
        ((), "refused every track"),
        (("m=video 4000 RTP/AVP 8",), "m-line 1 is video, audio was offered"),
        ((*GOOD, "m=video 0 RTP/AVP 8"), "m-line 2 is video"),
        (("m=audio 4000 RTP/SAVP 8",), "m-line 1 is RTP/SAVP, RTP/AVP was offered"),
        (("m=audio 4000 RTP/AVP 18",), "m-line 1 chose G729/8000, offered was PCMA/8000"),
        (("m=audio 4000 RTP/AVP 8", "a=rtpmap:8 G729/8000"), "chose G729/8000"),
        (("m=audio 4000 RTP/AVP 0", "a=rtpmap:0 PCMA/8000"), "chose PCMA/8000"),
        (("m=audio 4000 RTP/AVP 128", "a=rtpmap:128 PCMA/8000"), "chose PCMA/8000"),
        (("m=audio 4000 RTP/AVP x", "a=rtpmap:x PCMA/8000"), "chose PCMA/8000"),
        (("m=audio 4000 RTP/AVP 97",), "chose 97, offered was PCMA/8000"),
        (("m=audio 4000 RTP/AVP",), "chose nothing"),
        (("m=audio 4000 RTP/AVP 8", "c=IN IP4 srs.example.com"), "no numeric address"),
        (("m=audio 4000 RTP/AVP 8", "c=IN IP6 fe80::1%eth0"), "no numeric address"),
        (("m=audio 4000 RTP/AVP 8", "c=IN IP4 224.0.0.1"), "no single host"),
        (("m=audio 4000 RTP/AVP 8", "c=IN IP4 255.255.255.255"), "no single host"),
        (("m=audio 70000 RTP/AVP 8",), "is not an m-line"),
    ],
)
def test_check_answer_of_a_bad_answer_says_why(lines: tuple[str, ...], why: str) -> None:
    with pytest.raises(SdpError, match=why) as caught:
        check_answer(_offer(), _answer(*lines))
    assert caught.value.code == 32102


def test_check_answer_of_garbage_is_refused() -> None:
    with pytest.raises(SdpError, match="is not a line of SDP"):
        check_answer(_offer(), "this is no SDP\r\n")


_BLOCKS = [
    *GOOD,
    *REFUSED,
    "m=audio 4000 RTP/AVP 8 18 101",
    "m=video 4000 RTP/AVP 8",
    "c=IN IP4 0.0.0.0",
    "c=IN IP6 ::1",
    "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:101 PCMA/8000",
    "a=rtcp:1",
    "a=inactive",
]


@given(st.lists(st.sampled_from(_BLOCKS) | st.text(max_size=30).map("a={}".format), max_size=8))
def test_check_answer_never_gives_rtpengine_what_we_did_not_offer(lines: list[str]) -> None:
    offer = _offer()
    with suppress(SdpError):
        checked = check_answer(offer, _answer(*lines))
        clean = parse(checked.sdp).media
        assert [(m.kind, m.proto) for m in clean] == [(f.kind, f.proto) for f in offer.fork]
        held = [m for m in clean if m.port and m.connection == "0.0.0.0"]
        assert len(held) <= len(checked.inactive)
        assert all(m.direction == "inactive" for m in held)
        live = [m for m in clean if m.port and m not in held]
        assert len(live) == len(checked.accepted)
        assert all(m.direction == "recvonly" for m in live)
        assert all(set(m.codecs.values()) == {"PCMA/8000"} for m in live)
        assert sorted(checked.accepted + checked.refused + checked.inactive) == ["1", "2"]
