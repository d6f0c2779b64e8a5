"""The rules of Redis users: what the file for operators shows, and that none knows too much."""

import re
from pathlib import Path

import pytest

from siprec.redis_acl import RedisUser, acl_lines, rules
from siprec.store import connect
from tests.control.processes import RedisServer

DEPLOY = (Path(__file__).parents[2] / "deploy" / "redis-acl.conf").read_text("utf-8")
PEOPLE = (RedisUser.OPERATOR, RedisUser.READER)
OTHERS = [user for user in RedisUser if user is not RedisUser.ADMIN]


def words(user: RedisUser) -> set[str]:
    return set(re.split(r"[ ()]+", rules(user, "p:")))


def test_file_for_operators_has_the_rules_of_every_user() -> None:
    lines = [line for line in DEPLOY.splitlines() if line.startswith("user ")]
    assert lines == [f"user {user} on >PASSWORD {rules(user, 'siprec:')}" for user in OTHERS]


@pytest.mark.parametrize("user", RedisUser)
def test_redis_takes_the_rules_of_a_user(redis_server: RedisServer, user: RedisUser) -> None:
    # A selector, in parentheses, is one rule.
    words = re.findall(r"\([^)]*\)|\S+", rules(user, "p:"))
    with connect(redis_server.url) as client:
        client.execute_command("ACL", "SETUSER", f"try-{user}", *words)
        assert client.execute_command("ACL", "DELUSER", f"try-{user}") == 1


def test_acl_file_holds_no_password_and_locks_everybody_else_out() -> None:
    default, line = acl_lines("p:", {RedisUser.READER: "secret word"})
    assert default == "user default reset off allkeys allchannels +@all"
    assert line.startswith("user siprec-reader reset on #")
    assert line.endswith(rules(RedisUser.READER, "p:"))
    assert "secret" not in line


@pytest.mark.parametrize("user", OTHERS)
def test_user_has_commands_by_name_and_keys_below_the_prefix_only(user: RedisUser) -> None:
    assert "-@all" in words(user)
    assert not {word for word in words(user) if word.startswith("+@")}
    patterns = {word.partition("~")[2] for word in words(user) if "~" in word}
    assert patterns
    assert all(pattern.startswith("p:") for pattern in patterns)


def test_one_user_alone_may_do_everything() -> None:
    assert rules(RedisUser.ADMIN, "p:") == "allkeys allchannels +@all"


@pytest.mark.parametrize("user", PEOPLE)
def test_people_see_neither_connectors_nor_what_has_not_happened_yet(user: RedisUser) -> None:
    hidden = ("connectors", "accounts", "inbox", "callbacks", "undelivered")
    assert not [word for word in words(user) if any(name in word for name in hidden)]
    assert "+eval" not in words(user)
