"""Callbacks as controllers save them."""

import uuid
from dataclasses import replace

from siprec.model import CallbackMethod
from siprec.shard_store import ShardStore
from siprec.stream_events import Callback, SiprecEvent, StreamEvent
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, NOW_MS, STREAM_SID

STARTED = StreamEvent(
    token="7d0f4c2e-0000-5000-8000-000000000000",
    kind=SiprecEvent.STARTED,
    at_ms=NOW_MS,
    account_sid=ACCOUNT_SID,
    call_sid=CALL_SID,
    caller="+15550002",
    called="+15550001",
    call_status="in-progress",
    stream_sid=STREAM_SID,
    name="one",
)


def callback(
    url: str = "https://a.example/status",
    *,
    method: CallbackMethod = CallbackMethod.POST,
    kind: SiprecEvent = SiprecEvent.STARTED,
    stream_sid: str = STREAM_SID,
    account_sid: str = ACCOUNT_SID,
) -> Callback:
    """Give a callback whose token no other has."""
    event = replace(
        STARTED,
        token=str(uuid.uuid4()),
        kind=kind,
        stream_sid=stream_sid,
        account_sid=account_sid,
    )
    return Callback(event=event, url=url, method=method, connector_name="Default")


def save(store: ShardStore, shard: int, *callbacks: Callback) -> None:
    """Save callbacks as the controller that owns the shard does."""
    (grant,) = store.acquire([shard], 1)
    written = store.begin(shard, grant.epoch)
    for each in callbacks:
        written.callback(each)
    assert store.commit([written]) == []
    store.release([shard])
