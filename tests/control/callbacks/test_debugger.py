"""Alerts that the callback worker sends to a real web server, or to nobody."""

import json

import pytest

from siprec.accounts import Account
from siprec.alerts import Alert, AlertLevel
from siprec.callback_store import GROUP
from siprec.debugger import AlertCallback
from siprec.keys import ShardKeys
from siprec.model import CallbackMethod
from siprec.record import RecordError
from siprec.shard_store import ShardStore
from siprec.store import Client
from siprec_control.callbacks.debuggers import Debuggers
from tests.control.callbacks.receiver import Receiver
from tests.control.callbacks.sending import TOKEN
from tests.control.callbacks.working import PREFIX, SHARD, WAIT_S, wait_settled, working
from tests.scenarios.polling import poll
from tests.siprec.callbacks import callback, save
from tests.siprec.streams import ACCOUNT_SID, NOW_MS

pytestmark = pytest.mark.daemon


def alert(number: int = 1, account_sid: str = ACCOUNT_SID) -> Alert:
    return Alert(
        sid=f"NO2a{number:030x}",
        account_sid=account_sid,
        code=15003,
        level=AlertLevel.ERROR,
        text="went wrong",
        created_ms=NOW_MS,
    )


def save_alerts(store: ShardStore, *alerts: Alert) -> None:
    """Save alerts as the controller that owns the shard does."""
    (grant,) = store.acquire([SHARD], 1)
    written = store.begin(SHARD, grant.epoch)
    for each in alerts:
        written.alert(each)
    assert store.commit([written]) == []
    store.release([SHARD])


def wait_groups(client: Client) -> None:
    """Wait until alerts that come from now on are sent."""
    key = ShardKeys(PREFIX, 63).alerts
    poll(lambda: client.exists(key) and client.xinfo_groups(key), WAIT_S, why=lambda: "no group")


def test_alert_is_posted_signed_and_stays(
    client: Client, shards: ShardStore, receiver: Receiver
) -> None:
    with working(client, debugger_url=receiver.url("/debug?a=b", "rc=0")):
        wait_groups(client)
        save_alerts(shards, alert())
        (request,) = receiver.wait_for(1)
        wait_settled(client)
    assert (request.method, request.path) == ("POST", "/debug")
    assert request.is_signed_with(TOKEN)
    assert (request.token, request.fields["Sid"]) == (alert().sid, alert().sid)
    assert json.loads(request.fields["Payload"])["error_code"] == "15003"
    assert client.xlen(ShardKeys(PREFIX, SHARD).alerts) == 1


def test_webhook_that_fails_makes_a_line_of_the_log_and_no_alert(
    client: Client, shards: ShardStore, receiver: Receiver
) -> None:
    receiver.answer = lambda request: 404
    with working(client, debugger_url=receiver.url()) as said:
        wait_groups(client)
        save_alerts(shards, alert())
        poll(lambda: bool(said), WAIT_S, why=lambda: "nothing was said")
        wait_settled(client)
    about = f"alert {alert().sid} to POST {receiver.url()}: the answer was 404"
    assert said == [f"WARNING: given up: {about}"]
    keys = ShardKeys(PREFIX, SHARD)
    assert client.xlen(keys.inbox) == client.xlen(keys.undelivered) == 0
    assert client.xlen(keys.alerts) == 1


def test_alert_that_was_not_taken_is_sent_by_the_next_worker(
    client: Client, shards: ShardStore, receiver: Receiver
) -> None:
    receiver.answer = lambda request: 503
    with working(client, debugger_url=receiver.url(fragment="rc=0")):
        wait_groups(client)
        save_alerts(shards, alert())
        receiver.wait_for(1)
    assert client.xpending(ShardKeys(PREFIX, SHARD).alerts, GROUP)["pending"] == 1
    receiver.answer = lambda request: 200
    before = len(receiver.requests)
    with working(client, debugger_url=receiver.url()):
        again = receiver.wait_for(before + 1)[-1]
        wait_settled(client)
    assert again.token == alert().sid


def test_alerts_that_nobody_wants_are_settled_and_hold_up_no_callback(
    client: Client, shards: ShardStore, receiver: Receiver
) -> None:
    with working(client) as said:
        wait_groups(client)
        save_alerts(shards, *(alert(number) for number in range(300)))
        save(shards, SHARD, callback(receiver.url()))
        receiver.wait_for(1)
        wait_settled(client)
    assert said == []


def test_debugger_that_hangs_holds_up_no_callback_to_the_same_host(
    client: Client, shards: ShardStore, receiver: Receiver
) -> None:
    receiver.answer = lambda r: receiver.hang(r) if r.path == "/debug" else 200
    with working(client, debugger_url=receiver.url("/debug")):
        wait_groups(client)
        save_alerts(shards, *(alert(number) for number in range(20)))
        receiver.wait_for(8)
        save(shards, SHARD, callback(receiver.url("/status")))
        requests = receiver.wait_for(9)
        receiver.release()
    assert [r.path for r in requests].count("/status") == 1


def test_alert_that_cannot_be_read_is_named(client: Client, shards: ShardStore) -> None:
    with working(client) as said:
        wait_groups(client)
        client.xadd(ShardKeys(PREFIX, SHARD).alerts, {"d": "{"})
        poll(lambda: bool(said), WAIT_S, why=lambda: "nothing was said")
        wait_settled(client)
    assert said == [f"ERROR: an alert of shard {SHARD} cannot be read, and is gone"]


def test_alert_of_no_account_is_told_to_the_default_one() -> None:
    account = Account(sid=ACCOUNT_SID, debugger_url="http://a/", debugger_method=CallbackMethod.GET)
    debuggers = Debuggers({ACCOUNT_SID: account}.get, ACCOUNT_SID, print)
    assert debuggers.address(alert(account_sid="")) == AlertCallback(
        alert=alert(account_sid=""),
        account_sid=ACCOUNT_SID,
        url="http://a/",
        method=CallbackMethod.GET,
    )
    assert debuggers.address(alert(account_sid="AC" + "9" * 32)) is None


def test_account_is_read_once_for_many_alerts_and_a_fault_of_it_is_said() -> None:
    asked: list[str] = []
    said: list[str] = []

    def account_of(sid: str) -> Account:
        asked.append(sid)
        raise RecordError("token", "no key")

    debuggers = Debuggers(account_of, ACCOUNT_SID, said.append)
    assert [debuggers.address(alert(number)) for number in range(5)] == [None] * 5
    assert asked == [ACCOUNT_SID]
    assert said == ["ERROR: alerts are not sent to a debugger webhook: token: no key"]
