"""A state folder as a running stack keeps it, over a real redis-server."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from siprec.keys import ShardKeys
from siprec.model import Call, Party, Stream
from siprec.record import to_json
from siprec.settings import AccountSettings, RedisSettings, Runtime, Settings
from siprec.sids import SHARDS, shard_of_sid
from siprec.vault import VARIABLE, Vault, new_key
from siprec.verdict import Verdict
from siprec_control import cli
from siprec_control.state import locked, state_folder, write_runtime
from tests.control.processes import RedisServer

ACCOUNT = "AC" + "1" * 32
CALL = Call(
    sid="CA05" + "a" * 22 + "00000000",
    account_sid=ACCOUNT,
    sip_call_id="abc@host",
    number="+15550001",
    caller=Party(name="Ann \x1b[2J", uri="sip:ann@example.com", tag="1"),
    callee=Party(uri="sip:bob@example.com", tag="2"),
    started_ms=1_700_000_000_000,
    answered_ms=1_700_000_001_000,
)


class Stack:
    """What the command line sees of a running stack, and a controller that obeys the tests."""

    prefix = "t:"

    def __init__(self, redis: RedisServer) -> None:
        self.redis: Any = redis.client
        self.vault = Vault(None)
        self.orders: list[dict[str, Any]] = []
        self._threads: list[threading.Thread] = []

    def run(self, *words: str) -> int:
        """Run `siprec` with these words; give its exit code."""
        return cli.main(words)

    def put(self, record: Call | Stream) -> None:
        """Store a call or stream as its controller does."""
        call_sid = record.sid if isinstance(record, Call) else record.call_sid
        keys = ShardKeys(self.prefix, shard_of_sid(call_sid))
        field = "call" if isinstance(record, Call) else record.sid
        self.redis.hset(keys.call(call_sid), field, to_json(record, self.vault.seal))
        self.redis.sadd(keys.live, call_sid)

    def answer(self, verdict: Verdict, then: Stream | None = None) -> None:
        """Answer the next order on any shard with `verdict`, after storing `then`."""
        inboxes = {ShardKeys(self.prefix, shard).inbox: "0" for shard in range(SHARDS)}

        def obey() -> None:
            ((inbox, entries),) = self.redis.xread(inboxes, count=1, block=10_000)
            if then is not None:
                self.put(then)
            request = json.loads(entries[0][1]["d"])
            self.orders.append(request)
            shard = int(inbox.split("{s")[1][:2], 16)
            key = ShardKeys(self.prefix, shard).reply(request["request_id"])
            self.redis.rpush(key, to_json(verdict))

        thread = threading.Thread(target=obey)
        thread.start()
        self._threads.append(thread)

    def join(self) -> None:
        """Wait for the answers to be given."""
        for thread in self._threads:
            thread.join()


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """Hold a state folder as `siprec run` does; commands find it through SIPREC_STATE.

    The key of its vault stands in the environment.
    """
    server = RedisServer(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIPREC_CONFIG", raising=False)
    monkeypatch.setenv(VARIABLE, new_key().text)
    monkeypatch.setenv("SIPREC_STATE", str(tmp_path / "state"))
    settings = replace(
        Settings(),
        redis=RedisSettings(url=server.url, prefix=Stack.prefix),
        account=AccountSettings(sid=ACCOUNT),
    )
    state = state_folder(None)
    with locked(state):
        write_runtime(state, Runtime(settings=settings, node="here", route_key="00"))
        running = Stack(server)
        yield running
        running.join()
    server.stop()
