"""Fetching from real servers: forms, redirects, retries, and bounds of time and size."""

import socket
import time
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from typing import Any

import pytest

from siprec_web.errors import FetchFailed, FetchTimeout
from siprec_web.fetch import Fetcher
from siprec_web.guard import Guard
from siprec_web.overrides import Overrides, parse_url
from siprec_web.urls import shown
from tests.web.servers import Asked, Server, say

LOOPBACK = Guard([ip_network("127.0.0.0/8"), ip_network("::1/128")])
FETCHER = Fetcher(LOOPBACK, max_bytes=1_000)


def test_get_and_form_arrive_as_they_were_sent() -> None:
    with Server() as server:
        got = FETCHER.fetch("GET", f"{server.url}a?b=c", headers={"X-Y": "z"})
        sent = FETCHER.fetch("POST", server.url, fields={"From": "+1 2", "A": "ä&"})
    assert (got.status, got.body, got.tries) == (200, b"hello", 1)
    assert got.headers["content-length"] == "5"
    first, second = server.asked
    assert (first.method, first.path, first.headers["x-y"]) == ("GET", "/a?b=c", "z")
    assert (second.method, second.body) == ("POST", b"From=%2B1+2&A=%C3%A4%26")
    assert sent.url == server.url


def test_credentials_of_the_url_are_basic_and_not_logged() -> None:
    with Server() as server:
        url = server.url.replace("//", "//me:p%40ss@")
        FETCHER.fetch("GET", url)
    assert server.asked[0].headers["authorization"] == "Basic bWU6cEBzcw=="
    assert shown(f"{url}?q=1") == server.url


@pytest.mark.parametrize(
    ("status", "then"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")]
)
def test_redirect_is_followed(status: int, then: str) -> None:
    with Server() as last, Server(say(status, headers={"Location": last.url})) as first:
        answer = FETCHER.fetch("POST", first.url, fields={"a": "b"})
    assert answer.url == last.url
    assert [(each.method, each.body) for each in last.asked] == [
        (then, b"a=b" if then == "POST" else b"")
    ]


def test_redirects_are_followed_five_times() -> None:
    again = say(302, headers={"Location": "/again"})
    with Server(again) as server, pytest.raises(FetchFailed, match="more than 5 times"):
        FETCHER.fetch("GET", server.url)
    assert len(server.asked) == 6


@pytest.mark.parametrize("where", ["ftp://h/", "http://h:0/"])
def test_redirect_to_what_is_no_url_fails(where: str) -> None:
    away = say(302, headers={"Location": where})
    with Server(away) as server, pytest.raises(FetchFailed, match="to what is no URL"):
        FETCHER.fetch("GET", server.url)


@pytest.mark.parametrize(
    ("fragment", "status", "tries"),
    [("", 500, 1), ("#rp=5xx", 500, 2), ("#rp=5xx&rc=3", 503, 4), ("#rp=all&rc=0", 404, 1)],
)
def test_answers_are_tried_again_as_the_fragment_says(
    fragment: str, status: int, tries: int
) -> None:
    with Server(say(status)) as server:
        url, overrides = parse_url(server.url + fragment)
        answer = FETCHER.fetch("GET", url, overrides=overrides)
    assert (answer.status, answer.tries, len(server.asked)) == (status, tries, tries)


def test_server_that_comes_back_is_heard() -> None:
    statuses = iter([503, 200])

    def answer(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        say(next(statuses))(handler, asked)

    with Server(answer) as server:
        overrides = Overrides(retry_on=frozenset({"5xx"}))
        got = FETCHER.fetch("GET", server.url, overrides=overrides)
    assert (got.status, got.tries) == (200, 2)


def test_silent_server_is_a_read_timeout_and_may_be_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        overrides = Overrides(read_ms=200, retries=1, retry_on=frozenset({"rt"}))
        with pytest.raises(FetchTimeout) as raised:
            FETCHER.fetch("GET", url, overrides=overrides)
        assert raised.value.kind == "read"
        silent.settimeout(1)
        for _ in range(2):
            silent.accept()[0].close()


def test_dripping_server_is_ended_by_the_total_time() -> None:
    def drip(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b".")
                time.sleep(0.02)
        except OSError:
            return

    with Server(drip) as server, pytest.raises(FetchTimeout) as raised:
        Fetcher(LOOPBACK).fetch("GET", server.url, overrides=Overrides(total_ms=400))
    assert raised.value.kind == "total"


def test_nobody_there_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(FetchFailed):
        FETCHER.fetch("GET", f"http://127.0.0.1:{port}/")


def test_answer_that_is_too_large_is_refused() -> None:
    with Server(say(body=b"." * 1_001)) as server, pytest.raises(FetchFailed, match="over 1000"):
        FETCHER.fetch("GET", server.url)


def test_environment_is_not_asked_for_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with Server() as server:
        assert FETCHER.fetch("GET", server.url).status == 200


def test_redirect_takes_login_along_to_the_same_server_and_nothing_to_another() -> None:
    def on(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        again = {"Location": "/again" if asked.path == "/" else other.url}
        say(307, headers=again)(handler, asked)

    with Server() as other, Server(on) as first:
        url = first.url.replace("//", "//me:pw@")
        FETCHER.fetch("POST", url, fields={"a": "b"}, headers={"X-Signature": "s"})
    assert ["authorization" in each.headers for each in first.asked] == [True, True]
    assert ["x-signature" in each.headers for each in first.asked] == [True, True]
    (last,) = other.asked
    assert not {"authorization", "x-signature"} & set(last.headers)


def test_connection_that_comes_after_the_time_is_over_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = socket.create_connection

    def slow(*args: Any, **kwargs: Any) -> Any:
        made = real(*args, **kwargs)
        time.sleep(0.5)
        return made

    with Server() as server:
        monkeypatch.setattr(socket, "create_connection", slow)
        with pytest.raises(FetchTimeout) as raised:
            FETCHER.fetch("GET", server.url, overrides=Overrides(total_ms=100, retries=0))
    assert raised.value.kind == "total"
    assert server.asked == []
