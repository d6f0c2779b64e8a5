"""The examples of docs/redis.md, as they stand there, as the users that they name."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from siprec.model import StreamState
from siprec.redis_acl import RedisUser
from siprec.sids import SHARDS
from siprec_control.redis_users import resolve_passwords
from siprec_control.state import StateFolder
from tests.scenarios.polling import poll
from tests.scenarios.studio import Studio

pytestmark = [pytest.mark.daemon, pytest.mark.usefixtures("no_errors")]

TEXT = (Path(__file__).parents[2] / "docs" / "redis.md").read_text("utf-8")
WITHIN_S = 60


def examples(language: str) -> list[str]:
    """Give the examples in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S)


def shell(studio: Studio, call_sid: str, *texts: str) -> "subprocess.Popen[str]":
    """Start bash with examples, one after the other, which must all succeed."""
    return subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", "\n".join(texts)],
        env={"PATH": "/usr/bin:/bin", "DIR": str(studio.stack.state), "CALL": call_sid},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(process: "subprocess.Popen[str]") -> str:
    """Wait for the end of a process, which must be a good one; give what it printed."""
    printed, complaints = process.communicate(timeout=WITHIN_S)
    assert (process.returncode, complaints) == (0, ""), printed
    return printed


def test_shell_commands_a_stream_and_one_read_sees_it(studio: Studio) -> None:
    commands, follow = examples("sh")
    call = studio.call(None)
    sid = call.call().sid
    (prelude, _) = commands.split("\n\n", 1)
    follower = shell(studio, sid, prelude, follow)
    with Redis.from_url(studio.stack.redis_url(RedisUser.ADMIN), decode_responses=True) as redis:
        poll(lambda: reads_of(redis, RedisUser.OPERATOR))
        # Said by the controller that reads commands, once it has shard 00.
        poll(lambda: redis.get("siprec:contract"))
    printed = output(shell(studio, sid, commands))
    assert printed.startswith("1\n")
    assert printed.count('"accepted":true') == 4
    assert f'"stream_sid":"SR{sid[2:26]}' in printed
    seen = output(follower)
    assert re.search(rf"siprec:\{{s{sid[2:4]}\}}:events", seen), seen
    assert call.stream("support", StreamState.STOPPED).order.parameters == (("Agent", "Bob"),)
    call.hang_up()


def reads_of(redis: Redis, user: RedisUser) -> bool:
    """Tell whether a client of that user waits in an XREAD of all shards."""
    lists = redis.client_list()
    return any(
        each["user"] == user and each["cmd"] == "xread" and "b" in each["flags"] for each in lists
    )


def test_python_follows_what_it_commands(studio: Studio, tmp_path: Path) -> None:
    (text,) = examples("python")
    script = tmp_path / "example.py"
    script.write_text(text)
    call = studio.call(None)
    sid = call.call().sid
    url = studio.stack.redis_url(RedisUser.OPERATOR)
    process = subprocess.Popen(
        [sys.executable, str(script), url, sid],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    answer, *events = output(process).splitlines()
    assert "'accepted': True" in answer
    wanted = ["siprec-started", "siprec-paused", "siprec-resumed", "siprec-stopped"]
    assert events == wanted
    assert call.stream("support", StreamState.STOPPED).error_code is None
    call.hang_up()


def test_example_reads_every_shard() -> None:
    assert f"{{0..{SHARDS - 1}}}" in examples("sh")[1]
    assert f"range({SHARDS})" in examples("python")[0]


def test_users_of_the_doc_are_those_there_are(studio: Studio) -> None:
    passwords = resolve_passwords(StateFolder(studio.stack.state))
    assert {user.value for user in passwords} == set(
        re.findall(r"^\| `(siprec-\w+)` \|", TEXT, re.M)
    )
