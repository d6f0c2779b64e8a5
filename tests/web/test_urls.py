"""The URL of a callback: as it is fetched, signed, grouped, and shown."""

import pytest

from siprec_web.urls import origin, shown, with_login, with_query, without_login


def test_origin_is_scheme_host_and_port() -> None:
    assert origin("https://u:p@A.example/x?y#rc=1") == "https://a.example:https"
    assert origin("http://a.example:8080/x") == origin("http://a.example:8080/y")
    assert origin("http://[broken") == "http://[broken"


@pytest.mark.parametrize(
    ("url", "full"),
    [
        ("https://a.example/x", "https://a.example/x?From=%2B1&Name=a+b%2F%C3%A9"),
        ("https://a.example", "https://a.example?From=%2B1&Name=a+b%2F%C3%A9"),
        ("https://a.example/x?k=v", "https://a.example/x?k=v&From=%2B1&Name=a+b%2F%C3%A9"),
    ],
)
def test_fields_of_a_get_stand_in_the_query(url: str, full: str) -> None:
    assert with_query(url, {"From": "+1", "Name": "a b/é"}) == full


def test_signed_url_holds_no_login() -> None:
    assert without_login("https://u:p@a.example:8443/x?k=v") == "https://a.example:8443/x?k=v"
    assert without_login("https://a.example/x@y") == "https://a.example/x@y"


def test_shown_url_holds_no_secret() -> None:
    assert shown("https://u:p@a.example:8443/x?token=secret#rc=1") == "https://a.example:8443/x"
    assert shown("https://[broken") == "a URL that cannot be read"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/b", "http://me:pw@h/b"),
        ("http://you@h/b", "http://you@h/b"),
        ("https://h/b", "https://h/b"),
        ("http://i/b", "http://i/b"),
        ("http://h:81/b", "http://h:81/b"),
    ],
)
def test_login_is_that_of_the_same_server(url: str, expected: str) -> None:
    assert with_login(url, "http://me:pw@h/a") == expected
    assert with_login("http://h/b", "http://h/a") == "http://h/b"
