"""Secrets of a connector that is used all day: whoever looks finds them nowhere.

They are looked for in what Redis is told (MONITOR), holds and writes to its files, in all logs, in
the state folder, and in what every command prints. rtpengine's own memory is not ours to search.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from siprec.model import Connector, Srs
from siprec.sids import call_sid_of
from siprec.vault import read_keys
from tests.scenarios.phone import answer, hang_up
from tests.scenarios.stack import Stack
from tests.scenarios.stage import RECORD, Stage, dial

pytestmark = pytest.mark.daemon

CREDENTIAL = "credential-8Qe1vXkTz5"
PASSWORD = "pässword-Zt7Lw2RmYc"
PRIVATE_KEY = "private-key-Hd4Nb9GqSf"
# As they stand, and as JSON and Redis would escape them.
SECRETS = (CREDENTIAL, "ssword-Zt7Lw2RmYc", PRIVATE_KEY)
END = "the test ends here"


class Monitor:
    """What MONITOR shows of a Redis, from beginning to end."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._lines: list[str] = []
        self._is_listening = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        assert self._is_listening.wait(10)

    def _listen(self) -> None:
        with self._redis.monitor() as monitor:
            self._is_listening.set()
            for command in monitor.listen():
                self._lines.append(command["command"])
                if END in command["command"]:
                    return

    def end(self) -> str:
        """Stop, and give all commands. May be called again."""
        if self._thread.is_alive():
            self._redis.echo(END)
            self._thread.join(20)
        assert not self._thread.is_alive()
        return "\n".join(self._lines)


@dataclass
class Watched:
    """A stack whose Redis is watched from before the first secret on."""

    stack: Stack
    redis: Any
    monitor: Monitor

    @property
    def key_file(self) -> Path:
        """Give the file with the keys, the one place where they may be."""
        return Path(self.stack.runtime.secret_key_file)

    def printed(self, *commands: str) -> str:
        """Give all that commands print, for people and as JSON, errors included."""
        texts: list[str] = []
        for command in commands:
            for more in ((), ("--json",)):
                done = self.stack.cli(*command.split(), *more)
                texts += [done.stdout, done.stderr]
        return "\n".join(texts)

    def stored(self) -> str:
        """Give the values of all keys in Redis."""
        read = {
            "string": self.redis.get,
            "hash": self.redis.hgetall,
            "list": lambda key: self.redis.lrange(key, 0, -1),
            "stream": self.redis.xrange,
            "set": self.redis.smembers,
            "zset": lambda key: self.redis.zrange(key, 0, -1),
        }
        keys = self.redis.keys("*")
        return "\n".join(f"{key} {read[self.redis.type(key)](key)}" for key in keys)

    def files(self) -> str:
        """Give what is in the files of the state folder, Redis's own and new ones included."""
        self.redis.save()
        files = [path for path in self.stack.state.rglob("*") if path.is_file()]
        assert self.key_file in files
        assert any(path.suffix == ".aof" for path in files)
        texts = [path.read_bytes() for path in files if path != self.key_file]
        return b"\n".join(texts).decode("utf-8", "replace")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as stage:
        yield stage


@pytest.fixture
def watched(stage: Stage) -> Iterator[Watched]:
    url = stage.stack.runtime.settings.redis.url
    assert url
    with Redis.from_url(url, decode_responses=True, encoding_errors="replace") as redis:
        monitor = Monitor(redis)
        yield Watched(stage.stack, redis, monitor)
        monitor.end()


def put_connectors(stage: Stage) -> None:
    """Set the connector of the calls, and one with the key of a client certificate."""
    account = stage.stack.runtime.settings.account.sid
    assert account
    default = Connector(
        account_sid=account,
        name="Default",
        srs=(Srs(uri=stage.srs.uri),),
        credential_header="X-Key",
        credential_value=CREDENTIAL,
        digest_user="us",
        digest_password=PASSWORD,
    )
    stage.stack.store.put_connector(default)
    other = Connector(account_sid=account, name="Other", srs=default.srs, tls_key=PRIVATE_KEY)
    stage.stack.store.put_connector(other)
    assert stage.stack.store.connectors(account) == [default, other]


def record_call(stage: Stage) -> str:
    """Let a call be recorded from its answer to its end; give the stream's sid."""
    caller, callee = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee)))
    answer(caller, callee)
    stream = stage.wait_recording(caller)
    hang_up(caller, callee)
    stage.wait_recorded(caller)
    return stream.sid


def rotate(watched: Watched) -> str:
    """Change the key, and remove the old one as soon as nothing needs it; give what is printed."""
    texts = [watched.stack.cli("secrets", "rotate").stdout]
    dropped = watched.stack.cli("secrets", "rotate", "--drop-old")
    assert dropped.stdout.startswith("dropped: ")
    return "\n".join([*texts, dropped.stdout])


def commands(stream_sid: str) -> list[str]:
    """List the commands that show something."""
    return [
        "connector list",
        "connector show Default",
        "connector show Other",
        "number list",
        "call list --all",
        f"call show {call_sid_of(stream_sid)}",
        "stream list",
        f"stream show {stream_sid}",
        "alert list",
        "secrets show",
    ]


def test_secrets_of_connectors_stand_nowhere_in_clear(stage: Stage, watched: Watched) -> None:
    keys = read_keys(watched.key_file)
    put_connectors(stage)
    sids = [record_call(stage)]
    printed = rotate(watched)
    keys += read_keys(watched.key_file)
    sids.append(record_call(stage))
    printed += watched.printed(*commands(sids[-1]))
    places = {
        "MONITOR": watched.monitor.end(),
        "Redis": watched.stored(),
        "files": watched.files(),
        "logs": stage.stack.log,
        "commands": printed,
        "runtime.json": (stage.stack.state / "runtime.json").read_text(),
    }
    secrets = [*SECRETS, *(key.text for key in keys)]
    assert len(secrets) == 5
    found = [
        (name, secret) for name, text in places.items() for secret in secrets if secret in text
    ]
    assert found == []
    # Those who look in the wrong place find nothing, either.
    assert all("sealed:1:" in places[name] for name in ("MONITOR", "Redis", "files"))
    assert all(
        sid in places[name] for sid in sids for name in ("MONITOR", "Redis", "files", "logs")
    )
    assert sids[-1] in printed
