"""Orders against a real Redis, and a thread that answers as a controller does."""

import threading
from typing import Any

import pytest

from siprec import actions
from siprec.actions import EndCall
from siprec.inbox import PauseOrdered, StartOrdered, StopOrdered, from_fields
from siprec.keys import ShardKeys, actions_key
from siprec.model import StreamOrder, Track
from siprec.order_store import ACTIONS_KEPT, NoVerdict, OrderStore
from siprec.shard_store import Save, ShardStore
from siprec.sids import SidError, shard_of_sid
from siprec.vault import Vault
from siprec.verdict import Verdict
from tests.control.processes import RedisServer
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, STREAM_SID


@pytest.fixture
def orders(redis_server: RedisServer, prefix: str) -> OrderStore:
    return OrderStore(redis_server.client, prefix, Vault(None))


@pytest.fixture
def shards(redis_server: RedisServer, prefix: str) -> ShardStore:
    return ShardStore(redis_server.client, prefix, "controller")


def own(shards: ShardStore, sid: str) -> Save:
    shard = shard_of_sid(sid)
    (grant,) = shards.acquire([shard], 1)
    return Save(shards.keys(shard), grant.epoch)


class Controller(threading.Thread):
    """Answers the first order in a shard's inbox."""

    def __init__(self, server: RedisServer, shards: ShardStore, sid: str, verdict: Verdict) -> None:
        super().__init__()
        self._redis, self._shards = server.client, shards
        self._save, self._verdict = own(shards, sid), verdict
        self.order: object = None

    def run(self) -> None:
        """Wait for the order and answer it."""
        streams: Any = self._redis.xread({self._save.keys.inbox: "0"}, block=10_000)
        order = from_fields(streams[0][1][0][1])
        self.order = order
        if isinstance(order, StartOrdered | StopOrdered | PauseOrdered):
            self._save.verdict(order.request_id, self._verdict)
        self._shards.commit([self._save])


def test_order_start_waits_for_the_verdict(
    orders: OrderStore, shards: ShardStore, redis_server: RedisServer
) -> None:
    verdict = Verdict(accepted=True, text="accepted", stream_sid=STREAM_SID)
    controller = Controller(redis_server, shards, CALL_SID, verdict)
    controller.start()
    order = StreamOrder(name="main", parameters=(("X-Id", "ü"),))
    assert orders.start(CALL_SID, order, timeout_s=10) == verdict
    controller.join()
    assert isinstance(controller.order, StartOrdered)
    assert (controller.order.call_sid, controller.order.order) == (CALL_SID, order)


def test_order_stop_waits_for_the_verdict(
    orders: OrderStore, shards: ShardStore, redis_server: RedisServer
) -> None:
    verdict = Verdict(accepted=False, text="no such stream", code=31952)
    controller = Controller(redis_server, shards, STREAM_SID, verdict)
    controller.start()
    assert orders.stop(STREAM_SID, timeout_s=10) == verdict
    controller.join()
    assert isinstance(controller.order, StopOrdered)
    assert controller.order.stream_sid == STREAM_SID


def test_order_pause_waits_for_the_verdict(
    orders: OrderStore, shards: ShardStore, redis_server: RedisServer
) -> None:
    verdict = Verdict(accepted=True, text="is resuming", stream_sid=STREAM_SID)
    controller = Controller(redis_server, shards, STREAM_SID, verdict)
    controller.start()
    ordered = orders.pause(STREAM_SID, Track.OUTBOUND, is_resumed=True, timeout_s=10)
    assert ordered == verdict
    controller.join()
    order = controller.order
    assert isinstance(order, PauseOrdered)
    assert (order.stream_sid, order.track, order.is_resumed) == (STREAM_SID, Track.OUTBOUND, True)


def test_order_that_no_controller_answers_is_named_so_and_withdrawn(
    orders: OrderStore, redis_server: RedisServer, prefix: str
) -> None:
    with pytest.raises(NoVerdict, match=r"within 0\.05 s"):
        orders.stop(STREAM_SID, timeout_s=0.05)
    inbox = ShardKeys(prefix, shard_of_sid(STREAM_SID)).inbox
    # It was there, and is there no more.
    assert redis_server.client.xinfo_stream(inbox)["entries-added"] == 1
    assert redis_server.client.xlen(inbox) == 0


@pytest.mark.parametrize("sid", [CALL_SID, "SR0", ""])
def test_order_to_stop_what_is_no_stream_is_refused_before_it_is_sent(
    orders: OrderStore, sid: str
) -> None:
    with pytest.raises(SidError):
        orders.stop(sid)
    with pytest.raises(SidError):
        orders.pause(sid)


def test_order_to_start_on_what_is_no_call_is_refused_before_it_is_sent(orders: OrderStore) -> None:
    with pytest.raises(SidError):
        orders.start("CA0", StreamOrder())


def test_action_is_appended_to_the_stream_of_its_node(
    orders: OrderStore, redis_server: RedisServer, prefix: str
) -> None:
    ends = [
        EndCall(
            call_sid=CALL_SID,
            account_sid=ACCOUNT_SID,
            sip_call_id="a@b",
            from_tag="f",
            to_tag="t",
            reason=reason,
        )
        for reason in ("one", "two")
    ]
    for end in ends:
        orders.action("here", end)
    read: Any = redis_server.client.xrange(actions_key(prefix, "here"))
    assert [actions.from_fields(fields) for _, fields in read] == ends
    assert not redis_server.client.exists(actions_key(prefix, "there"))


def test_actions_that_nobody_reads_are_bounded(
    orders: OrderStore, redis_server: RedisServer, prefix: str
) -> None:
    end = EndCall(
        call_sid=CALL_SID, account_sid="", sip_call_id="", from_tag="", to_tag="", reason=""
    )
    for _ in range(ACTIONS_KEPT + 200):
        orders.action("here", end)
    assert redis_server.client.xlen(actions_key(prefix, "here")) < ACTIONS_KEPT + 200
