"""The action Stream of a node: read from a real Redis, and carried out."""

import json
from collections.abc import Iterator

import pytest

from siprec.actions import EndCall
from siprec.keys import actions_key
from siprec.store import Client, Store, connect
from siprec_kemi.proxy import actions as module
from siprec_kemi.proxy.actions import Actions
from tests.control.processes import RedisServer
from tests.kemi.strict_ksr import StrictKsr

NODE = "node1"
END = EndCall(
    call_sid="CA2a" + "0" * 30, sip_call_id="a@b", from_tag='f"', to_tag="t", reason="lost"
)


@pytest.fixture
def store(client: Client, prefix: str) -> Store:
    return Store(client, prefix)


@pytest.fixture
def actions(
    redis_server: RedisServer, prefix: str, ksr: StrictKsr, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Actions]:
    monkeypatch.setattr(module, "BLOCK_MS", 1)
    ksr.variables["$jsonrpl(body)"] = json.dumps({"jsonrpc": "2.0", "result": "Done", "id": 1})
    connection = connect(redis_server.url)
    yield Actions(connection, prefix, NODE)
    connection.close()


def requests(ksr: StrictKsr) -> list[tuple[str, list[str]]]:
    """Give the RPC requests that were made."""
    made = [json.loads(str(text)) for (text,) in ksr.named("jsonrpcs.exec")]
    return [(request["method"], request["params"]) for request in made]


def levels(ksr: StrictKsr) -> list[object]:
    return [level for level, _ in ksr.named("log")]


def test_call_is_ended_once(actions: Actions, store: Store, ksr: StrictKsr) -> None:
    store.order_action(NODE, END)
    store.order_action("another", END)
    assert actions.turn()
    assert actions.turn()
    dialog = ["a@b", 'f"', "t"]
    assert requests(ksr) == [("dlg.is_alive", dialog), ("dlg.terminate_dlg", dialog)]
    assert levels(ksr) == ["info"]


def test_call_that_is_not_known_here_is_logged(
    actions: Actions, store: Store, ksr: StrictKsr
) -> None:
    error = {"code": 404, "message": "Dialog not found"}
    ksr.variables["$jsonrpl(body)"] = json.dumps({"jsonrpc": "2.0", "error": error, "id": 1})
    store.order_action(NODE, END)
    assert actions.turn()
    assert [method for method, _ in requests(ksr)] == ["dlg.is_alive"]
    assert levels(ksr) == ["warn"]


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
    store.order_action(NODE, END)
    assert actions.turn()
    assert levels(ksr) == ["err", "info"]


def test_actions_wait_while_redis_is_away(prefix: str, ksr: StrictKsr) -> None:
    connection = connect("redis://127.0.0.1:1", timeout_s=0.1)
    assert not Actions(connection, prefix, NODE).turn()
    assert levels(ksr) == ["warn"]
    connection.close()
