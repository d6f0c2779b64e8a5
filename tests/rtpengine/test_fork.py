"""Forks of a call in a real rtpengine, proved by the packets that the recorder gets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rtpengine_ng.client import ask
from rtpengine_ng.errors import NgProtocolError, NgRefused
from rtpengine_ng.messages import (
    ForkOffer,
    delete_fork,
    list_calls,
    parse_calls,
    parse_fork_offer,
    query,
    subscribe_answer,
    subscribe_request,
    unsubscribe,
)
from tests.rtpengine.daemon import Rtpengine
from tests.rtpengine.media import AnsweredCall, RtpEndpoint, recorder_answer

pytestmark = pytest.mark.daemon


@pytest.fixture
def recorders() -> Iterator[list[RtpEndpoint]]:
    both = [RtpEndpoint("recorder-1"), RtpEndpoint("recorder-2")]
    yield both
    for each in both:
        each.close()


def parties(call: AnsweredCall) -> list[str]:
    return [call.caller.tag, call.callee.tag]


def request(call: AnsweredCall, tags: list[str], fork_tag: str = "fork-1") -> ForkOffer:
    return parse_fork_offer(ask(call.ng, subscribe_request(call.call_id, tags, fork_tag)), tags)


def answer(call: AnsweredCall, *recorders: RtpEndpoint, fork_tag: str = "fork-1") -> None:
    ask(call.ng, subscribe_answer(call.call_id, fork_tag, recorder_answer(*recorders)))


def known_tags(call: AnsweredCall, tag: str) -> set[str]:
    """Give a tag and those it hears, as far as rtpengine knows it."""
    tags = ask(call.ng, query(call.call_id, tag))["tags"]
    assert isinstance(tags, dict)
    return set(tags)


def heard_tags(offer: ForkOffer) -> list[str]:
    """Name the party of each m-line, in the order of the SDP."""
    lines = [line for line in offer.sdp.splitlines() if line.startswith("a=label:")]
    return [offer.labels[line.removeprefix("a=label:")] for line in lines]


def test_fork_carries_each_party_unchanged_from_answer_to_unsubscribe(
    call: AnsweredCall, recorders: list[RtpEndpoint]
) -> None:
    call.talk(10, "before-request")
    offer = request(call, parties(call))
    assert heard_tags(offer) == parties(call)
    call.talk(10, "before-answer")
    answer(call, *recorders)
    said = call.talk(50, "recorded")
    assert recorders[0].receive(50) == said[0]
    assert recorders[1].receive(50) == said[1]
    ask(call.ng, unsubscribe(call.call_id, "fork-1"))
    ask(call.ng, delete_fork(call.call_id, "fork-1"))
    call.talk(10, "after")
    assert all(each.hears_nothing() for each in recorders)


def test_fork_of_one_party_carries_only_that_party(
    call: AnsweredCall, recorders: list[RtpEndpoint]
) -> None:
    offer = request(call, [call.callee.tag])
    assert heard_tags(offer) == [call.callee.tag]
    answer(call, recorders[0])
    said = call.talk(20, "recorded")
    assert recorders[0].receive(20) == said[1]
    assert recorders[0].hears_nothing()


def test_fork_order_is_that_of_the_request(
    call: AnsweredCall, recorders: list[RtpEndpoint]
) -> None:
    tags = [call.callee.tag, call.caller.tag]
    assert heard_tags(request(call, tags)) == tags
    answer(call, *recorders)
    said = call.talk(10, "recorded")
    assert recorders[0].receive(10) == said[1]
    assert recorders[1].receive(10) == said[0]


def test_fork_leaves_telephone_event_to_the_peer(
    call: AnsweredCall, recorders: list[RtpEndpoint]
) -> None:
    offer = request(call, [call.caller.tag])
    assert "telephone-event" not in offer.sdp
    answer(call, recorders[0])
    before = call.caller.send(5, "audio")
    event = call.caller.send(3, "event", payload_type=101)
    after = call.caller.send(5, "audio")
    assert call.callee.receive(13) == before + event + after
    # The fork is numbered anew without a gap, so its order says nothing: compare as sets.
    assert set(recorders[0].receive(10)) == {*before, *after}
    assert recorders[0].hears_nothing()


def test_fork_is_paused_by_port_zero_and_resumed_by_the_first_answer(
    call: AnsweredCall, recorders: list[RtpEndpoint]
) -> None:
    request(call, parties(call))
    answer(call, *recorders)
    call.talk(5, "recorded")
    for each in recorders:
        each.receive(5)
    paused = recorder_answer(*recorders)
    for each in recorders:
        paused = paused.replace(f"m=audio {each.port} ", "m=audio 0 ")
    ask(call.ng, subscribe_answer(call.call_id, "fork-1", paused))
    call.talk(5, "paused")
    assert all(each.hears_nothing() for each in recorders)
    answer(call, *recorders)
    said = call.talk(5, "resumed")
    assert recorders[0].receive(5) == said[0]
    assert recorders[1].receive(5) == said[1]


def test_two_forks_of_a_call_are_independent(
    call: AnsweredCall, recorders: list[RtpEndpoint]
) -> None:
    for number, recorder in enumerate(recorders):
        request(call, [call.caller.tag], f"fork-{number}")
        answer(call, recorder, fork_tag=f"fork-{number}")
    said = call.talk(10, "both")
    assert [each.receive(10) for each in recorders] == [said[0], said[0]]
    ask(call.ng, unsubscribe(call.call_id, "fork-0"))
    ask(call.ng, delete_fork(call.call_id, "fork-0"))
    said = call.talk(10, "one")
    assert recorders[1].receive(10) == said[0]
    assert recorders[0].hears_nothing()


def test_ports_come_free_with_the_fork_and_with_the_call(
    rtpengine: Rtpengine, call: AnsweredCall, recorders: list[RtpEndpoint]
) -> None:
    assert rtpengine.ports_come_to(4)
    request(call, parties(call))
    answer(call, *recorders)
    assert rtpengine.ports_come_to(8)
    ask(call.ng, unsubscribe(call.call_id, "fork-1"))
    ask(call.ng, delete_fork(call.call_id, "fork-1"))
    assert rtpengine.ports_come_to(4)
    call.ask("delete")
    assert rtpengine.ports_come_to(0)


def test_query_of_a_call_that_had_many_forks_is_answered(call: AnsweredCall) -> None:
    tags = [f"fork-{number}" for number in range(100)]
    for tag in tags:
        request(call, parties(call), tag)
        ask(call.ng, unsubscribe(call.call_id, tag))
        ask(call.ng, delete_fork(call.call_id, tag))
    assert known_tags(call, call.caller.tag) == set(parties(call))
    assert known_tags(call, tags[0]) == set()
    request(call, parties(call), "fork-100")
    assert known_tags(call, "fork-100") == {"fork-100", *parties(call)}


def test_list_names_the_call_until_it_is_deleted(rtpengine: Rtpengine, call: AnsweredCall) -> None:
    assert parse_calls(ask(rtpengine.ng, list_calls(10))) == (call.call_id,)
    call.ask("delete")
    assert parse_calls(ask(rtpengine.ng, list_calls(10))) == ()


def test_fork_of_a_party_that_is_not_there_is_not_used(call: AnsweredCall) -> None:
    """rtpengine leaves the unknown party out and says `ok`."""
    with pytest.raises(NgProtocolError):
        request(call, [call.caller.tag, "tag-stranger"])


def test_commands_about_an_unknown_call_say_so(rtpengine: Rtpengine) -> None:
    for command in (
        query("none", "a"),
        subscribe_request("none", ["a"], "fork-1"),
        subscribe_answer("none", "fork-1", "v=0\r\nm=audio 9 RTP/AVP 0\r\n"),
        unsubscribe("none", "fork-1"),
    ):
        with pytest.raises(NgRefused) as caught:
            ask(rtpengine.ng, command)
        assert caught.value.unknown_call, command["command"]


def test_delete_fork_of_an_unknown_call_or_fork_is_accepted(
    rtpengine: Rtpengine, call: AnsweredCall
) -> None:
    for call_id in ("none", call.call_id):
        assert ask(rtpengine.ng, delete_fork(call_id, "fork-9"))["result"] == "ok"
    call.talk(5, "undisturbed")


def test_calls_beyond_the_ports_are_refused_as_busy(tmp_path: Path) -> None:
    sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    offer = {"command": "offer", "from-tag": "a", "sdp": sdp + "m=audio 9 RTP/AVP 0\r\n"}
    with Rtpengine(tmp_path, ports=4) as daemon:
        ask(daemon.ng, {**offer, "call-id": "fits"})
        with pytest.raises(NgRefused) as caught:
            ask(daemon.ng, {**offer, "call-id": "does-not-fit"})
    assert caught.value.load_limit
    assert caught.value.retryable
