"""The action Stream of a node: read from a real Redis, and carried out."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from siprec.actions import EndCall
from siprec.inbox import CallHungUp, CallNotEnded, Entry, from_fields
from siprec.keys import ShardKeys, actions_key
from siprec.store import Client, Store, connect
from siprec_kemi.proxy import actions as module
from siprec_kemi.proxy.actions import Actions
from siprec_kemi.proxy.farewell import ORDERED
from tests.control.processes import RedisServer
from tests.kemi.strict_ksr import StrictKsr

NODE = "node1"
END = EndCall(
    call_sid="CA2a" + "0" * 30,
    account_sid="AC1",
    sip_call_id="a@b",
    from_tag='f"',
    to_tag="t",
    reason="lost",
)


DIALOG: Mapping[str, Any] = {
    "call-id": "a@b",
    "from_uri": "sip:alice@example.com",
    "to_uri": "sip:1@example.com",
    "state": 4,
    "caller": {
        "tag": 'f"',
        "contact": "sip:alice@10.0.0.1:5060;alias=192.0.2.1~5062~1",
        "cseq": "7",
        "route_set": "",
        "socket": "udp:192.0.2.9:5060",
    },
    "callee": {
        "tag": "t",
        "contact": "sip:bob@192.0.2.2;transport=tcp",
        "cseq": "0",
        "route_set": "",
        "socket": "tcp:192.0.2.9:5060",
    },
}


def answer_rpc(ksr: StrictKsr, result: object) -> None:
    """Let every RPC have this result."""
    ksr.variables["$jsonrpl(body)"] = json.dumps({"jsonrpc": "2.0", "result": result, "id": 1})


@pytest.fixture
def store(client: Client, prefix: str) -> Store:
    return Store(client, prefix)


@pytest.fixture
def actions(
    redis_server: RedisServer, prefix: str, ksr: StrictKsr, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Actions]:
    monkeypatch.setattr(module, "BLOCK_MS", 1)
    answer_rpc(ksr, DIALOG)
    connection = connect(redis_server.url)
    yield Actions(connection, prefix, NODE)
    connection.close()


def requests(ksr: StrictKsr) -> list[tuple[str, list[str]]]:
    """Give the RPC requests that were made."""
    made = [json.loads(str(text)) for (text,) in ksr.named("jsonrpcs.exec")]
    return [(request["method"], request["params"]) for request in made]


def levels(ksr: StrictKsr) -> list[object]:
    return [level for level, _ in ksr.named("log")]


def test_call_is_ended_once(
    actions: Actions, store: Store, ksr: StrictKsr, client: Client, prefix: str
) -> None:
    store.orders.action(NODE, END)
    store.orders.action("another", END)
    assert actions.turn()
    assert actions.turn()
    assert requests(ksr) == [
        ("dlg.list_match", ["callid", "eq", "a@b"]),
        ("dlg.set_state", ["a@b", 'f"', "t", 5]),
    ]
    sent = [(method, hop, socket) for method, _, hop, socket, *_ in ksr.named("tm.t_uac_send")]
    assert sent == [
        ("BYE", "sip:192.0.2.1:5062;transport=udp", "udp:192.0.2.9:5060"),
        ("BYE", "sip:bob@192.0.2.2;transport=tcp", "tcp:192.0.2.9:5060"),
    ]
    assert levels(ksr) == ["info"]
    (told_over,) = entries(client, prefix)
    assert isinstance(told_over, CallHungUp)
    assert told_over.call_sid == END.call_sid


def entries(client: Client, prefix: str) -> list[Entry]:
    """Give what the controllers are told."""
    return [from_fields(fields) for _, fields in client.xrange(ShardKeys(prefix, 0x2A).inbox)]


def told(client: Client, prefix: str) -> list[str]:
    """Give what the controllers are told of calls that were not ended."""
    made = entries(client, prefix)
    return [entry.text for entry in made if isinstance(entry, CallNotEnded)]


def test_call_whose_byes_cannot_be_sent_is_told(
    actions: Actions, store: Store, ksr: StrictKsr, client: Client, prefix: str
) -> None:
    ksr.returns["tm.t_uac_send"] = -1
    store.orders.action(NODE, END)
    assert actions.turn()
    assert levels(ksr) == ["warn"]
    assert told(client, prefix) == ["the call could not be ended (0 of 2 BYEs could be sent): lost"]


@pytest.mark.parametrize(
    "result",
    [None, {}, {**DIALOG, "callee": {**DIALOG["callee"], "tag": "other"}}],
    ids=["none", "empty", "another"],
)
def test_call_that_is_not_known_here_is_told(
    actions: Actions,
    store: Store,
    ksr: StrictKsr,
    client: Client,
    prefix: str,
    result: object,
) -> None:
    answer_rpc(ksr, result)
    store.orders.action(NODE, END)
    assert actions.turn()
    assert not ksr.named("tm.t_uac_send")
    assert levels(ksr) == ["warn"]
    (text,) = told(client, prefix)
    assert "it is over, or older than its proxy" in text


EARLY = {**DIALOG, "state": 2, "callee": {**DIALOG["callee"], "tag": ""}}


def test_call_that_is_over_needs_no_bye(
    actions: Actions, store: Store, ksr: StrictKsr, client: Client, prefix: str
) -> None:
    answer_rpc(ksr, {**DIALOG, "state": 5})
    store.orders.action(NODE, END)
    assert actions.turn()
    assert not ksr.named("tm.t_uac_send")
    assert [type(entry) for entry in entries(client, prefix)] == [CallHungUp]


def test_call_that_rings_is_cancelled_until_it_is_over(
    actions: Actions, store: Store, ksr: StrictKsr, client: Client, prefix: str
) -> None:
    # An INVITE that was challenged, and came again.
    answer_rpc(ksr, [{**EARLY, "state": 5}, EARLY])
    store.orders.action(NODE, replace(END, to_tag=""))
    assert actions.turn()
    assert requests(ksr)[1] == ("tm.cancel", ["a@b", "7"])
    answer_rpc(ksr, None)
    assert actions.turn()
    assert actions.turn()
    assert levels(ksr) == []
    assert entries(client, prefix) == []
    assert [method for method, _ in requests(ksr)].count("tm.cancel") <= 2


def test_call_that_is_answered_all_the_same_is_hung_up(
    actions: Actions, store: Store, ksr: StrictKsr, client: Client, prefix: str
) -> None:
    answer_rpc(ksr, EARLY)
    store.orders.action(NODE, replace(END, to_tag="", is_ordered=True))
    assert actions.turn()
    answer_rpc(ksr, DIALOG)
    assert actions.turn()
    byes = ksr.named("tm.t_uac_send")
    assert len(byes) == 2
    assert all(ORDERED in str(bye) for bye in byes)
    assert [type(entry) for entry in entries(client, prefix)] == [CallHungUp]


def test_call_that_rings_on_is_told(
    actions: Actions,
    store: Store,
    ksr: StrictKsr,
    client: Client,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CANCEL_S", 0.0)
    answer_rpc(ksr, EARLY)
    store.orders.action(NODE, replace(END, to_tag=""))
    assert actions.turn()
    assert told(client, prefix) == ["the call could not be ended (it rings on): lost"]


def test_action_that_is_too_old_is_passed_over(
    actions: Actions, store: Store, client: Client, prefix: str, ksr: StrictKsr
) -> None:
    seconds, _ = client.time()
    old = f"{seconds * 1000 - module.WANTED_MS - 1000}-0"
    client.xadd(actions_key(prefix, NODE), {"t": "end-call", "d": "{}"}, id=old)
    assert actions.turn()
    assert ksr.calls == []


def test_action_that_is_not_understood_is_logged_and_passed_over(
    actions: Actions, store: Store, client: Client, prefix: str, ksr: StrictKsr
) -> None:
    client.xadd(actions_key(prefix, NODE), {"t": "sing", "d": "{}"})
    store.orders.action(NODE, END)
    assert actions.turn()
    assert levels(ksr) == ["err", "info"]


def test_dialog_that_is_not_whole_ends_nothing_else(
    actions: Actions, store: Store, ksr: StrictKsr
) -> None:
    answer_rpc(ksr, {**DIALOG, "caller": {}})
    store.orders.action(NODE, END)
    assert actions.turn()
    assert actions.turn()
    assert levels(ksr) == ["err"]


def test_actions_wait_while_redis_is_away(prefix: str, ksr: StrictKsr) -> None:
    connection = connect("redis://127.0.0.1:1", timeout_s=0.1)
    assert not Actions(connection, prefix, NODE).turn()
    assert levels(ksr) == ["warn"]
    connection.close()
