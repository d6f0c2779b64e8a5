"""Digest authentication: the vectors of the RFCs, and a server that did not come from here."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.digest import MAX_CHALLENGE_CHARS, DigestError, answer_challenge, is_stale
from tests.srs.conftest import Srs
from tests.srs.src_client import SrcClient

# RFC 7616 §3.9.1
MUFASA = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
MUFASA_RESPONSES = {
    "MD5": "8ca523f5e9506fed4657c9700eebdbec",
    "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
}
# draft-smith-sipping-auth-examples: RFC 2617 and RFC 3261 for an INVITE of bob's.
BILOXI = (
    'Digest realm="biloxi.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
    'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)
BODY = (
    "v=0\no=bob 2890844526 2890844526 IN IP4 media.biloxi.com\ns=-\n"
    "c=IN IP4 media.biloxi.com\nt=0 0\nm=audio 49170 RTP/AVP 0\na=rtpmap:0 PCMU/8000\n"
    "m=video 51372 RTP/AVP 31\na=rtpmap:31 H261/90000\n"
    "m=video 53000 RTP/AVP 32\na=rtpmap:32 MPV/90000\n"
).replace("\n", "\r\n")
OPAQUE = 'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
COUNTED = f'cnonce="0a4f113b", {OPAQUE}, qop={{}}, nc=00000001'


def answer(*challenges: str, user: str = "bob", password: str = "zanzibar", nc: int = 1) -> str:
    """Answer as bob, who sends an INVITE."""
    return answer_challenge(
        challenges,
        user=user,
        password=password,
        method="INVITE",
        uri="sip:bob@biloxi.com",
        body=BODY.encode(),
        cnonce="0a4f113b",
        nc=nc,
    )


@pytest.mark.parametrize("algorithm", MUFASA_RESPONSES)
def test_answer_is_as_in_rfc_7616(algorithm: str) -> None:
    value = answer_challenge(
        [MUFASA.format(algorithm)],
        user="Mufasa",
        password="Circle of Life",
        method="GET",
        uri="/dir/index.html",
        body=b"",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        nc=1,
    )
    assert value == (
        'Digest username="Mufasa", realm="http-auth@example.org", '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri="/dir/index.html", '
        f'response="{MUFASA_RESPONSES[algorithm]}", algorithm={algorithm}, '
        'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", qop=auth, nc=00000001'
    )


@pytest.mark.parametrize(
    ("asked", "response", "rest"),
    [
        ("", "bf57e4e0d0bffc0fbaedce64d59add5e", OPAQUE),
        (', qop="auth"', "89eb0059246c02b2f6ee02c7961d5ea3", COUNTED.format("auth")),
        (', qop="auth-int"', "bdbeebb2da6adb6bca02599c2239e192", COUNTED.format("auth-int")),
        (
            ', algorithm=MD5-sess, qop="auth"',
            "e4e4ea61d186d07a92c9e1f6919902e9",
            f"algorithm=MD5-sess, {COUNTED.format('auth')}",
        ),
        (
            ', algorithm=MD5-sess, qop="auth-int"',
            "91984da2d8663716e91554859c22ca70",
            f"algorithm=MD5-sess, {COUNTED.format('auth-int')}",
        ),
        (", algorithm=md5", "bf57e4e0d0bffc0fbaedce64d59add5e", "algorithm=md5, " + OPAQUE),
    ],
)
def test_answer_is_as_in_the_examples_for_sip(asked: str, response: str, rest: str) -> None:
    assert answer(BILOXI + asked) == (
        'Digest username="bob", realm="biloxi.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        f'uri="sip:bob@biloxi.com", response="{response}", {rest}'
    )


def test_session_key_without_qop_tells_its_cnonce() -> None:
    value = answer(f"{BILOXI}, algorithm=MD5-sess")
    assert 'cnonce="0a4f113b"' in value
    assert "qop" not in value


@pytest.mark.parametrize("name", ["", "WWW-Authenticate: ", "proxy-authenticate :"])
def test_challenge_may_bear_its_header_name(name: str) -> None:
    assert answer(f"{name}{BILOXI}") == answer(BILOXI)


@pytest.mark.parametrize(
    "challenges",
    [
        (MUFASA.format("MD5"), MUFASA.format("SHA-256")),
        (MUFASA.format("SHA-256"), MUFASA.format("MD5")),
        (f"{MUFASA.format('MD5')}, {MUFASA.format('SHA-256')}",),
        ('Basic realm="x"', MUFASA.format("SHA-512-256"), MUFASA.format("SHA-256")),
        (f'Basic realm="x", {MUFASA.format("SHA-256")}',),
        ("Negotiate a87421==", "", "realm=x", MUFASA.format("SHA-256")),
    ],
)
def test_strongest_of_several_is_answered(challenges: tuple[str, ...]) -> None:
    assert answer(*challenges) == answer(MUFASA.format("SHA-256"))


def test_nonce_used_again_is_counted() -> None:
    assert "nc=0000001f" in answer(f'{BILOXI}, qop="auth"', nc=31)


def test_quotes_and_backslashes_are_escaped_on_the_wire_only() -> None:
    value = answer('Digest realm="a \\"b\\" \\\\c", nonce="n"', user='u"v')
    assert value.startswith('Digest username="u\\"v", realm="a \\"b\\" \\\\c", nonce="n"')
    assert "algorithm" not in value


@pytest.mark.parametrize(
    ("challenge", "why"),
    [
        ("", "there is no digest challenge"),
        ('Basic realm="x"', "there is no digest challenge"),
        ('Digest realm="x"', "without realm or nonce"),
        ('Digest nonce="x"', "without realm or nonce"),
        ('Digest realm="x", nonce="y', "there is no digest challenge"),
        ('Digest realm="x\r\nEvil: 1", nonce="y"', "there is no digest challenge"),
        (f'Digest realm="{"x" * MAX_CHALLENGE_CHARS}", nonce="y"', "there is no digest challenge"),
        ('Digest realm="x", nonce="y", algorithm=ROT13', "unknown algorithm 'ROT13'"),
        ('Digest realm="x", nonce="y", qop="none"', "unknown qop 'none'"),
    ],
)
def test_challenge_of_no_use_is_told(challenge: str, why: str) -> None:
    with pytest.raises(DigestError, match=why) as caught:
        answer(challenge, password="s3cret")
    assert caught.value.code == 32106
    assert "s3cret" not in str(caught.value)


def test_challenge_without_credentials_is_not_answered() -> None:
    with pytest.raises(DigestError, match="no user and password"):
        answer(BILOXI, user="")


@pytest.mark.parametrize(
    ("challenges", "stale"),
    [
        ((BILOXI,), False),
        ((f"{BILOXI}, stale=false",), False),
        ((BILOXI, f"{BILOXI}, stale=TRUE"), True),
        ((f'{BILOXI}, stale="true"',), True),
        (('Basic realm="x", stale=true',), False),
    ],
)
def test_stale_nonce_is_told_from_a_wrong_password(
    challenges: tuple[str, ...], stale: bool
) -> None:
    assert is_stale(challenges) is stale


@given(st.text() | st.text('Digest realm="x", nonce=\\ \r\n'))
def test_any_challenge_is_answered_on_one_line_or_refused(challenge: str) -> None:
    try:
        value = answer(challenge)
    except DigestError:
        return
    assert value.startswith('Digest username="bob"')
    assert not any(char in value for char in "\r\n\0")


# The reference SRS


@pytest.fixture(params=["MD5", "SHA-256"])
def srs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Srs]:
    switches = ("--digest", "bob:zanzibar", "--digest-algorithm", request.param)
    running = Srs(tmp_path, *switches)
    yield running
    running.stop()


@pytest.mark.parametrize(("password", "status"), [("zanzibar", 200), ("wrong", 401)])
def test_srs_takes_the_right_password_only(srs: Srs, password: str, status: int) -> None:
    with SrcClient(srs.address) as src:
        src.send(src.invite_request())
        refusal = src.response("INVITE")
        assert refusal.status == 401
        value = answer_challenge(
            refusal.all("WWW-Authenticate"),
            user="bob",
            password=password,
            method="INVITE",
            uri=src.remote_target,
            body=b"",
            cnonce="0a4f113b",
            nc=1,
        )
        src.send(src.invite_request(extra=[("Authorization", value)]))
        reply = src.response("INVITE")
        assert reply.status == status
        assert not is_stale(reply.all("WWW-Authenticate"))
        if status == 200:
            src.take_dialog(reply)
            src.ack(reply)
            again = src.build("BYE")
            src.send(again)
            assert src.response("BYE").status == 200
