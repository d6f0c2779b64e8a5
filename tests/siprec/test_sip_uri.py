"""SIP URIs, name-addr values, and addresses of record."""

import re
import string
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.sip_uri import (
    UNKNOWN_AOR,
    NameAddr,
    SipUri,
    SipUriError,
    aor,
    parse_name_addr,
    parse_uri,
)

_names = st.text(string.ascii_letters + string.digits, min_size=1, max_size=12)
_users = st.text(string.ascii_letters + string.digits + "+-_.!~*'()&=$,;?/#", max_size=20)
_hosts = _names | st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(str)
_params = st.lists(st.tuples(_names, st.none() | _names), max_size=4).map(tuple)
_uris = st.builds(
    SipUri,
    scheme=st.sampled_from(["sip", "sips"]),
    user=_users,
    host=_hosts,
    port=st.none() | st.integers(1, 65535),
    params=_params,
    headers=st.just("") | st.builds("{}={}".format, _names, _names),
)


@given(_uris)
def test_parse_uri_reads_what_str_writes(uri: SipUri) -> None:
    assert parse_uri(str(uri)) == uri


@given(st.text())
def test_parsers_raise_nothing_but_sip_uri_errors(text: str) -> None:
    for parse in (parse_uri, parse_name_addr):
        for value in (text, f"sip:{text}", f"<sip:a@h>;{text}", f'"{text}" <sip:a@h>'):
            with suppress(SipUriError):
                parse(value)


@pytest.mark.parametrize(
    "text",
    [
        "sip:bob@biloxi.example.com",
        "sip:bob:secret@biloxi.example.com:5061;transport=tls;lr",
        "sips:[2001:db8::1]:5061",
        "sip:j%40s0n@example.com?Subject=x",
        "sip:*21#@10.0.0.1",
        "sip:+1555;phone-context=x@h.example.;maddr=[::1]",
    ],
)
def test_parse_uri_round_trips_text(text: str) -> None:
    assert str(parse_uri(text)) == text


def test_parse_uri_gives_the_parts() -> None:
    uri = parse_uri("SIP:Bob:pw@[::1]:5062;Transport=UDP;lr?a=b")
    assert uri == SipUri(
        scheme="sip",
        user="Bob:pw",
        host="::1",
        port=5062,
        params=(("Transport", "UDP"), ("lr", None)),
        headers="a=b",
    )
    assert uri.transport == "udp"
    assert uri.param("lr") == ""
    assert uri.param("ttl") is None
    assert parse_uri("sip:h").transport is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "scheme"),
        ("sip", "scheme"),
        ("tel:+1555", "scheme"),
        ("http://h/", "scheme"),
        ("sip:", "host"),
        ("sip:@h", "user"),
        ("sip:a b@h", "user"),
        ("sip:a@b@h", "user"),
        ("sip:%4@h", "user"),
        ("sip:a\r\nVia: x@h", "user"),
        ("sip:a@h\r\n", "host"),
        ("sip:a@-h", "host"),
        ("sip:a@é.example", "host"),
        ("sip:[::1", "host"),
        ("sip:[::1%eth0]", "host"),
        ("sip:[nonsense]", "host"),
        ("sip:[::1]5060", "host"),
        ("sip:::1", "host"),
        ("sip:h:", "port"),
        ("sip:h:0", "port"),
        ("sip:h:65536", "port"),
        ("sip:h:٣", "port"),
        ("sip:h:999999", "port"),
        ("sip:h;", "params"),
        ("sip:h;=x", "params"),
        ("sip:h;a=", "params"),
        ("sip:h;a=b c", "params"),
        ("sip:h?", "headers"),
        ("sip:h?a b", "headers"),
        ("sip:" + "a" * 2048, "length"),
    ],
)
def test_parse_uri_of_a_bad_uri_names_the_part(text: str, part: str) -> None:
    with pytest.raises(SipUriError) as caught:
        parse_uri(text)
    assert caught.value.part == part
    assert caught.value.code == 32110


