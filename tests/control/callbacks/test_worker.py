"""The callback worker over a real Redis and real web servers."""

import itertools

import pytest

from siprec.callback_store import CallbackStore
from siprec.inbox import CallbackFailed, from_fields
from siprec.keys import ShardKeys
from siprec.model import CallbackMethod
from siprec.record import to_json
from siprec.shard_store import ShardStore
from siprec.store import Client
from siprec.stream_events import SiprecEvent
from siprec_control.callbacks import queues, worker
from tests.control.callbacks.receiver import Receiver, Request
from tests.control.callbacks.sending import TOKEN
from tests.control.callbacks.working import PREFIX, SHARD, WAIT_S, wait_settled, working
from tests.scenarios.polling import poll
from tests.siprec.callbacks import callback, save

pytestmark = pytest.mark.daemon


@pytest.mark.parametrize("method", list(CallbackMethod))
def test_callback_is_sent_signed_with_its_token_and_settled(
    client: Client, shards: ShardStore, receiver: Receiver, method: CallbackMethod
) -> None:
    made = callback(receiver.url("/status?a=b"), method=method)
    with working(client):
        save(shards, SHARD, made)
        (request,) = receiver.wait_for(1)
        wait_settled(client)
    query = {"a": "b"} if method is CallbackMethod.GET else {}
    assert (request.method, request.fields) == (method.value, query | made.event.fields)
    assert request.token == made.event.token
    assert request.is_signed_with(TOKEN)
    assert not request.is_signed_with("another")


def test_callbacks_of_a_stream_arrive_in_order_through_failures(
    client: Client, shards: ShardStore, receiver: Receiver
) -> None:
    kinds = list(SiprecEvent)
    made = [callback(receiver.url(fragment="rc=0"), kind=kind) for kind in kinds]
    answers = itertools.cycle([500, 200])
    receiver.answer = lambda request: next(answers)
    with working(client):
        save(shards, SHARD, *made)
        requests = receiver.wait_for(2 * len(kinds))
        wait_settled(client)
    assert [request.event for request in requests] == [kind for kind in kinds for _ in range(2)]
    # The same event has the same token each time.
    assert [request.token for request in requests] == [
        each.event.token for each in made for _ in range(2)
    ]


def test_deaf_receiver_delays_nobody_else_and_gets_all_when_it_hears_again(
    client: Client, shards: ShardStore, receiver: Receiver
) -> None:
    with Receiver() as deaf:
        deaf.answer = deaf.hang
        url = deaf.url(fragment="rt=300&tt=300&rc=0")
        waiting = [callback(url, stream_sid=f"SR{count}") for count in range(40)]
        quick = [callback(receiver.url(), stream_sid=f"SRq{count}") for count in range(40)]
        with working(client):
            save(shards, SHARD, *waiting)
            deaf.wait_for(1)
            save(shards, SHARD, *quick)
            receiver.wait_for(40)
            assert len({request.token for request in deaf.requests}) < 40
            deaf.release()
            tokens = {each.event.token for each in waiting}
            poll(
                lambda: {request.token for request in list(deaf.requests)} == tokens,
                WAIT_S,
                why=lambda: f"{len(deaf.requests)} requests",
            )
            wait_settled(client)


def test_receiver_that_is_not_there_yet_gets_its_callbacks_later(
    client: Client, shards: ShardStore
) -> None:
    with Receiver() as gone:
        port = gone.port
    made = callback(f"http://127.0.0.1:{port}/", stream_sid="SR1")
    with working(client) as said:
        save(shards, SHARD, made)
        poll(lambda: bool(said), WAIT_S, why=lambda: "nobody said that it failed")
        with Receiver(port) as back:
            (request, *_) = back.wait_for(1)
            assert request.token == made.event.token
            wait_settled(client)
    assert said[0].startswith("WARNING: siprec-started to POST http://127.0.0.1:")


