"""Reading SDP."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.sdp import Media, SdpError, Session, parse

_TEXT = """v=0\r
o=- 1 2 IN IP4 10.0.0.1\r
s=x\r
c=IN IP4 10.0.0.1/127\r
t=0 0\r
a=tool:x\r
a=inactive\r
m=audio 4000/2 RTP/AVP 0 96\r
a=rtpmap:96 opus/48000/2\r
a=rtpmap:96 other/8000\r
a=fmtp:96 useinbandfec=1\r
a=rtcp-mux\r
m=audio 0 RTP/AVP\r
c=IN IP6 ::1\r
a=sendonly\r
"""


def test_parse_gives_session_and_media() -> None:
    session = parse(_TEXT)
    assert (session.origin, session.connection) == ("- 1 2 IN IP4 10.0.0.1", "10.0.0.1")
    assert session.attribute("tool") == "x"
    assert session.attribute("inactive") == ""
    assert session.attribute("label") is None
    first, second = session.media
    assert (first.kind, first.port, first.proto) == ("audio", 4000, "RTP/AVP")
    assert first.formats == ("0", "96")
    assert (first.connection, second.connection) == ("10.0.0.1", "::1")
    assert (first.direction, second.direction) == ("inactive", "sendonly")
    assert (second.port, second.formats) == (0, ())


def test_media_tells_codecs_and_attributes() -> None:
    media = parse(_TEXT).media[0]
    assert media.rtpmaps == {"96": "opus/48000/2"}
    assert media.fmtps == {"96": "useinbandfec=1"}
    assert media.attribute("rtcp-mux") == ""
    assert media.attribute("label") is None
    assert media.codecs == {"0": "PCMU/8000", "96": "OPUS/48000/2"}


def test_media_codecs_ignore_a_channel_count_of_one() -> None:
    attributes = (("rtpmap", "8 pcma/8000/1"), ("rtpmap", None))
    media = Media(kind="audio", port=1, proto="RTP/AVP", formats=("8", "97"), attributes=attributes)
    assert media.codecs == {"8": "PCMA/8000", "97": ""}
    assert media.direction == "sendrecv"


def test_parse_takes_lf_and_no_media() -> None:
    assert parse("v=0\no=- 1 1 IN IP4 1.1.1.1\n") == Session(origin="- 1 1 IN IP4 1.1.1.1")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not a line"),
        ("o=-\r\nv=0\r\n", "does not begin with v=0"),
        ("v=1\r\n", "does not begin with v=0"),
        ("v=0\r\n\r\ns=-\r\n", "is not a line"),
        ("v=0\r\nnonsense\r\n", "line 2 is not a line"),
        ("v=0\r\nM=audio\r\n", "is not a line"),
        ("v=0\r\ns=a\rb\r\n", "control character"),
        ("v=0\r\ns=\x00\r\n", "control character"),
        ("v=0\r\nm=audio\r\n", "is not an m-line"),
        ("v=0\r\nm=audio -1 RTP/AVP 0\r\n", "is not an m-line"),
        ("v=0\r\nm=audio 65536 RTP/AVP 0\r\n", "is not an m-line"),
        ("v=0\r\nm=audio 1 RTP/AVP é\r\n", "not a token"),
        ("v=0\r\nm=audio 1 RTP/AVP" + " 0" * 129, "more than 128 formats"),
        ("v=0\r\nc=IN IP4\r\n", "not a connection line"),
        ("v=0\r\nc=IN IP5 1.1.1.1\r\n", "not a connection line"),
        ("v=0\r\nc=ATM IP4 1.1.1.1\r\n", "not a connection line"),
        ("v=0\r\ns=" + "x" * 65_536, "over 65536"),
        ("v=0\r\ns=" + "é" * 40_000, "over 65536"),
    ],
)
def test_parse_of_bad_sdp_says_why(text: str, why: str) -> None:
    with pytest.raises(SdpError, match=why) as caught:
        parse(text)
    assert (caught.value.code, caught.value.retryable) == (32102, False)


_lines = st.lists(
    st.sampled_from([*_TEXT.splitlines(), "m=audio 1", "c=IN IP4", "a=", "m="])
    | st.builds("{}={}".format, st.sampled_from("vosctam"), st.text(max_size=20))
).map("\r\n".join)


@given(st.text() | _lines.map("v=0\r\n{}".format))
def test_parse_raises_nothing_but_sdp_errors(text: str) -> None:
    with suppress(SdpError):
        for media in parse(text).media:
            assert media.direction
            assert 0 <= media.port <= 65535
