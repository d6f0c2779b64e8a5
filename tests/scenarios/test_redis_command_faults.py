"""Commands while those who carry them out die: each takes effect once, and in order."""

import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis

from siprec.redis_acl import RedisUser
from siprec.sids import SHARDS
from siprec.store import StoreUnavailable
from tests.scenarios.phone import answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.stage import Stage, dial

pytestmark = pytest.mark.daemon

NAMES = [f"stream {n}" for n in range(12)]


def test_commands_given_while_controllers_are_killed_happen_once_each(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        caller, callee = stage.pair()
        caller.invite(stage.number(dial(callee)))
        answer(caller, callee)
        sid = stage.wait_call(caller).sid
        store = stage.stack.store
        with Redis.from_url(stage.stack.redis_url(RedisUser.OPERATOR)) as redis:
            for index, name in enumerate(NAMES):
                if index == len(NAMES) // 2:
                    kill_controllers(stage)
                for command in ("start", "stop"):
                    fields = {"v": "1", "command": command, "call": sid, "name": name}
                    redis.xadd("siprec:commands", fields)
            poll(lambda: redis.xlen("siprec:commands") == 0, 60)
        poll(lambda: all_shards_are_owned(stage), 60)

        def are_over() -> bool:
            streams = store.streams(sid)
            return len(streams) >= len(NAMES) and all(each.state.is_final for each in streams)

        poll(are_over, 60, why=lambda: str(store.streams(sid)))
        assert Counter(each.order.name for each in store.streams(sid)) == Counter(NAMES)
        assert stage.alerts(caller) == []
        hang_up(caller, callee)
        stage.wait_call_over(caller)


def kill_controllers(stage: Stage) -> None:
    """Kill all of the SRC role at once."""
    pids = stage.stack.pids("src")
    assert pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def all_shards_are_owned(stage: Stage) -> bool:
    """Tell whether controllers own every shard."""
    with suppress(StoreUnavailable):
        return stage.stack.store.leased_shards() == SHARDS
    return False
