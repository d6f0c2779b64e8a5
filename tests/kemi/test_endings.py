"""Calls that must not go on: their proxies are told, through a real Redis that may be away."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from siprec.actions import EndCall, from_fields
from siprec.keys import actions_key
from siprec.model import Call, Party
from siprec.store import Client, Store
from siprec_kemi.src.endings import Endings
from tests.control.processes import RedisServer
from tests.kemi.redis_link import RedisLink
from tests.kemi.strict_ksr import StrictKsr
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, NOW_MS

CALL = Call(
    sid=CALL_SID,
    account_sid=ACCOUNT_SID,
    sip_call_id="a@b",
    caller=Party(tag="a"),
    callee=Party(tag="b"),
    node="north",
    answered_ms=NOW_MS,
)
SECOND = replace(CALL, sip_call_id="c@d", node="south")


def action(call: Call, reason: str) -> EndCall:
    return EndCall(
        call_sid=CALL_SID,
        account_sid=ACCOUNT_SID,
        sip_call_id=call.sip_call_id,
        from_tag="a",
        to_tag="b",
        reason=reason,
    )


@pytest.fixture
def link(redis_server: RedisServer, tmp_path: Path) -> Iterator[RedisLink]:
    opened = RedisLink(redis_server.url, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def endings(link: RedisLink, prefix: str, ksr: StrictKsr) -> Endings:
    return Endings(Store(link.client, prefix))


def actions(client: Client, prefix: str, node: str) -> list[EndCall]:
    """Give what the proxy of a node is to do."""
    return [from_fields(fields) for _, fields in client.xrange(actions_key(prefix, node))]


def test_call_is_ended_by_the_proxy_of_its_node(
    endings: Endings, client: Client, prefix: str
) -> None:
    endings.order([(CALL, "unrecorded"), (SECOND, "too quiet")])
    assert actions(client, prefix, "north") == [action(CALL, "unrecorded")]
    assert actions(client, prefix, "south") == [action(SECOND, "too quiet")]
    endings.order([])
    assert len(actions(client, prefix, "north")) == 1


def test_call_is_ended_later_when_redis_is_away(
    endings: Endings, link: RedisLink, client: Client, prefix: str, ksr: StrictKsr
) -> None:
    link.cut()
    endings.order([(CALL, "one")])
    endings.order([(CALL, "two")])
    level, text = ksr.named("log")[0]
    assert (level, str(text).startswith(f"controller: {CALL_SID} not ended yet: Redis")) == (
        "warn",
        True,
    )
    link.mend()
    endings.order([(CALL, "three")])
    # In the order in which they were to end.
    assert actions(client, prefix, "north") == [
        action(CALL, reason) for reason in ("one", "two", "three")
    ]
