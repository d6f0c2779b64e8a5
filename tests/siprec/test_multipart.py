"""Multipart bodies, written and read."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.multipart import MultipartError, Part, compose, mixed_type, parse, sdp_of

_SDP = Part(content_type="application/sdp", body=b"v=0\r\n")
_METADATA = Part(
    content_type="application/rs-metadata+xml", disposition="recording-session", body=b"<r/>\n"
)
_GOLDEN = (
    b"--b0undary\r\n"
    b"Content-Type: application/sdp\r\n"
    b"\r\n"
    b"v=0\r\n"
    b"\r\n--b0undary\r\n"
    b"Content-Type: application/rs-metadata+xml\r\n"
    b"Content-Disposition: recording-session\r\n"
    b"\r\n"
    b"<r/>\n"
    b"\r\n--b0undary--\r\n"
)


def test_compose_writes_the_golden_body() -> None:
    assert compose([_SDP, _METADATA], "b0undary") == _GOLDEN
    assert parse(_GOLDEN, mixed_type("b0undary")) == (_SDP, _METADATA)


_parts = st.lists(
    st.builds(
        Part,
        content_type=st.sampled_from(["application/sdp", "text/plain;charset=utf-8"]),
        disposition=st.none() | st.just('session; handling="required"'),
        body=st.binary()
        | st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"x"])).map(b"".join),
    ),
    min_size=1,
    max_size=16,
)


@given(_parts, st.sampled_from(["b0undary", "a b'()+_,-./:=?c", "x" * 70]))
def test_parse_reads_what_compose_writes(parts: list[Part], boundary: str) -> None:
    assert parse(compose(parts, boundary), mixed_type(boundary)) == tuple(parts)


@pytest.mark.parametrize(
    ("part", "boundary", "why"),
    [
        (Part(content_type="a/b", body=b"x--edge"), "edge", "stands in a part"),
        (Part(content_type="a/b\r\nX: y", body=b""), "edge", "cannot stand in a header"),
        (Part(content_type="a/b", disposition="é", body=b""), "edge", "cannot stand"),
        (_SDP, "", "is not a boundary"),
        (_SDP, "ends ", "is not a boundary"),
        (_SDP, "x" * 71, "is not a boundary"),
        (_SDP, "a\r\nb", "is not a boundary"),
    ],
)
def test_compose_of_what_cannot_be_written_says_why(part: Part, boundary: str, why: str) -> None:
    with pytest.raises(MultipartError, match=why):
        compose([part], boundary)


def test_compose_of_no_parts_is_refused() -> None:
    with pytest.raises(MultipartError, match="no parts"):
        compose([], "edge")


def test_parse_is_lenient_about_layout() -> None:
    body = (
        b"preamble\n--e g\t \n\nno headers\n--e g\n"
        b"content-TYPE : Application/SDP;\n charset=utf-8\nnonsense\n"
        b"Content-Type: text/second\n\nv=0\n\n--e g--\nepilogue --e g\n"
    )
    first, second = parse(body, 'Multipart/Mixed; x="\\"y" ; Boundary = "e g"')
    assert first == Part(content_type="text/plain", body=b"no headers")
    assert second == Part(content_type="Application/SDP; charset=utf-8", body=b"v=0\n")


@pytest.mark.parametrize(
    ("body", "content_type", "why"),
    [
        (_GOLDEN, "application/sdp", "not a multipart type"),
        (_GOLDEN, "", "not a multipart type"),
        (_GOLDEN, "multipart/mixed", "no usable boundary"),
        (_GOLDEN, "multipart/mixed;boundary=", "no usable boundary"),
        (_GOLDEN, 'multipart/mixed;boundary="é"', "no usable boundary"),
        (_GOLDEN, "multipart/mixed;boundary=other", "no closing boundary"),
        (_GOLDEN[:-6], "multipart/mixed;boundary=b0undary", "no closing boundary"),
        (b"--e--\r\n", "multipart/mixed;boundary=e", "no parts"),
        (b"--e\r\n--e--\r\n", "multipart/mixed;boundary=e", "no blank line"),
        (b"--e\r\nA: b\r\n--e--\r\n", "multipart/mixed;boundary=e", "no blank line"),
        (b"--e\r\n\r\n\r\n" * 17 + b"--e--", "multipart/mixed;boundary=e", "more than 16"),
        (b"x" * 262_145, "multipart/mixed;boundary=e", "over 262144"),
    ],
)
def test_parse_of_a_bad_body_says_why(body: bytes, content_type: str, why: str) -> None:
    with pytest.raises(MultipartError, match=why):
        parse(body, content_type)


@given(
    st.binary()
    | st.lists(st.sampled_from([b"--e", b"--", b"\r\n", b"\n", b"A: b", b" ", b"e"])).map(b"".join),
    st.text() | st.just("multipart/mixed;boundary=e"),
)
def test_parse_raises_nothing_but_multipart_errors(body: bytes, content_type: str) -> None:
    with suppress(MultipartError):
        parse(body, content_type)
    sdp_of(content_type, body)


def test_hostile_bodies_take_linear_time() -> None:
    for body in (b"--e\r\n" * 50_000, b"\r\n" * 100_000, b"--e" + b" " * 200_000):
        with pytest.raises(MultipartError):
            parse(body, "multipart/mixed;boundary=e")


@pytest.mark.parametrize(
    ("content_type", "body", "sdp"),
    [
        ("application/sdp", b"v=0\r\n", "v=0\r\n"),
        ("Application/SDP ; charset=utf-8", b"s=Zo\xc3\xab\xff", "s=Zoë\ufffd"),
        (mixed_type("b0undary"), _GOLDEN, "v=0\r\n"),
        (mixed_type("e"), compose([_METADATA], "e"), None),
        (mixed_type("e"), _GOLDEN, None),
        ("application/sdp", b" \r\n", None),
        ("text/plain", b"v=0\r\n", None),
        ("", b"", None),
    ],
)
def test_sdp_of_finds_the_sdp(content_type: str, body: bytes, sdp: str | None) -> None:
    assert sdp_of(content_type, body) == sdp
