"""The NG socket against a real rtpengine, over a network that loses, delays and repeats."""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from rtpengine_ng.bencode import encode
from rtpengine_ng.client import NgSocket, ask
from rtpengine_ng.conversation import NgConversation, Outcome
from rtpengine_ng.errors import NgRefused, NgTimeout
from rtpengine_ng.messages import ping, query
from tests.rtpengine.breakable import BreakableProxy
from tests.rtpengine.daemon import Rtpengine, free_udp_port

pytestmark = pytest.mark.daemon


@pytest.fixture
def proxy(rtpengine: Rtpengine) -> Iterator[BreakableProxy]:
    with BreakableProxy(rtpengine.ng) as running:
        yield running


def outcomes_of(client: NgSocket, count: int) -> list[Outcome]:
    """Turn the event loop until so many requests have ended."""
    ended: list[Outcome] = []
    while len(ended) < count:
        due = client.next_due()
        assert due is not None, "nothing is open"
        select.select([client], [], [], max(0.0, due - time.monotonic()))
        ended += client.receive() + client.tick(time.monotonic())
    return ended


def test_ask_gives_the_reply(rtpengine: Rtpengine) -> None:
    assert ask(rtpengine.ng, ping()) == {"result": "pong"}


def test_ask_about_unknown_call_raises_refusal(rtpengine: Rtpengine) -> None:
    with pytest.raises(NgRefused) as caught:
        ask(rtpengine.ng, query("no-such-call", "a"))
    assert caught.value.unknown_call


def test_ask_where_nobody_listens_times_out() -> None:
    with pytest.raises(NgTimeout):
        ask(("127.0.0.1", free_udp_port()), ping(), timeout_s=0.3)


def test_ask_reaches_a_daemon_that_starts_meanwhile_by_retransmission() -> None:
    port = free_udp_port()
    conversation = NgConversation("p")
    with closing(NgSocket(("127.0.0.1", port), conversation)) as client:
        client.send(ping(), "early", time.monotonic(), retransmit_s=0.05)
        readable, _, _ = select.select([client], [], [], 5.0)
        assert readable, "the kernel reports port unreachable"
        assert client.receive() == []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", port))
            server.settimeout(5.0)
            client.tick(time.monotonic() + 0.1)
            datagram, source = server.recvfrom(65535)
            server.sendto(datagram.split(b" ")[0] + b" " + encode({"result": "pong"}), source)
            assert [each.key for each in outcomes_of(client, 1)] == ["early"]


def test_send_with_a_pending_port_unreachable_still_sends() -> None:
    port = free_udp_port()
    with closing(NgSocket(("127.0.0.1", port), NgConversation("p"))) as client:
        client.send(ping(), 1, time.monotonic())
        readable, _, _ = select.select([client], [], [], 5.0)
        assert readable
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", port))
            server.settimeout(5.0)
            client.send(ping(), 2, time.monotonic())
            assert server.recv(65535).startswith(b"p-2 ")


def test_lost_requests_are_sent_again_with_the_same_cookie(proxy: BreakableProxy) -> None:
    proxy.drop_requests = 2
    with closing(NgSocket(proxy.address, NgConversation("lost"))) as client:
        client.send(ping(), "key", time.monotonic(), retransmit_s=0.05)
        (outcome,) = outcomes_of(client, 1)
    assert outcome == Outcome(key="key", reply={"result": "pong"})
    assert len(proxy.requests) >= 3
    assert len(set(proxy.requests)) == 1


