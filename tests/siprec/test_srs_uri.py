"""URIs of recorders."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.srs_uri import SipUriError, SrsUri, parse_srs_uri


@pytest.mark.parametrize(
    ("text", "wire", "transport"),
    [
        ("sip:srs.example.com", "sip:srs.example.com;transport=tcp", "tcp"),
        ("sip:rec@10.0.0.1:5080;transport=UDP", "sip:rec@10.0.0.1:5080;transport=udp", "udp"),
        ("sip:[::1];transport=tcp", "sip:[::1];transport=tcp", "tcp"),
        ("sip:h;Transport=tls", "sip:h;transport=tls", "tls"),
        ("sip:h;secure=true", "sip:h;transport=tls", "tls"),
        ("sip:h;secure=true;transport=tcp", "sip:h;transport=tcp", "tcp"),
        ("sip:h&secure=true&transport=udp", "sip:h;transport=udp", "udp"),
        ("sip:h;secure=false", "sip:h;transport=tcp", "tcp"),
        ("sip:h;edge=dublin", "sip:h;transport=tcp", "tcp"),
        ("sips:h", "sips:h", "tls"),
        ("sips:a&b@h:5071;secure=false", "sips:a&b@h:5071", "tls"),
        ("sips:h;transport=tcp", "sips:h", "tls"),
        ("sips:h;transport=tls&edge=x", "sips:h", "tls"),
    ],
)
def test_parse_srs_uri_completes_the_transport(text: str, wire: str, transport: str) -> None:
    uri = parse_srs_uri(text)
    assert (str(uri.wire), uri.transport) == (wire, transport)


def test_parse_srs_uri_strips_our_parameters() -> None:
    uri = parse_srs_uri("sip:srs@example.com:5071;secure=TRUE&edge=sao-paulo")
    assert str(uri.wire) == "sip:srs@example.com:5071;transport=tls"
    assert (uri.secure, uri.uses_srtp, uri.edge) == (True, True, "sao-paulo")
    assert (uri.host, uri.port, uri.default_port) == ("example.com", 5071, 5061)


def test_parse_srs_uri_without_our_parameters_is_plain() -> None:
    uri = parse_srs_uri("sip:[2001:db8::1]")
    assert (uri.secure, uri.uses_srtp, uri.edge) == (False, False, None)
    assert (uri.host, uri.port, uri.default_port) == ("2001:db8::1", None, 5060)
    assert uri == SrsUri(wire=uri.wire)


@pytest.mark.parametrize(
    ("text", "part", "why"),
    [
        ("http://h", "scheme", "must be sip: or sips:"),
        ("sip:h?Subject=x", "headers", "not allowed"),
        ("sip:user:secret@h", "user", "must not hold a password"),
        ("sip:h;lr", "lr", "the parameter lr is unknown .known: transport, secure, edge."),
        ("sip:h;secure", "secure", "secure= must be true or false"),
        ("sip:h;secure=yes", "secure", "secure=yes must be"),
        ("sip:h;secure=true;Secure=true", "secure", "the parameter secure stands twice"),
        ("sip:h;edge", "edge", "edge= must be a name"),
        ("sip:h;edge=a.b", "edge", "edge=a.b must be"),
        ("sip:h;edge=" + "a" * 65, "edge", "64 characters"),
        ("sip:h;edge=a&edge=b", "edge", "twice"),
        ("sip:h;transport=ws", "transport", "transport=ws must be udp, tcp or tls"),
        ("sip:h;transport", "transport", "must be udp, tcp or tls"),
        ("sip:h;transport=tcp;transport=udp", "transport", "twice"),
        ("sips:h;transport=udp", "transport", "does not go with sips:"),
    ],
)
def test_parse_srs_uri_of_a_bad_uri_names_the_parameter(text: str, part: str, why: str) -> None:
    with pytest.raises(SipUriError, match=why) as caught:
        parse_srs_uri(text)
    assert (caught.value.part, caught.value.code) == (part, 32110)
    assert "secret" not in str(caught.value)


@given(st.text())
def test_parse_srs_uri_raises_nothing_but_sip_uri_errors(text: str) -> None:
    for value in (text, f"sip:{text}", f"sip:h;{text}", f"sips:h&edge={text}"):
        with suppress(SipUriError):
            parse_srs_uri(value)
