"""The SIP parser: headers, compact forms, folding, framing, hostile input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec_srs.address import parse_name_addr, parse_uri, parse_via
from siprec_srs.errors import ParseError
from siprec_srs.message import Request, Response, StreamFramer, parse, split_outside

INVITE = (
    b"INVITE sip:srs@127.0.0.1 SIP/2.0\r\n"
    b"v: SIP/2.0/UDP a.example:5061;branch=z9hG4bK1;rport, SIP/2.0/TCP [::1];branch=z9hG4bK2\r\n"
    b"Via: SIP/2.0/TLS c;branch=z9hG4bK3\r\n"
    b'f: "Bob \\"B, <x>" <sip:bob@b;p=1>;tag=77\r\n'
    b"T: sip:srs@127.0.0.1;tag=9\r\n"
    b"i: abc@b\r\n"
    b"CSeq:  12   INVITE\r\n"
    b"Subject: one\r\n two\r\n\tthree\r\n"
    b"l: 4\r\n\r\nbodymore"
)


def test_parse_reads_compact_forms_folding_and_lists() -> None:
    message = parse(INVITE)
    assert isinstance(message, Request)
    assert (message.method, message.uri) == ("INVITE", "sip:srs@127.0.0.1")
    assert [parse_via(value).branch for value in message.values("Via")] == [
        "z9hG4bK1",
        "z9hG4bK2",
        "z9hG4bK3",
    ]
    sender = parse_name_addr(message.need("From"))
    assert (sender.name, sender.uri, sender.tag) == ('Bob "B, <x>', "sip:bob@b;p=1", "77")
    assert parse_name_addr(message.need("to")).tag == "9"
    assert message.cseq == (12, "INVITE")
    assert message.get("s") == "one two three"
    assert message.body == b"body"


def test_encode_then_parse_gives_the_same() -> None:
    message = parse(INVITE)
    again = parse(message.encode())
    assert again.body == message.body
    assert [h for h in again.headers if h[0] != "Content-Length"] == [
        h for h in message.headers if h[0] != "l"
    ]


def test_parse_reads_response() -> None:
    message = parse(b"SIP/2.0 486 Busy Here\r\nCSeq: 1 BYE\r\n\r\n")
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (486, "Busy Here")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"INVITE sip:a SIP/2.0\r\n",
        b"INVITE sip:a SIP/3.0\r\n\r\n",
        b"INVITE sip:a\r\n\r\n",
        b"SIP/2.0 twohundred OK\r\n\r\n",
        b"INVITE sip:a SIP/2.0\r\nno colon\r\n\r\n",
        b"INVITE sip:a SIP/2.0\r\n: nameless\r\n\r\n",
        b"INVITE sip:a SIP/2.0\r\nl: 5\r\n\r\nbody",
        b"INVITE sip:a SIP/2.0\r\nl: -1\r\n\r\n",
        b"INVITE sip:a SIP/2.0\r\nl: 1\r\nContent-Length: 2\r\n\r\nab",
        b"INVITE sip:a SIP/2.0\r\nX: \0\r\n\r\n",
    ],
)
def test_parse_of_bad_message_raises(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse(data)


@pytest.mark.parametrize("text", ["1", "x INVITE", "-1 INVITE", "4294967296 INVITE", "1  "])
def test_bad_cseq_raises(text: str) -> None:
    message = Request(method="INVITE", uri="sip:a", headers=(("CSeq", text),))
    with pytest.raises(ParseError):
        _ = message.cseq


@given(data=st.binary(max_size=400))
def test_parse_of_anything_returns_or_raises_parse_error(data: bytes) -> None:
    for text in (data, b"BYE sip:a SIP/2.0\r\n" + data + b"\r\n\r\n"):
        try:
            parse(text)
        except ParseError:
            continue


@given(cuts=st.lists(st.integers(min_value=1, max_value=60), max_size=30))
def test_framer_finds_messages_however_the_stream_is_cut(cuts: list[int]) -> None:
    one = parse(INVITE).encode()
    stream = b"\r\n\r\n" + one + b"\r\n" + one + one
    framer, found = StreamFramer(), []
    for cut in cuts:
        found += framer.feed(stream[:cut])
        stream = stream[cut:]
    found += framer.feed(stream)
    assert found == [one, one, one]


@pytest.mark.parametrize(
    "data",
    [
        b"BYE sip:a SIP/2.0\r\nX: 1\r\n\r\n",
        b"BYE sip:a SIP/2.0\r\nContent-Length: 99999999\r\n\r\n",
        b"x" * 70_000,
    ],
)
def test_framer_on_stream_that_cannot_be_followed_raises(data: bytes) -> None:
    with pytest.raises(ParseError):
        StreamFramer().feed(data)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a,b", ["a", "b"]),
        ('"a,\\",b",c', ['"a,\\",b"', "c"]),
        ("<a,b>,c", ["<a,b>", "c"]),
        ("", [""]),
    ],
)
def test_split_outside_honours_quotes_and_brackets(text: str, parts: list[str]) -> None:
    assert split_outside(text, ",") == parts


def test_uri_with_ipv6_port_and_transport_is_read() -> None:
    uri = parse_uri("sip:src@[::1]:5070;transport=TCP;lr")
    assert (uri.user, uri.host, uri.port, uri.transport) == ("src", "::1", 5070, "tcp")
    assert "lr" in uri.params


@pytest.mark.parametrize("text", ["", "tel:+1", "sip:", "sip:a b", "http://x"])
def test_uri_that_is_not_sip_raises(text: str) -> None:
    with pytest.raises(ParseError):
        parse_uri(text)


@pytest.mark.parametrize("text", ["", "SIP/2.0/UDP", "SIP/1.0/UDP a", "SIP/2.0/UDP a b"])
def test_bad_via_raises(text: str) -> None:
    with pytest.raises(ParseError):
        parse_via(text)


@pytest.mark.parametrize("text", ["", "x>;tag=1", '"Bob"', "a b"])
def test_bad_name_addr_raises(text: str) -> None:
    with pytest.raises(ParseError):
        parse_name_addr(text)
