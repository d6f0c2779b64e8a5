"""Session descriptions and multipart bodies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec_srs.errors import BodyError, SdpError
from siprec_srs.message import Request
from siprec_srs.multipart import read_parts
from siprec_srs.sdp import AnswerLine, choose_codec, parse_offer, write_answer
from siprec_srs.summary import safe_name
from tests.srs.documents import BOUNDARY, COMPLETE, write_mixed, write_sdp

OFFER = write_sdp((4000, 4002))


def test_offer_is_read() -> None:
    offer = parse_offer(OFFER.encode())
    assert offer.labels == ["1", "2"]
    assert [line.direction for line in offer.media] == ["sendonly", "sendonly"]
    assert offer.media[1].rtcp == ("127.0.0.1", 4003)
    assert choose_codec(offer.media[0]) == (0, "PCMU")


@pytest.mark.parametrize(
    ("formats", "extra", "codec"),
    [
        ("8 0", "", (8, "PCMA")),
        ("18 8", "", (8, "PCMA")),
        ("97", "a=rtpmap:97 pcma/8000/1\r\n", (97, "PCMA")),
        ("97", "a=rtpmap:97 PCMU/16000\r\n", None),
        ("101 9", "a=rtpmap:101 telephone-event/8000\r\n", None),
    ],
)
def test_first_known_codec_is_chosen(
    formats: str, extra: str, codec: tuple[int, str] | None
) -> None:
    offer = parse_offer((write_sdp((4000,), formats=formats) + extra).encode())
    assert choose_codec(offer.media[0]) == codec


def test_rtcp_address_is_read() -> None:
    text = OFFER + "a=rtcp:7777 IN IP4 127.0.0.9\r\n"
    assert parse_offer(text.encode()).media[1].rtcp == ("127.0.0.9", 7777)


def test_session_level_direction_is_the_default() -> None:
    text = OFFER.replace("a=sendonly\r\n", "").replace("t=0 0", "t=0 0\r\na=inactive")
    assert parse_offer(text.encode()).media[0].direction == "inactive"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("v=0", "v=1"),
        ("o=src 77 1 IN", "o=src 77 IN"),
        ("s=-\r\n", ""),
        ("m=audio 4000", "m=audio 70000"),
        ("m=audio 4000", "m=audio x"),
        ("a=label:1", "label:1"),
        ("c=IN IP4 127.0.0.1\r\n", ""),
    ],
)
def test_bad_offer_raises(old: str, new: str) -> None:
    with pytest.raises(SdpError):
        parse_offer(OFFER.replace(old, new).encode())


@given(data=st.binary(max_size=200))
def test_parse_of_anything_returns_or_raises_sdp_error(data: bytes) -> None:
    for text in (data, OFFER.encode() + data):
        try:
            parse_offer(text)
        except SdpError:
            continue


def test_answer_reads_back() -> None:
    lines = [AnswerLine(port=4000, encoding="PCMU", label="1"), AnswerLine(port=0, label="2")]
    offer = parse_offer(write_answer(host="::1", number=5, version=2, lines=lines))
    assert offer.origin == "siprec-srs 5 2 IN IP6 ::1"
    assert [line.port for line in offer.media] == [4000, 0]
    assert offer.media[0].direction == "recvonly"


def _message(body: bytes, kind: str = f'multipart/mixed; boundary="{BOUNDARY}"') -> Request:
    return Request(method="INVITE", uri="sip:a", headers=(("c", kind),), body=body)


def test_multipart_is_taken_apart() -> None:
    parts = read_parts(_message(write_mixed(OFFER, COMPLETE)))
    assert parts.is_mixed
    assert parts.sdp is not None
    assert parts.metadata is not None
    assert parts.sdp.body == OFFER.encode()
    assert parts.metadata.body == COMPLETE.encode()
    assert parts.metadata.disposition == "recording-session"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"x", "multipart/mixed"),
        (b"x", f"multipart/mixed;boundary={BOUNDARY}"),
        (f"--{BOUNDARY}\r\n\r\nx\r\n".encode(), f"multipart/mixed;boundary={BOUNDARY}"),
        (
            f"--{BOUNDARY}x\r\n\r\nx\r\n--{BOUNDARY}--".encode(),
            f"multipart/mixed;boundary={BOUNDARY}",
        ),
        (
            f"--{BOUNDARY}\r\nc: d\r\n--{BOUNDARY}--".encode(),
            f"multipart/mixed;boundary={BOUNDARY}",
        ),
        (b"x", ""),
    ],
)
def test_bad_multipart_raises(body: bytes, kind: str) -> None:
    with pytest.raises(BodyError):
        read_parts(_message(body, kind))


def test_two_parts_of_a_kind_raise() -> None:
    twice = write_mixed(OFFER, COMPLETE).replace(b"application/rs-metadata+xml", b"application/sdp")
    with pytest.raises(BodyError):
        read_parts(_message(twice))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a@b", "a@b"),
        ("../../etc", "_/../etc".replace("/", "_")),
        ("", "_"),
        ("..", "_"),
        ("a/b", "a_b"),
    ],
)
def test_safe_name_leaves_no_path(text: str, name: str) -> None:
    assert safe_name(text) == name
