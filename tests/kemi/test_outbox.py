"""The outbox: from a SIP worker by datagram to the inboxes in a real Redis."""

import socket
from pathlib import Path

import pytest

from siprec.inbox import CallChanged, Entry, ReportsDropped, from_fields
from siprec.keys import ShardKeys
from siprec.store import Client, connect
from siprec_kemi.proxy import outbox as module
from siprec_kemi.proxy.outbox import BATCH, Drain, OutboxFull
from tests.control.processes import RedisServer
from tests.kemi.outboxes import OpenOutbox
from tests.kemi.strict_ksr import StrictKsr

SHARD = 0x2A


@pytest.fixture
def drain(outbox: OpenOutbox, client: Client, prefix: str, ksr: StrictKsr) -> Drain:
    return Drain(outbox.receiver, client, prefix, "node1")


def report(number: int, text: str = "") -> CallChanged:
    return CallChanged(call_sid=f"CA{number}{text}", at_ms=number)


def inbox(client: Client, prefix: str, shard: int = SHARD) -> list[Entry]:
    entries = client.xrange(ShardKeys(prefix, shard).inbox)
    return [from_fields(fields) for _, fields in entries]


def test_reports_reach_the_inbox_of_their_shard_in_order(
    outbox: OpenOutbox, drain: Drain, client: Client, prefix: str
) -> None:
    for number in range(10):
        outbox.put(SHARD + number % 2, report(number, "ü\n €"))
    drain.turn()
    assert inbox(client, prefix) == [report(n, "ü\n €") for n in range(0, 10, 2)]
    assert inbox(client, prefix, SHARD + 1) == [report(n, "ü\n €") for n in range(1, 10, 2)]


def test_backlog_of_many_batches_is_appended_turn_by_turn_without_a_pause(
    outbox: OpenOutbox, drain: Drain, client: Client, prefix: str
) -> None:
    reports = [report(number) for number in range(3 * BATCH)]
    for each in reports:
        outbox.put(SHARD, each)
    for _ in range(3):
        drain.turn()
    assert inbox(client, prefix) == reports


def test_report_too_long_for_a_datagram_is_refused(outbox: OpenOutbox) -> None:
    with pytest.raises(OutboxFull, match="too long"):
        outbox.put(SHARD, report(1, "x" * 65_000))


def test_report_that_the_socket_does_not_take_is_refused(outbox: OpenOutbox) -> None:
    outbox.close()
    with pytest.raises(OutboxFull):
        outbox.put(SHARD, report(1))


@pytest.mark.parametrize("data", [b"", b"xx", b"zz call-changed {}", b"\xff \xff \xff"])
def test_datagram_that_is_no_report_is_logged_and_passed_over(
    outbox: OpenOutbox, drain: Drain, client: Client, prefix: str, ksr: StrictKsr, data: bytes
) -> None:
    outbox.throw(data)
    outbox.put(SHARD, report(1))
    drain.turn()
    assert inbox(client, prefix) == [report(1)]
    assert [level for level, _ in ksr.named("log")] == ["warn"]


def test_reports_wait_while_redis_is_away(
    outbox: OpenOutbox, tmp_path: Path, prefix: str, ksr: StrictKsr
) -> None:
    client = connect(f"unix://{tmp_path / 'redis.sock'}", timeout_s=1.0)
    drain = Drain(outbox.receiver, client, prefix, "node1")
    outbox.put(SHARD, report(1))
    drain.turn()
    ((level, text),) = ksr.named("log")
    assert level == "warn"
    assert "1 reports wait: Redis: " in str(text)
    server = RedisServer(tmp_path)
    outbox.put(SHARD, report(2))
    while not inbox(server.client, prefix):
        drain.turn()
    assert inbox(server.client, prefix) == [report(1), report(2)]
    client.close()
    server.stop()


@pytest.mark.parametrize(("limit", "value"), [("KEPT", 2), ("KEPT_BYTES", 130)])
def test_reports_that_do_not_fit_are_counted_and_alerted(
    outbox: OpenOutbox,
    drain: Drain,
    client: Client,
    prefix: str,
    ksr: StrictKsr,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    value: int,
) -> None:
    monkeypatch.setattr(module, limit, value)
    for number in range(5):
        outbox.put(SHARD, report(number))
    drain.turn()
    assert inbox(client, prefix) == [report(0), report(1)]
    (dropped,) = inbox(client, prefix, 0)
    assert isinstance(dropped, ReportsDropped)
    assert (dropped.node, dropped.count) == ("node1", 3)
    assert ksr.named("log") == [("err", "outbox: 3 reports were dropped\n")]
    outbox.put(SHARD, report(9))
    drain.turn()
    assert len(inbox(client, prefix, 0)) == 1


def test_reports_that_the_kernel_dropped_are_counted(
    outbox: OpenOutbox, drain: Drain, client: Client, prefix: str
) -> None:
    outbox.receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for number in range(100):
        outbox.put(SHARD, report(number, "x" * 500))
    drain.turn()
    outbox.put(SHARD, report(100))
    drain.turn()
    lost = [entry.count for entry in inbox(client, prefix, 0) if isinstance(entry, ReportsDropped)]
    kept = inbox(client, prefix)
    assert kept[-1] == report(100)
    assert 0 < len(kept) < 100
    assert sum(lost) == 101 - len(kept)


def test_what_waits_is_taken_to_another_redis(
    outbox: OpenOutbox, redis_server: RedisServer, client: Client, prefix: str, ksr: StrictKsr
) -> None:
    nowhere = connect("redis://127.0.0.1:1", timeout_s=0.1)
    drain = Drain(outbox.receiver, nowhere, "old:", "node1")
    outbox.put(SHARD, report(1))
    drain.turn()
    drain.move_to(redis_server.url, prefix, "node1")
    outbox.put(SHARD, report(2))
    drain.turn()
    assert inbox(client, prefix) == [report(1), report(2)]
