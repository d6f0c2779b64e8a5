"""URLs of others, and the fragments that say how to fetch them."""

import pytest

from siprec_web.errors import UrlError
from siprec_web.overrides import RETRIABLE, Overrides, parse_url


def test_plain_url_has_the_defaults() -> None:
    assert parse_url("https://h.example/a?b=c") == ("https://h.example/a?b=c", Overrides())
    assert Overrides() == Overrides(
        connect_ms=5_000, read_ms=15_000, total_ms=15_000, retries=1, retry_on=frozenset({"ct"})
    )


def test_fragment_says_how_to_fetch_and_is_not_sent() -> None:
    url, overrides = parse_url("http://h/#ct=100&rt=200&tt=300&rc=5&rp=4xx,rt")
    assert url == "http://h/"
    assert overrides == Overrides(
        connect_ms=100,
        read_ms=200,
        total_ms=300,
        retries=5,
        retry_on=frozenset({"4xx", "rt"}),
    )
    assert parse_url("http://h/#rp=all")[1].retry_on == RETRIABLE


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("", "http://"),
        ("ftp://h/", "http://"),
        ("file:///etc/passwd", "http://"),
        ("gopher://h/", "http://"),
        ("//h/", "http://"),
        ("http://", "no host"),
        ("http:///a", "no host"),
        ("http://h:0/", "port 0"),
        ("http://h:99999/", "cannot be read"),
        ("http://[::1/", "cannot be read"),
        ("http://h/ b", "a space"),
        ("http://h/\r\nX: y", "a space"),
        ("http://h\\@i/", "backslash"),
        ("http://h/" + "a" * 4096, "over 4096"),
        ("http://h/#ct=99", "ct must be a number from 100"),
        ("http://h/#rc=6", "rc must be a number from 0 to 5"),
        ("http://h/#tt=²", "tt must be"),
        ("http://h/#rp=6xx", "rp must be"),
        ("http://h/#x=1", "'x' is none of"),
    ],
)
def test_unusable_url_is_refused_by_its_part(url: str, what: str) -> None:
    with pytest.raises(UrlError, match=what):
        parse_url(url)
