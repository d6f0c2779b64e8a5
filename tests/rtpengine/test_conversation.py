"""The NG conversation: cookies, deadlines and verdicts, without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtpengine_ng.bencode import decode, encode
from rtpengine_ng.conversation import MAX_DATAGRAM_BYTES, NgConversation, Outcome
from rtpengine_ng.errors import NgError, NgProtocolError, NgRefused, NgTimeout
from rtpengine_ng.messages import Reply, ping


def reply_to(datagram: bytes, reply: Reply) -> bytes:
    return datagram.split(b" ")[0] + b" " + encode(reply)


def error_of(payload: bytes) -> NgError:
    conversation = NgConversation("p")
    cookie = conversation.request(ping(), "key", 0.0).split(b" ")[0]
    outcome = conversation.received(cookie + b" " + payload)
    assert outcome is not None
    assert outcome.error is not None
    assert (outcome.key, outcome.reply) == ("key", {})
    assert len(conversation) == 0
    return outcome.error


def test_request_is_cookie_space_bencode_with_a_new_cookie_each() -> None:
    conversation = NgConversation("abc")
    datagrams = [conversation.request(ping(), None, 0.0) for _ in range(3)]
    cookies, payloads = zip(*(each.split(b" ", 1) for each in datagrams), strict=True)
    assert len(set(cookies)) == 3
    assert all(cookie.startswith(b"abc") for cookie in cookies)
    assert [decode(payload) for payload in payloads] == [{"command": "ping"}] * 3


@pytest.mark.parametrize("prefix", ["", " ", "a b", "a\n"])
def test_prefix_that_cannot_begin_a_cookie_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="cookie"):
        NgConversation(prefix)


def test_request_too_large_for_a_datagram_is_refused_and_changes_nothing() -> None:
    conversation = NgConversation("p")
    with pytest.raises(ValueError, match="bytes"):
        conversation.request({"sdp": "x" * MAX_DATAGRAM_BYTES}, None, 0.0)
    assert len(conversation) == 0
    assert conversation.next_due() is None


@pytest.mark.parametrize("result", ["ok", "pong"])
def test_received_good_reply_ends_its_request_only(result: str) -> None:
    conversation = NgConversation("p")
    first = conversation.request(ping(), 1, 0.0)
    second = conversation.request(ping(), 2, 0.0)
    assert conversation.received(reply_to(second, {"result": result})) == Outcome(
        key=2, reply={"result": result}
    )
    assert conversation.received(reply_to(first, {"result": "ok"})) == Outcome(
        key=1, reply={"result": "ok"}
    )


def test_received_second_reply_is_ignored() -> None:
    conversation = NgConversation("p")
    reply = reply_to(conversation.request(ping(), 1, 0.0), {"result": "ok"})
    assert conversation.received(reply) is not None
    assert conversation.received(reply) is None


@pytest.mark.parametrize("datagram", [b"", b" ", b"x", b"other-1 d6:result2:oke", b"p-2 de"])
def test_received_stranger_is_ignored(datagram: bytes) -> None:
    conversation = NgConversation("p")
    conversation.request(ping(), 1, 0.0)
    assert conversation.received(datagram) is None
    assert len(conversation) == 1


def test_received_error_is_a_refusal_with_its_reason() -> None:
    error = error_of(encode({"result": "error", "error-reason": "Unknown call-ID"}))
    assert isinstance(error, NgRefused)
    assert error.reason == "Unknown call-ID"
    assert error.unknown_call
    assert not error.retryable


def test_received_load_limit_is_a_retryable_refusal() -> None:
    error = error_of(encode({"result": "load limit", "message": "CPU usage exceeds limit"}))
    assert isinstance(error, NgRefused)
    assert error.reason == "CPU usage exceeds limit"
    assert error.load_limit
    assert error.retryable


def test_received_unheard_of_result_is_a_refusal() -> None:
    assert str(error_of(encode({"result": "maybe"}))) == "maybe"


@pytest.mark.parametrize("payload", [b"", b"x", b"le", b"de", b"d6:resulti1ee", b"d6:result2:ok"])
def test_received_unreadable_reply_is_a_protocol_error(payload: bytes) -> None:
    assert isinstance(error_of(payload), NgProtocolError)


def test_due_sends_the_same_datagram_again_until_the_deadline() -> None:
    conversation = NgConversation("p")
    datagram = conversation.request(ping(), 1, 10.0, deadline_s=1.0, retransmit_s=0.4)
    assert conversation.next_due() == 10.4
    assert conversation.due(10.39) == ([], [])
    assert conversation.due(10.4) == ([datagram], [])
    assert conversation.due(10.8) == ([datagram], [])
    assert conversation.next_due() == 11.0
    again, ended = conversation.due(11.0)
    assert again == []
    assert [outcome.key for outcome in ended] == [1]
    assert isinstance(ended[0].error, NgTimeout)
    assert "ping" in str(ended[0].error)
    assert conversation.next_due() is None


def test_due_called_late_sends_once_and_not_for_each_time_missed() -> None:
    conversation = NgConversation("p")
    datagram = conversation.request(ping(), 1, 0.0, deadline_s=2.0, retransmit_s=0.25)
    assert conversation.due(1.9) == ([datagram], [])
    assert conversation.next_due() == 2.0


def test_reply_after_the_deadline_is_ignored() -> None:
    conversation = NgConversation("p")
    datagram = conversation.request(ping(), 1, 0.0)
    conversation.due(100.0)
    assert conversation.received(reply_to(datagram, {"result": "ok"})) is None


def test_answered_request_is_not_due_any_more() -> None:
    conversation = NgConversation("p")
    datagram = conversation.request(ping(), 1, 0.0)
    conversation.received(reply_to(datagram, {"result": "ok"}))
    assert conversation.next_due() is None
    conversation.request(ping(), 2, 0.1)
    conversation.received(reply_to(conversation.request(ping(), 3, 0.0), {"result": "ok"}))
    again, ended = conversation.due(0.3)
    assert (again, ended) == ([], [])
    assert conversation.next_due() == pytest.approx(0.35)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("request"), st.floats(0.1, 3.0)),
        st.tuples(st.just("reply"), st.integers(0, 20)),
        st.tuples(st.just("wait"), st.floats(0.0, 2.0)),
    ),
    max_size=40,
)


@given(STEPS)
def test_every_request_ends_exactly_once(steps: list[tuple[str, float]]) -> None:
    conversation = NgConversation("p")
    sent: list[bytes] = []
    ended: list[object] = []
    now = 0.0
    for kind, amount in steps:
        if kind == "request":
            sent.append(conversation.request(ping(), len(sent), now, deadline_s=amount))
        elif kind == "wait":
            now += amount
            ended += [outcome.key for outcome in conversation.due(now)[1]]
        elif amount < len(sent):
            outcome = conversation.received(reply_to(sent[int(amount)], {"result": "ok"}))
            ended += [outcome.key] if outcome else []
    ended += [outcome.key for outcome in conversation.due(now + 3.0)[1]]
    assert sorted(map(str, ended)) == sorted(map(str, range(len(sent))))
    assert len(conversation) == 0


@given(st.binary())
def test_received_anything_never_raises(tail: bytes) -> None:
    conversation = NgConversation("p")
    cookie = conversation.request(ping(), 1, 0.0).split(b" ")[0]
    conversation.received(tail)
    outcome = conversation.received(cookie + b" " + tail)
    assert outcome is not None