def test_refused_callback_is_given_up_with_an_alert_and_may_be_sent_again(
    client: Client, shards: ShardStore, receiver: Receiver
) -> None:
    receiver.answer = lambda request: 404
    made = callback(receiver.url("/gone?secret=1"))
    after = callback(receiver.url("/gone"), kind=SiprecEvent.STOPPED)
    store = CallbackStore(client, PREFIX)
    keys = ShardKeys(PREFIX, SHARD)
    with working(client):
        save(shards, SHARD, made, after)
        poll(lambda: len(store.given_up()) == 2, WAIT_S, why=lambda: "not given up")
        wait_settled(client)
        first, second = (from_fields(fields) for _, fields in client.xrange(keys.inbox))
        assert isinstance(first, CallbackFailed)
        assert isinstance(second, CallbackFailed)
        assert (first.code, second.code) == (15003, 15003)
        place = f"POST http://127.0.0.1:{receiver.port}/gone"
        assert first.text == f"siprec-started to {place}: the answer was 404"
        receiver.answer = lambda request: 200
        before = len(receiver.requests)
        assert all(store.send_again(each) for each in store.given_up())
        requests = receiver.wait_for(before + 2)
        wait_settled(client)
    assert {request.token for request in requests[before:]} == {
        made.event.token,
        after.event.token,
    }


def test_url_that_may_not_be_reached_is_given_up_at_once(
    client: Client, shards: ShardStore
) -> None:
    store = CallbackStore(client, PREFIX)
    with working(client):
        save(shards, SHARD, callback("http://10.0.0.1/status"))
        poll(lambda: bool(store.given_up()), WAIT_S, why=lambda: "not given up")
    (given_up,) = store.given_up()
    assert given_up.undelivered.code == 11200
    assert "10.0.0.1" in given_up.undelivered.text


def test_what_failed_for_a_day_is_given_up_with_the_last_fault(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "EXPIRE_S", 0.1)
    receiver.answer = lambda request: 500
    store, keys = CallbackStore(client, PREFIX), ShardKeys(PREFIX, SHARD)
    # The id says since when it waits: since 1970.
    client.xadd(keys.callbacks, {"d": to_json(callback(receiver.url()))}, id="1-1")
    with working(client):
        poll(lambda: bool(store.given_up()), WAIT_S, why=lambda: "not given up")
        wait_settled(client)
    (given_up,) = store.given_up()
    assert given_up.undelivered.code == 15003
    assert given_up.undelivered.text.endswith("the answer was 500")


def test_what_is_too_much_for_a_receiver_is_given_up(
    client: Client, shards: ShardStore, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "PER_RECEIVER", 2)
    receiver.answer = receiver.hang
    store = CallbackStore(client, PREFIX)
    made = [callback(receiver.url(), stream_sid=f"SR{count}") for count in range(3)]
    with working(client):
        save(shards, SHARD, *made)
        poll(lambda: bool(store.given_up()), WAIT_S, why=lambda: "not given up")
        receiver.release()
        wait_settled(client)
    (given_up,) = store.given_up()
    assert given_up.undelivered.callback == made[2]
    assert {request.token for request in receiver.requests} == {
        each.event.token for each in made[:2]
    }


def test_account_without_a_token_gets_nothing(
    client: Client, shards: ShardStore, receiver: Receiver
) -> None:
    store = CallbackStore(client, PREFIX)
    with working(client):
        save(shards, SHARD, callback(receiver.url(), account_sid="AC" + "9" * 32))
        poll(lambda: bool(store.given_up()), WAIT_S, why=lambda: "not given up")
    assert receiver.requests == []
    assert "no such account" in store.given_up()[0].undelivered.text


def requests_by_path(requests: list[Request]) -> dict[str, list[str]]:
    """Sort events by the path they came to."""
    found: dict[str, list[str]] = {}
    for request in requests:
        found.setdefault(request.path, []).append(request.event)
    return found


def test_many_streams_keep_their_order_each(
    client: Client, shards: ShardStore, receiver: Receiver
) -> None:
    kinds = [SiprecEvent.STARTED, SiprecEvent.PAUSED, SiprecEvent.RESUMED, SiprecEvent.STOPPED]
    made = [
        callback(receiver.url(f"/{stream}"), kind=kind, stream_sid=f"SR{stream}")
        for kind in kinds
        for stream in range(30)
    ]
    with working(client):
        save(shards, SHARD, *made)
        requests = receiver.wait_for(len(made))
        wait_settled(client)
    events = [kind.value for kind in kinds]
    assert requests_by_path(requests) == {f"/{stream}": events for stream in range(30)}