@pytest.mark.parametrize(
    ("value", "display", "uri", "params"),
    [
        ('"Bob \\"B\\" \\\\" <sip:b@h>;tag=1', 'Bob "B" \\', "sip:b@h", {"tag": "1"}),
        ("Bob B <sip:b@h;x=1>;Tag=A;q", "Bob B", "sip:b@h;x=1", {"tag": "A", "q": ""}),
        ("<sip:b@h>", "", "sip:b@h", {}),
        ("sip:b@h;tag=1", "", "sip:b@h", {"tag": "1"}),
        ("  tel:+1555 ", "", "tel:+1555", {}),
        ('"A, B" <sip:a@h>, "C" <tel:+1>;x=1', "A, B", "sip:a@h", {}),
        ("sip:a@h, <tel:+1>;x=1", "", "sip:a@h", {}),
        ('<sip:a@h>;x="a;,\\"b";y=2;x=3', "", "sip:a@h", {"x": 'a;,"b', "y": "2"}),
        (
            '<sip:a@h>;+sip.instance="<urn:uuid:1>"',
            "",
            "sip:a@h",
            {"+sip.instance": "<urn:uuid:1>"},
        ),
        ("sip:a@h;a=<b>", "", "sip:a@h", {"a": "<b>"}),
        ('<sip:a@h>;x="open', "", "sip:a@h", {"x": ""}),
        ("Zoë <sip:z@h>", "Zoë", "sip:z@h", {}),
        ('"folded\r\n name"\r\n <sip:f@h>', "folded name", "sip:f@h", {}),
    ],
)
def test_parse_name_addr_takes_it_apart(
    value: str, display: str, uri: str, params: dict[str, str]
) -> None:
    assert parse_name_addr(value) == NameAddr(display=display, uri=uri, params=params)


@pytest.mark.parametrize("value", ["", "Bob", "<>", "<sip:a@h", '"open <sip:a@h>', ";tag=1", "<x>"])
def test_parse_name_addr_without_a_uri_is_refused(value: str) -> None:
    with pytest.raises(SipUriError) as caught:
        parse_name_addr(value)
    assert caught.value.part == "name-addr"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:alice@h.example:5060;transport=tcp?a=b", "sip:alice@h.example"),
        ("SIPS:alice:pw@h", "sips:alice@h"),
        ("sip:h.example", "sip:h.example"),
        ("sip:a@[2001:DB8::1]:5060", "sip:a@[2001:DB8::1]"),
        ("tel:+1-555;phone-context=x", "tel:+1-555;phone-context=x"),
        ("tel:1 2\x00", "tel:1%202%00"),
        ("sip:a%20b@h", "sip:a%20b@h"),
        ("sip:a%b@h", "sip:a%25b@h"),
        ("sip:zoë <&>\"'@h", "sip:zo%C3%AB%20%3C&%3E%22'@h"),
        ("sip:a@b@h", "sip:a%40b@h"),
        ("sip:\ud800@h", "sip:?@h"),
        ("tel:", UNKNOWN_AOR),
        ("", UNKNOWN_AOR),
        ("sip:a@", UNKNOWN_AOR),
        ("sip:a@not a host", UNKNOWN_AOR),
        ("mailto:a@h", UNKNOWN_AOR),
    ],
)
def test_aor_is_scheme_user_and_host(uri: str, expected: str) -> None:
    assert aor(uri) == expected


@given(st.text() | st.builds("sip:{}@{}".format, st.text(), st.text()) | _uris.map(str))
def test_aor_is_always_any_uri(text: str) -> None:
    assert re.fullmatch(
        r"(sips?|tel):([A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]]|%[0-9A-F]{2})+", aor(text), re.I
    )


def test_hostile_values_take_linear_time() -> None:
    for text in (
        '"' * 20_000,
        '"\\' * 20_000,
        "<" * 20_000,
        ";" * 20_000,
        '<a:b>;="' * 5_000,
        "\r\n " * 9_000,
        " " * 20_000,
    ):
        with suppress(SipUriError):
            parse_name_addr(text)
        assert aor("sip:" + text)
