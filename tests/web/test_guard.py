"""Ways to lead us to where we must not go: none of them works, and nothing is connected to."""

import socket
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from siprec_web.errors import FetchFailed, FetchRefused, UrlError
from siprec_web.fetch import Fetcher
from siprec_web.guard import Guard
from siprec_web.overrides import Overrides, parse_url
from tests.web.servers import Server, say

STRICT = Fetcher(Guard())
SOON = Overrides(connect_ms=500, total_ms=1_000, retries=0)

HOSTS = [
    "127.0.0.1",
    "127.1",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "017700000001",
    "0177.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "0.0.0.0",
    "0",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[fec0::1]",
    "[::ffff:0:127.0.0.1]",
    "168.63.129.16",
    "192.88.99.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "user@127.0.0.1",
    "example.com@127.0.0.1",
    "127.0.0.1%2f",
    "①②⑦.0.0.1",
]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        yield made
        assert made.connections == 0


@pytest.mark.parametrize("host", HOSTS)
def test_private_address_is_not_reached_however_it_is_written(server: Server, host: str) -> None:
    with pytest.raises((FetchRefused, FetchFailed)) as raised:
        STRICT.fetch("GET", f"http://{host}:{server.port}/", overrides=SOON)
    # Else there is no such name, or none that a name may be.
    is_named = any(word in str(raised.value) for word in ("no address", "InvalidURL"))
    assert isinstance(raised.value, FetchRefused) or is_named


@pytest.mark.parametrize("host", HOSTS)
def test_redirect_leads_to_no_private_address(server: Server, host: str) -> None:
    # The first server may be reached, whatever its address; no other.
    where = {"Location": f"http://{host}:{server.port}/"}
    with Server(say(302, headers=where), host="127.0.0.9") as first:
        fetcher = Fetcher(Guard([ip_network("127.0.0.9/32")]))
        with pytest.raises((FetchRefused, FetchFailed)):
            fetcher.fetch("GET", first.url, overrides=SOON)
        assert len(first.asked) == 1


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://a\r\nHost: b/", "http://a\\@b/"]
)
def test_what_is_no_url_of_the_web_is_refused_when_it_is_set(url: str) -> None:
    with pytest.raises(UrlError):
        parse_url(url)


def test_name_with_one_private_address_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, ["93.184.216.34", "127.0.0.1"])
    with pytest.raises(FetchRefused, match=r"rebind\.example is at 127\.0\.0\.1"):
        STRICT.fetch("GET", f"http://rebind.example:{server.port}/", overrides=SOON)


def test_name_is_looked_up_once_and_what_was_checked_is_connected_to(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(host="127.0.0.9") as other:
        answers = [["127.0.0.9"], ["127.0.0.1"]]
        resolve(monkeypatch, *answers)
        fetcher = Fetcher(Guard([ip_network("127.0.0.9/32")]))
        answer = fetcher.fetch("GET", f"http://rebind.example:{other.port}/", overrides=SOON)
        assert answer.status == 200
        assert other.asked[0].headers["host"] == f"rebind.example:{other.port}"


def test_allowed_network_is_reached_and_no_other() -> None:
    guard = Guard([ip_network("10.0.0.0/8"), ip_network("::1/128")])
    reached = ["10.1.2.3", "::1", "8.8.8.8", "2606:4700::1111", "::ffff:10.0.0.1", "::ffff:8.8.8.8"]
    assert all(guard.may_reach(ip_address(each)) for each in reached)
    assert not guard.may_reach(ip_address("127.0.0.1"))
    assert Guard(is_private_allowed=True).may_reach(ip_address("127.0.0.1"))


def resolve(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """Let a name server answer so, one after the other; numbers are what they are."""
    real, left = socket.getaddrinfo, list(answers)

    def lookup(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host != "rebind.example":
            return real(host, port, *args, **kwargs)
        found = left.pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
