"""Secrets of connectors, and keys of SRTP, of a busy day: whoever looks finds them nowhere.

They are looked for in what Redis is told (MONITOR), holds and writes to its files, in all logs at
level debug, in the state folder, and in what every command prints. rtpengine's own memory is not
ours to search. Recorders write down the keys that they see, elsewhere.
"""

import io
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis

from siprec.model import Stream
from siprec.redis_acl import RedisUser
from siprec.settings import LogLevel
from siprec.sids import SHARDS, call_sid_of
from siprec.store import StoreUnavailable
from siprec.vault import read_keys
from siprec_control import cli
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.secure_phone import SUITE
from tests.scenarios.secure_stage import SecureStage
from tests.scenarios.srs import ReferenceSrs, Session
from tests.scenarios.stack import Stack
from tests.scenarios.stage import dial
from tests.scenarios.talk import Talk

pytestmark = pytest.mark.daemon

CREDENTIAL = "credential-8Qe1vXkTz5"
PASSWORD = "pässword-Zt7Lw2RmYc"
# JSON and Redis would write its first letters in other ways.
END_OF_PASSWORD = "ssword-Zt7Lw2RmYc"
KEY = re.compile(r"inline:([A-Za-z0-9+/=]{20,})")
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
        where = ["--config", str(self.stack.config), "--state", str(self.stack.state)]
        printed = io.StringIO()
        with redirect_stdout(printed), redirect_stderr(printed):
            for command in commands:
                for more in ((), ("--json",)):
                    cli.main([*command.split(), *more, *where])
        return printed.getvalue()

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
def stage(tmp_path: Path) -> Iterator[SecureStage]:
    with SecureStage(tmp_path, log_level=LogLevel.DEBUG) as stage:
        yield stage


@pytest.fixture
def watched(stage: SecureStage) -> Iterator[Watched]:
    url = stage.stack.redis_url(RedisUser.ADMIN)
    with Redis.from_url(url, decode_responses=True, encoding_errors="replace") as redis:
        monitor = Monitor(redis)
        yield Watched(stage.stack, redis, monitor)
        monitor.end()


class Guarded:
    """Recorders that want every secret there is, their connectors, and the keys that they saw."""

    def __init__(self, stage: SecureStage, folder: Path) -> None:
        self._stage = stage
        self._folder = folder
        self._keys = folder / "keys"
        self.good = self._recorder("--digest-all", "--reinvite-after", "0.2")
        self.careless = self._recorder("--answer-avp")
        by_tls = [*self._login(), *stage.ca.trust(), *stage.ca.login()]
        by_tcp = [*self._login(), "--keys-in-clear"]
        self.starts = [
            stage.connect(self.good.secure_uri, options=by_tls),
            stage.connect(f"{self.good.uri};secure=true;transport=tcp", options=by_tcp),
            stage.connect(self.careless.secure_uri, options=by_tls),
        ]

    def _recorder(self, *switches: str) -> ReferenceSrs:
        who = ["--digest", f"us:{PASSWORD}", "--require-header", f"X-Key:{CREDENTIAL}"]
        client = ["--tls-client-ca", self._stage.ca.file("ca.pem")]
        return self._stage.secure_recorder(*who, *client, "--keys", str(self._keys), *switches)

    def _login(self) -> list[str]:
        header = ["--credential-header", "X-Key", "--digest-user", "us"]
        credential = ["--credential-file", self._file("credential", CREDENTIAL)]
        password = ["--digest-password-file", self._file("password", PASSWORD)]
        # With one suite, that of the phones, recorders would get the keys of the call.
        return [*header, *credential, *password, "--suites", f"{SUITE},AEAD_AES_256_GCM"]

    def _file(self, name: str, text: str) -> str:
        path = self._folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def secrets(self) -> list[str]:
        """List what the connectors hold; of the client's key each line."""
        lines = Path(self._stage.ca.file("client.key")).read_text().splitlines()
        return [CREDENTIAL, END_OF_PASSWORD, *(line for line in lines if "-----" not in line)]

    def keys(self) -> set[str]:
        """Give the keys of SRTP that came to the recorders, or were theirs."""
        return set(self._keys.read_text().split())


def keys_in(*texts: str) -> set[str]:
    """Give the keys of SRTP in SDPs."""
    return {key for text in texts for key in KEY.findall(text)}


def wait_states(stage: SecureStage, caller: Phone, *states: str) -> list[Stream]:
    """Wait until the streams of a call, oldest first, are in these states."""

    def reached() -> list[Stream] | None:
        with suppress(StoreUnavailable):
            streams = stage.streams(caller)[::-1]
            if [stream.state.value for stream in streams] == list(states):
                return streams
        return None

    streams = poll(reached, 30, why=lambda: f"{stage.streams(caller)}\n{stage.stack.log}")
    assert streams is not None
    return streams


def reinvited(session: Session) -> int | None:
    """Give the status of the answer to the recorder's re-INVITE, which repeats its key."""
    sent = [entry for entry in session.summary["sent_requests"] if entry["method"] == "INVITE"]
    return sent[0]["status"] if sent else None


