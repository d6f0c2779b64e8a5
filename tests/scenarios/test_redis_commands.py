"""Straight through Redis: what operators command with XADD happens, once, or is refused aloud."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from siprec.model import StreamState, Track
from siprec.orders import BAD_FIELD
from siprec.redis_acl import RedisUser
from siprec.verdict import Verdict
from tests.scenarios.polling import poll
from tests.scenarios.studio import Studio

pytestmark = [pytest.mark.daemon, pytest.mark.usefixtures("no_errors")]

WITHIN_S = 20


class Operator:
    """Commands, and reads the answers to, what docs/redis.md tells operators."""

    def __init__(self, redis: Any) -> None:
        self.redis = redis

    def command(self, **fields: str) -> str:
        """Append a command; give the id of its entry."""
        return str(self.redis.xadd("siprec:commands", {"v": "1", **fields}))

    def answer(self, sid: str, request_id: str) -> Verdict:
        """Wait for the answer to a command about that call or stream ("": about none)."""
        shard = sid[2:4] or "00"
        popped = self.redis.blpop(f"siprec:{{s{shard}}}:reply:{request_id}", WITHIN_S)
        assert popped is not None, f"no answer to {request_id}"
        return Verdict(**{"text": "", **json.loads(popped[1])})


@pytest.fixture
def operator(studio: Studio) -> Iterator[Operator]:
    url = studio.stack.redis_url(RedisUser.OPERATOR)
    with Redis.from_url(url, decode_responses=True) as redis:
        yield Operator(redis)


def test_stream_is_started_paused_resumed_and_stopped(studio: Studio, operator: Operator) -> None:
    call = studio.call(None)
    sid = call.call().sid
    started = {"connector": "Second", "track": "both_tracks", "parameter.Agent": "Bob"}
    entry = operator.command(command="start", call=sid, name="by hand", **started)
    verdict = operator.answer(sid, entry)
    assert (verdict.accepted, verdict.text) == (True, "accepted")
    stream = call.recording("by hand")
    assert stream.sid == verdict.stream_sid
    studio.hear(stream, 0.5, studio.second)

    entry = operator.command(command="pause", stream=stream.sid, track="inbound_track")
    assert operator.answer(sid, entry).accepted
    paused = poll(lambda: call.recording("by hand").paused)
    assert tuple(paused or ()) == Track.INBOUND.sides

    entry = operator.command(command="resume", call=sid, name="by hand")
    assert operator.answer(sid, entry).accepted
    poll(lambda: call.recording("by hand").paused == ())

    entry = operator.command(command="stop", call=sid, name="by hand")
    assert operator.answer(sid, entry).accepted
    stopped = call.stream("by hand", StreamState.STOPPED)
    assert studio.over(stopped, studio.second).parameters == [("Agent", "Bob")]
    call.hang_up()
    assert call.alerts() == []


def test_start_and_stop_in_one_breath_happen_in_order(studio: Studio, operator: Operator) -> None:
    call = studio.call(None)
    sid = call.call().sid
    entries = [
        operator.command(command=command, call=sid, name=f"quick {n}")
        for n in range(3)
        for command in ("start", "stop")
    ]
    assert [operator.answer(sid, entry).accepted for entry in entries] == [True] * 6
    call.hang_up()
    assert {stream.state for stream in call.streams()} == {StreamState.STOPPED}
    assert len(call.streams()) == 3


def test_command_sent_twice_with_one_id_happens_once(studio: Studio, operator: Operator) -> None:
    call = studio.call(None)
    sid = call.call().sid
    for _ in range(2):
        operator.command(command="start", call=sid, track="inbound_track", id=f"once-{sid}")
    last = operator.command(command="start", call=sid, track="inbound_track", name="last")
    assert operator.answer(sid, f"once-{sid}").accepted
    assert operator.answer(sid, last).accepted
    assert len(call.streams()) == 2
    call.hang_up()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"command": "stop", "stream": "SR1"}, "stream: 'SR1' is not the sid of a stream"),
        ({"command": "dance"}, "command: 'dance' is not one of start, stop, pause, resume"),
        ({"v": "9", "command": "stop"}, "v: '9' is not 1"),
    ],
)
def test_malformed_command_is_refused_with_an_alert(
    studio: Studio, operator: Operator, fields: dict[str, str], why: str
) -> None:
    entry = operator.command(**fields)
    verdict = operator.answer("", entry)
    assert (verdict.accepted, verdict.code) == (False, BAD_FIELD)
    assert why in verdict.text
    alerts = studio.stack.store.alerts(1000)
    (alert,) = [alert for alert in alerts if entry in alert.text]
    assert (alert.code, alert.text) == (BAD_FIELD, verdict.text)


def test_bad_command_about_a_call_is_told_with_the_call(studio: Studio, operator: Operator) -> None:
    call = studio.call(None)
    sid = call.call().sid
    entry = operator.command(command="start", call=sid, track="all")
    verdict = operator.answer(sid, entry)
    assert "track: 'all' is not one of inbound_track" in verdict.text
    (alert,) = call.alerts()
    assert (alert.account_sid, alert.text) == (call.call().account_sid, verdict.text)
    call.hang_up()


def test_bytes_that_are_no_text_are_refused_and_the_next_command_works(
    studio: Studio, operator: Operator
) -> None:
    call = studio.call(None)
    sid = call.call().sid
    fields = {"v": "1", "command": "start", "call": sid, "name": b"\xff\xfe", "id": f"raw-{sid}"}
    operator.redis.xadd("siprec:commands", fields)
    assert "name: holds bytes that are not UTF-8" in operator.answer(sid, f"raw-{sid}").text
    entry = operator.command(command="start", call=sid, name="next")
    assert operator.answer(sid, entry).accepted
    call.hang_up()


def test_order_nobody_can_follow_is_refused(studio: Studio, operator: Operator) -> None:
    call = studio.call(None)
    sid = call.call().sid
    entry = operator.command(command="stop", call=sid, name="nobody")
    verdict = operator.answer(sid, entry)
    assert (verdict.accepted, verdict.code) == (False, 31952)
    assert verdict.text == f"no stream 'nobody' of {sid} on a live call"
    call.hang_up()


def test_commands_are_gone_when_they_are_done(studio: Studio, operator: Operator) -> None:
    call = studio.call(None)
    sid = call.call().sid
    operator.answer(sid, operator.command(command="start", call=sid, name="gone"))
    poll(lambda: operator.redis.xlen("siprec:commands") == 0)
    with Redis.from_url(studio.stack.redis_url(RedisUser.ADMIN), decode_responses=True) as redis:
        (group,) = redis.xinfo_groups("siprec:commands")
    assert (group["pending"], group["consumers"]) == (0, 1)
    assert operator.redis.get("siprec:contract") == "1"
    call.hang_up()
