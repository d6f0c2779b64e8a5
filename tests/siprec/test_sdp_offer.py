"""The offer to the SRS."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.record import from_json, to_json
from siprec.sdp import ForkError, Offer, compose_offer, fork_tracks, parse
from tests.siprec.fork_sdp import (
    LABELS,
    SEEN,
    SEEN_LABELS,
    SEEN_WANTED,
    WANTED,
    fork,
    media,
)

GOLDEN = Path(__file__).parent / "golden"


def _compose(fork_sdp: str) -> Offer:
    return compose_offer(fork_sdp, WANTED, LABELS, 42, 1)


def test_compose_offer_of_both_parties_is_the_golden_offer() -> None:
    offer = _compose(fork())
    assert offer.sdp.encode() == (GOLDEN / "offer.sdp").read_bytes()
    assert [m.fork_index for m in offer.media] == [1, 0]
    assert [m.party_tag for m in offer.media] == ["tagA", "tagB"]
    assert [m.codecs for m in offer.media] == [("PCMA/8000",), ("PCMA/8000",)]
    assert [line.formats for line in offer.fork] == [("8", "101"), ("8", "101")]
    assert from_json(Offer, to_json(offer)) == offer


def test_compose_offer_of_one_party_has_one_m_line() -> None:
    offer = compose_offer(fork(), [("tagB", "x")], LABELS, 42, 7)
    (only,) = parse(offer.sdp).media
    assert (only.port, only.attribute("label")) == (30136, "x")
    assert parse(offer.sdp).origin == "- 42 7 IN IP4 127.0.0.10"


def test_compose_offer_leaves_out_video_dead_lines_and_unknown_labels() -> None:
    video = media("1", kind="video", port=30000, formats=("96 VP8/90000",))
    dead, unknown = media("1", port=0), media("9", port=30002)
    unlabelled = ["m=audio 30004 RTP/AVP 8", "c=IN IP4 127.0.0.10"]
    offer = _compose(fork(video, dead, unknown, unlabelled, media("1"), media("0")))
    assert [m.fork_index for m in offer.media] == [4, 5]
    assert len(offer.fork) == 6
    assert "video" not in offer.sdp


def test_compose_offer_puts_the_video_that_is_there_behind_the_audio() -> None:
    offer = compose_offer(fork(*SEEN), WANTED, SEEN_LABELS, 42, 1, video=SEEN_WANTED)
    assert [(m.kind, m.label, m.fork_index) for m in offer.media] == [
        ("audio", "1", 2),
        ("audio", "2", 0),
        ("video", "3", 3),
        ("video", "4", 1),
    ]
    assert offer.labels == ("1", "2", "3", "4")
    assert offer.has_video
    # What repairs other packets is no use without them.
    assert offer.media[3].codecs == ("VP8/90000",)
    assert "m=video 30140 RTP/AVP 96\r\n" in offer.sdp


@pytest.mark.parametrize("change", [("m=video 30140", "m=video 0"), ("a=rtpmap:96 VP8", "a=x:96")])
def test_compose_offer_leaves_out_video_that_a_party_has_not(change: tuple[str, str]) -> None:
    first, *others = SEEN[1]
    block = [line.replace(*change) for line in (first, *others)]
    sdp = fork(SEEN[0], block, *SEEN[2:])
    offer = compose_offer(sdp, WANTED, SEEN_LABELS, 42, 1, video=SEEN_WANTED)
    assert offer.labels == ("1", "2", "3")


def test_compose_offer_keeps_codec_lines_and_ptime() -> None:
    formats = ("111 opus/48000/2", "0", "13", "8 PCMA/8000", "110 telephone-event/48000")
    extra = ["a=fmtp:111 useinbandfec=1", "a=fmtp:110 0-16", "a=ptime:20", "a=mid:0", "a=rtcp-mux"]
    offer = compose_offer(fork(media("1", formats=formats, extra=extra)), WANTED[:1], LABELS, 1, 1)
    assert offer.media[0].formats == ("111", "0", "8")
    assert offer.media[0].codecs == ("OPUS/48000/2", "PCMU/8000", "PCMA/8000")
    assert offer.sdp.splitlines()[4:] == [
        "m=audio 30150 RTP/AVP 111 0 8",
        "c=IN IP4 127.0.0.10",
        "a=label:1",
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:8 PCMA/8000",
        "a=fmtp:111 useinbandfec=1",
        "a=ptime:20",
        "a=sendonly",
        "a=rtcp:30151",
    ]


def test_compose_offer_that_keeps_digits_has_telephone_event() -> None:
    formats = ("111 opus/48000/2", "13", "110 telephone-event/48000", "101 telephone-event/8000")
    block = media("1", formats=formats, extra=["a=fmtp:101 0-15"])
    offer = compose_offer(fork(block), WANTED[:1], LABELS, 1, 1, keep_digits=True)
    assert offer.media[0].formats == ("111", "110", "101")
    assert offer.media[0].codecs[1:] == ("TELEPHONE-EVENT/48000", "TELEPHONE-EVENT/8000")
    assert "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n" in offer.sdp


def test_compose_offer_that_keeps_digits_needs_audio() -> None:
    block = media("1", formats=("101 telephone-event/8000",))
    with pytest.raises(ForkError, match="no audio codec"):
        compose_offer(fork(block), WANTED[:1], LABELS, 1, 1, keep_digits=True)


def test_compose_offer_of_a_party_on_hold_is_sendonly() -> None:
    offer = compose_offer(fork(media(direction="inactive")), WANTED[:1], LABELS, 1, 1)
    assert parse(offer.sdp).media[0].direction == "sendonly"


def test_compose_offer_over_ipv6_says_ip6() -> None:
    offer = compose_offer(fork(media(address="2001:db8::1")), WANTED[:1], LABELS, 1, 1)
    assert "o=- 1 1 IN IP6 2001:db8::1\r\n" in offer.sdp
    assert "c=IN IP6 2001:db8::1\r\n" in offer.sdp


@pytest.mark.parametrize("rtcp", ["x", "0", "65536", "99999999", "", "٣"])
def test_compose_offer_leaves_out_a_bad_rtcp_port(rtcp: str) -> None:
    block = [line for line in media() if not line.startswith("a=rtcp")]
    offer = compose_offer(fork([*block, f"a=rtcp:{rtcp}"]), WANTED[:1], LABELS, 1, 1)
    assert "a=rtcp" not in offer.sdp


@pytest.mark.parametrize(
    ("fork_sdp", "why", "retryable"),
    [
        (fork(media("1")), "party 'tagB' has no audio m-line", True),
        (fork(media("1"), media("0", port=0)), "party 'tagB' has no audio m-line", True),
        (fork(media("1"), media("0", kind="video")), "has no audio m-line", True),
        (fork(media("1"), media("0", formats=())), "'tagB' has no audio codec", False),
        (fork(media("1"), media("0", formats=("101 telephone-event/8000",))), "no audio", False),
        (fork(media("1"), media("0", proto="RTP/SAVP")), "RTP/SAVP instead of RTP/AVP", False),
        (fork(media("1"), media("0", address="host.example")), "numeric address", False),
        ("nonsense", "is not a line of SDP", False),
    ],
)
def test_compose_offer_of_a_bad_fork_says_why(fork_sdp: str, why: str, retryable: bool) -> None:
    with pytest.raises(ForkError, match=why) as caught:
        _compose(fork_sdp)
    assert (caught.value.code, caught.value.retryable) == (32102, retryable)


def test_compose_offer_of_nobody_is_refused() -> None:
    with pytest.raises(ForkError, match="no party is wanted"):
        compose_offer(fork(), [], LABELS, 1, 1)


def test_fork_tracks_name_party_and_place() -> None:
    tracks = fork_tracks(fork(), LABELS)
    assert [(t.index, t.label, t.party_tag) for t in tracks] == [(0, "0", "tagB"), (1, "1", "tagA")]
    assert tracks[1].media.port == 30150


@given(st.lists(st.sampled_from([*fork().split("\r\n"), *media(), "a=label:7", "a=x"])))
def test_compose_offer_raises_nothing_but_fork_errors(lines: list[str]) -> None:
    with suppress(ForkError):
        offer = _compose("\r\n".join(["v=0", *lines]))
        assert [m.attribute("label") for m in parse(offer.sdp).media] == ["1", "2"]