def restart_src(stack: Stack) -> None:
    """Kill the recording client, and wait until another has taken over."""
    old = stack.pids("src")
    for pid in old:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    poll(lambda: (new := stack.pids("src")) and new[0] != old[0])
    poll(lambda: stack.store.leased_shards() == SHARDS, 30)


def rotate(watched: Watched) -> str:
    """Seal with a new key, keep the old one as long as it is needed; give what is printed."""
    done = watched.stack.cli("secrets", "rotate")
    kept = watched.stack.cli("secrets", "rotate", "--drop-old", code=1)
    assert ":call:CA" in kept.stderr
    return done.stdout + done.stderr + kept.stdout + kept.stderr


def commands(streams: list[Stream]) -> list[str]:
    """List the commands that show something."""
    return [
        "connector list",
        *(f"connector show {stream.order.name}" for stream in streams),
        "number list",
        "call list --all",
        f"call show {call_sid_of(streams[0].sid)}",
        "stream list",
        *(f"stream show {stream.sid}" for stream in streams),
        "alert list",
        "callback list",
        "edge list",
        "account list",
        "account show",
        "key list",
        "secrets show",
    ]


def answers(stack: Stack, streams: list[Stream]) -> str:
    """Give all that the API shows of connectors, the call, its streams and its alerts."""
    account = stack.json("account", "show", "--token")
    base, call_sid = f"/2010-04-01/Accounts/{account['sid']}", call_sid_of(streams[0].sid)
    paths = [
        f"{base}/Connectors.json",
        *(f"{base}/Connectors/{stream.order.connector_name}.json" for stream in streams),
        f"{base}/Calls/{call_sid}.json",
        f"{base}/Calls/{call_sid}/Siprec.json",
        *(f"{base}/Calls/{call_sid}/Siprec/{stream.sid}.json" for stream in streams),
        "/v1/Alerts",
    ]
    shown = []
    for path in paths:
        url = f"http://127.0.0.1:{stack.api_port}{path}"
        answer = requests.get(url, auth=(account["sid"], account["token"]), timeout=30)
        assert answer.status_code == 200, (path, answer.text)
        shown.append(answer.text)
    return "\n".join(shown)


def pause_and_resume(stage: SecureStage, caller: Phone, stream: Stream) -> None:
    """Let a stream wait a moment, which needs two re-INVITEs with its keys."""
    stage.stack.cli("stream", "pause", stream.sid)
    wait_states(stage, caller, "paused", "recording", "failed")
    stage.stack.cli("stream", "resume", stream.sid)
    wait_states(stage, caller, "recording", "recording", "failed")


def test_secrets_stand_nowhere_in_clear(
    stage: SecureStage, watched: Watched, tmp_path: Path
) -> None:
    guarded = Guarded(stage, tmp_path)
    caller, callee = stage.secure_phone("alice"), stage.secure_phone("bob")
    caller.invite(stage.number(*guarded.starts, dial(callee)))
    messages = answer(caller, callee)
    sealing = read_keys(watched.key_file)
    with Talk(caller, callee) as talking:
        wait_states(stage, caller, "recording", "recording", "failed")
        guarded.good.wait_for(lambda found: [reinvited(session) for session in found] == [200] * 2)
        pause_and_resume(stage, caller, stage.streams(caller)[-1])
        printed = rotate(watched)
        restart_src(stage.stack)
        talking.go_on()
    assert talking.lost == ([], [])
    hang_up(caller, callee)
    streams = wait_states(stage, caller, "stopped", "stopped", "failed")
    for stream in streams[:2]:
        session = stage.wait_session(stream, guarded.good)
        assert (session.ended_by, session.problems) == ("src-bye", [])
    stage.wait_call_over(caller)
    printed += watched.printed(*commands(streams))
    places = {
        "MONITOR": watched.monitor.end(),
        "Redis": watched.stored(),
        "files": watched.files(),
        "logs": stage.stack.log,
        "commands": printed,
        "API": answers(stage.stack, streams),
        "runtime.json": (stage.stack.state / "runtime.json").read_text(),
    }
    call = keys_in(caller.sdp(), callee.sdp(), *(message.body for message in messages))
    sealing += read_keys(watched.key_file)
    secrets = {*guarded.secrets(), *guarded.keys(), *call, *(key.text for key in sealing)}
    found = [
        (name, secret) for name, text in places.items() for secret in secrets if secret in text
    ]
    assert found == []
    # Those who look for them with the wrong eyes find nothing, either.
    kept = keys_in(*(leg.answer for stream in streams[:2] for leg in stream.legs))
    assert kept
    assert kept <= guarded.keys()
    assert len(guarded.keys() - call) == 10
    assert all("sealed:1:" in places[name] for name in ("MONITOR", "Redis", "files"))
    sids = [stream.sid for stream in streams]
    readable = ("MONITOR", "Redis", "files", "logs", "commands")
    assert all(sid in places[name] for sid in sids for name in readable)
