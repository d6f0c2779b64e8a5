"""What alerts tell of an HTTP request of ours."""

from urllib.parse import parse_qsl

from siprec.web_request import MAX_TEXT_CHARS, WebRequest, web_request


def test_request_without_an_answer_has_none() -> None:
    assert web_request("http://a/", "GET", {"a b": "ü"}) == WebRequest(
        url="http://a/", method="GET", variables="a+b=%C3%BC"
    )


def test_answer_is_told_without_what_logs_in() -> None:
    headers = {"server": "x", "Set-Cookie": "id=secret", "content-type": "text/plain"}
    told = web_request("http://a/", "POST", {}, 500, headers, b"no \xff")
    assert told.status == 500
    assert told.headers == "server=x&content-type=text%2Fplain"
    assert told.body == "no \ufffd"


def test_what_is_long_is_cut() -> None:
    fields = {"first": "1", "long": "x" * MAX_TEXT_CHARS, "last": "\udc80"}
    told = web_request("http://a/", "POST", fields, 200, {}, "ü".encode() * 9_000)
    assert parse_qsl(told.variables) == [("first", "1"), ("last", "?")]
    assert told.body == "ü" * MAX_TEXT_CHARS