def test_lost_reply_is_repeated_and_the_command_executed_once(
    rtpengine: Rtpengine, proxy: BreakableProxy
) -> None:
    """A cookie is executed once: deleting a call a second time would give a warning."""
    offer = {
        "command": "offer",
        "call-id": "c",
        "from-tag": "a",
        "sdp": "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        "m=audio 9 RTP/AVP 0\r\n",
    }
    ask(rtpengine.ng, offer)
    proxy.drop_replies = 1
    with closing(NgSocket(proxy.address, NgConversation("once"))) as client:
        client.send({"command": "delete", "call-id": "c"}, 1, time.monotonic(), retransmit_s=0.05)
        (outcome,) = outcomes_of(client, 1)
    assert outcome.reply == {"result": "ok"}
    assert len(set(proxy.requests)) == 1
    assert len(set(proxy.replies)) == 1
    assert len(proxy.replies) >= 2


def test_repeated_replies_end_the_request_once(proxy: BreakableProxy) -> None:
    proxy.repeat_replies = 3
    with closing(NgSocket(proxy.address, NgConversation("twice"))) as client:
        for key in range(5):
            client.send(ping(), key, time.monotonic())
        keys = [outcome.key for outcome in outcomes_of(client, 5)]
    assert sorted(map(str, keys)) == ["0", "1", "2", "3", "4"]


def test_deaf_rtpengine_ends_in_timeout_at_the_deadline(proxy: BreakableProxy) -> None:
    proxy.deaf = True
    with closing(NgSocket(proxy.address, NgConversation("deaf"))) as client:
        start = time.monotonic()
        client.send(ping(), "key", start, deadline_s=0.3, retransmit_s=0.1)
        (outcome,) = outcomes_of(client, 1)
        took_s = time.monotonic() - start
    assert isinstance(outcome.error, NgTimeout)
    assert outcome.key == "key"
    assert took_s >= 0.3


def test_reply_after_the_deadline_is_not_taken_for_that_of_a_later_request(
    proxy: BreakableProxy,
) -> None:
    proxy.delay_s = 0.3
    with closing(NgSocket(proxy.address, NgConversation("late"))) as client:
        client.send(ping(), "late", time.monotonic(), deadline_s=0.1)
        (late,) = outcomes_of(client, 1)
        client.send(query("none", "a"), "next", time.monotonic(), deadline_s=5.0)
        (following,) = outcomes_of(client, 1)
    assert isinstance(late.error, NgTimeout)
    assert following.key == "next"
    assert isinstance(following.error, NgRefused)


def test_many_requests_at_once_all_end(rtpengine: Rtpengine) -> None:
    with closing(NgSocket(rtpengine.ng, NgConversation("many"))) as client:
        for key in range(500):
            client.send(ping(), key, time.monotonic(), deadline_s=20.0)
        outcomes = outcomes_of(client, 500)
    assert len({outcome.key for outcome in outcomes}) == 500
    assert all(outcome.error is None for outcome in outcomes)


def test_socket_to_ipv6_address_exchanges_datagrams() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
        server.bind(("::1", 0))
        server.settimeout(5.0)
        port: int = server.getsockname()[1]
        with closing(NgSocket(("::1", port), NgConversation("six"))) as client:
            client.send(ping(), 6, time.monotonic())
            datagram, source = server.recvfrom(65535)
            server.sendto(datagram.split(b" ")[0] + b" d6:result4:ponge", source)
            assert [each.key for each in outcomes_of(client, 1)] == [6]


def test_socket_to_host_name_is_refused() -> None:
    with pytest.raises(ValueError, match="localhost"):
        NgSocket(("localhost", 2223), NgConversation("p"))


def test_socket_to_broadcast_address_is_refused_by_the_kernel() -> None:
    with pytest.raises(OSError, match="Permission denied"):
        NgSocket(("255.255.255.255", 2223), NgConversation("p"))


def test_receive_under_a_flood_leaves_the_rest_for_the_next_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5.0)
        with closing(NgSocket(server.getsockname(), NgConversation("p"))) as client:
            client.send(ping(), "key", time.monotonic())
            _, source = server.recvfrom(65535)
            for _ in range(256):
                server.sendto(b"stranger de", source)
            server.sendto(b"p-1 d6:result4:ponge", source)
            assert client.receive() == []
            assert [outcome.key for outcome in client.receive()] == ["key"]
