"""Readiness: the probes against real peers, and the thread that asks them."""

import socket
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from siprec.keys import ShardKeys
from siprec.settings import ProxySettings, RedisSettings, Runtime, Settings
from siprec.sids import SHARDS
from siprec_control.ready import (
    LeaseWatch,
    Probe,
    Prober,
    ask_api,
    ask_redis,
    ask_rtpengine,
    ask_sip,
    probes,
    sip_probe_address,
)
from siprec_control.values import Endpoint
from tests.control.processes import RedisServer, wait_until
from tests.rtpengine.daemon import Rtpengine


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.stop()


def test_prober_is_done_when_every_probe_has_held() -> None:
    answers: list[str | None] = [None, "nearly", "not yet"]
    done = threading.Event()
    prober = Prober(
        [Probe(name="a", ask=answers.pop), Probe(name="b", ask=lambda: None)], on_done=done.set
    )
    assert done.wait(10)
    assert prober.is_done()
    assert prober.missing() == []
    prober.cancel()


def test_prober_says_what_is_missing_until_it_is_cancelled() -> None:
    prober = Prober([Probe(name="Redis", ask=lambda: "is away")], on_done=lambda: None)
    wait_until(lambda: prober.missing() == ["Redis: is away"])
    assert not prober.is_done()
    prober.cancel()


def test_prober_takes_an_unexpected_error_for_an_answer() -> None:
    def broken() -> str | None:
        raise ZeroDivisionError("oops")

    prober = Prober([Probe(name="thing", ask=broken)], on_done=lambda: None)
    wait_until(lambda: prober.missing() == ["thing: ZeroDivisionError: oops"])
    prober.cancel()


@pytest.mark.daemon
def test_redis_that_answers_is_ready(redis: RedisServer) -> None:
    assert ask_redis(redis.url) is None


def test_redis_that_is_away_says_why(tmp_path: Path) -> None:
    assert "No such file" in str(ask_redis(f"unix://{tmp_path}/none.sock"))


@pytest.mark.daemon
def test_rtpengine_that_answers_is_ready(tmp_path: Path) -> None:
    with Rtpengine(tmp_path) as rtpengine:
        host, port = rtpengine.ng
        assert ask_rtpengine(f"{host}:{port}") is None


def test_rtpengine_that_is_silent_is_not_ready() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        why = ask_rtpengine(f"127.0.0.1:{deaf.getsockname()[1]}")
    assert str(why).startswith("does not answer ping")


@pytest.mark.daemon
def test_all_shards_must_be_leased(redis: RedisServer) -> None:
    watch = LeaseWatch(runtime_at(redis))
    lease(redis, range(SHARDS - 1), "mine", 5000)
    assert watch.ask() == "own 0 of 64 shards"
    lease(redis, range(SHARDS - 1), "mine", 6000)
    assert watch.ask() == "own 63 of 64 shards"
    lease(redis, [SHARDS - 1], "mine", 5000)
    assert watch.ask() is None


@pytest.mark.daemon
def test_leases_of_a_killed_controller_do_not_count(redis: RedisServer) -> None:
    watch = LeaseWatch(runtime_at(redis))
    lease(redis, range(SHARDS), "killed", 5000)
    assert watch.ask() == "own 0 of 64 shards"
    lease(redis, range(SHARDS // 2), "mine", 4000)
    assert watch.ask() == "own 32 of 64 shards"
    lease(redis, range(SHARDS), "mine", 4000)
    assert watch.ask() is None


def runtime_at(redis: RedisServer) -> Runtime:
    settings = replace(Settings(), redis=RedisSettings(url=redis.url, prefix="t:"))
    return Runtime(settings=settings, node="here", route_key="00")


def lease(redis: RedisServer, shards: Iterable[int], owner: str, left_ms: int) -> None:
    for shard in shards:
        redis.client.set(ShardKeys("t:", shard).lease, owner, px=left_ms)


def answer_once(server: socket.socket, reply: bytes, seen: list[bytes]) -> threading.Thread:
    def serve() -> None:
        if server.type == socket.SOCK_DGRAM:
            data, peer = server.recvfrom(65536)
            server.sendto(reply, peer)
        else:
            channel, _ = server.accept()
            with channel:
                data = channel.recv(65536)
                channel.sendall(reply)
        seen.append(data)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"SIP/2.0 200 OK\r\n\r\n", None),
        (b"SIP/2.0 503 Busy\r\n\r\n", "answers OPTIONS with 'SIP/2.0 503 Busy'"),
    ],
)
def test_proxy_must_answer_options_with_200(transport: str, reply: bytes, why: str | None) -> None:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as server:
        server.bind(("127.0.0.1", 0))
        if transport == "tcp":
            server.listen()
        seen: list[bytes] = []
        thread = answer_once(server, reply, seen)
        port = server.getsockname()[1]
        assert ask_sip(Endpoint(transport, "0.0.0.0", port)) == why
        thread.join()
    assert seen[0].startswith(
        f"OPTIONS sip:127.0.0.1:{port};transport={transport} SIP/2.0".encode()
    )


def test_proxy_that_is_away_says_so() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
        server.bind(("::1", 0))
        port = server.getsockname()[1]
    assert "does not answer OPTIONS" in str(ask_sip(Endpoint("udp", "::", port)))


def test_udp_is_asked_before_tcp() -> None:
    assert sip_probe_address(("tcp:127.0.0.1:1", "udp:127.0.0.1:2")) == "udp:127.0.0.1:2"
    assert sip_probe_address(("tcp:127.0.0.1:1",)) == "tcp:127.0.0.1:1"


def test_every_rtpengine_is_asked_before_kamailio_starts() -> None:
    rtpengine = replace(Settings().rtpengine, ng=("127.0.0.1:1", "127.0.0.1:2"))
    settings = replace(Settings(), rtpengine=rtpengine)
    below, above = probes(Runtime(settings=settings, node="here", route_key="00"))
    names = ["Redis", "rtpengine 127.0.0.1:1", "rtpengine 127.0.0.1:2"]
    assert [probe.name for probe in below] == names
    assert [probe.name for probe in above] == ["proxy at udp:127.0.0.1:5060", "controllers", "API"]


def test_proxy_role_that_does_not_run_is_not_asked() -> None:
    settings = replace(Settings(), proxy=ProxySettings(enabled=False))
    _, above = probes(Runtime(settings=settings, node="here", route_key="00"))
    assert [probe.name for probe in above] == ["controllers", "API"]


def test_api_is_asked_where_it_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert ask_api(f"127.0.0.1:{port}") is None
        assert ask_api(f"0.0.0.0:{port}") is None
    why = ask_api(f"127.0.0.1:{port}")
    assert why is not None
    assert why.startswith("does not listen: ")
