"""Users of the embedded Redis: each can do what it needs, and nothing else (ACL DRYRUN)."""

import json
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from siprec.redis_acl import RedisUser
from siprec.settings import LogLevel, Settings
from siprec_control.errors import StateError
from siprec_control.programs import REDIS_SERVER, redis_command
from siprec_control.redis_users import resolve_passwords
from siprec_control.runtime import resolve
from siprec_control.state import StateFolder
from tests.control.processes import Watched

U = RedisUser
SHARD = "siprec:{s2a}:"
CALL = SHARD + "call:CA2a"

# What only some may do: who, and which command.
ALLOWED: tuple[tuple[tuple[RedisUser, ...], str], ...] = (
    # Commands, and what is said of them
    ((U.OPERATOR, U.CONTROLLER), "XADD siprec:commands * v 1"),
    ((U.OPERATOR, U.CONTROL), f"BLPOP {SHARD}reply:1-0 1"),
    ((U.CONTROLLER,), "XREADGROUP GROUP g c STREAMS siprec:commands >"),
    ((U.CONTROLLER,), "XDEL siprec:commands 1-0"),
    ((U.CONTROLLER,), "XGROUP CREATE siprec:commands g 0 MKSTREAM"),
    ((U.CONTROLLER,), "SET siprec:contract 1"),
    ((U.CONTROLLER, U.CONTROL, U.OPERATOR, U.READER), "GET siprec:contract"),
    # What happens to calls
    ((U.PROXY, U.CONTROLLER, U.CONTROL), f"XADD {SHARD}inbox * t x d y"),
    ((U.CONTROLLER, U.CONTROL), f"XREAD STREAMS {SHARD}inbox 0"),
    ((U.CONTROLLER,), f"XTRIM {SHARD}inbox MINID 0"),
    ((U.CONTROLLER,), f"HSET {CALL} call x"),
    ((U.CONTROLLER,), f"DEL {SHARD}lease"),
    ((U.CONTROLLER,), f"EVAL x 2 {SHARD}epoch {SHARD}lease"),
    ((U.PROXY, U.CONTROLLER, U.CONTROL, U.OPERATOR, U.READER), f"HGETALL {CALL}"),
    # Who follows
    ((U.CONTROLLER, U.CONTROL, U.OPERATOR, U.READER), f"XREAD STREAMS {SHARD}events $"),
    ((U.CONTROLLER, U.CONTROL, U.OPERATOR, U.READER), f"XREAD STREAMS {SHARD}alerts $"),
    ((U.CONTROLLER,), f"XADD {SHARD}events * t x d y"),
    ((U.CONTROLLER,), f"XADD {SHARD}alerts * d y"),
    ((U.CONTROLLER, U.CONTROL, U.OPERATOR, U.READER), f"SMEMBERS {SHARD}live"),
    # Callbacks
    ((U.CONTROLLER, U.CONTROL), f"XREADGROUP GROUP g c STREAMS {SHARD}callbacks >"),
    ((U.CONTROLLER, U.CONTROL), f"XACK {SHARD}callbacks g 1-0"),
    ((U.CONTROL,), "EVAL x 1 siprec:callback-worker"),
    # What people set
    ((U.CONTROL,), "HSET siprec:numbers +1 x"),
    ((U.PROXY, U.CONTROL), "HMGET siprec:numbers +1"),
    ((U.CONTROL,), "HSET siprec:connectors:AC1 n x"),
    ((U.CONTROL,), "SADD siprec:accounts AC1"),
    ((U.CONTROL,), "HSET siprec:accounts:records AC1 x"),
    ((U.PROXY, U.CONTROL), "HGET siprec:accounts:records AC1"),
    ((U.CONTROL,), "HGET siprec:accounts:keys SK1"),
    ((U.PROXY, U.CONTROLLER, U.CONTROL), "HGET siprec:connectors:AC1 n"),
    ((U.CONTROLLER,), "HINCRBY siprec:turns:AC1 n 1"),
    ((U.CONTROLLER,), "HSET siprec:health k v"),
    ((U.PROXY, U.CONTROLLER, U.CONTROL, U.OPERATOR, U.READER), "HGETALL siprec:health"),
    # Between the roles
    ((U.CONTROLLER, U.CONTROL), "XADD siprec:actions:n * t x d y"),
    ((U.PROXY,), "XREAD STREAMS siprec:actions:n 0"),
    ((U.CONTROLLER,), "EVAL x 1 siprec:controllers"),
    ((U.CONTROLLER,), "EVAL x 1 siprec:relatives:n"),
    # Which key has sealed what
    ((U.CONTROL,), "SCAN 0"),
    ((U.CONTROL,), "XRANGE siprec:commands - +"),
    ((U.CONTROLLER, U.CONTROL), "HVALS siprec:relatives:n"),
    # What nobody needs
    ((), "XADD other:commands * v 1"),
    ((), "HGETALL other:numbers"),
    ((), "FLUSHALL"),
    ((), "CONFIG GET dir"),
    ((), "ACL LIST"),
    ((), "KEYS *"),
    ((), "MONITOR"),
    ((), "SHUTDOWN"),
    ((), "SCRIPT FLUSH"),
    ((), "CLIENT LIST"),
    ((), "DEBUG SLEEP 1"),
    ((), "REPLICAOF host 1"),
    ((), "PUBLISH channel x"),
    ((), f"RENAME {CALL} siprec:x"),
)


class Embedded:
    """The Redis of a state folder, started as `siprec run` does."""

    def __init__(self, folder: Path) -> None:
        self.state = StateFolder(folder)
        self.plan = resolve(Settings(), self.state)
        assert self.plan.redis_socket is not None
        self.socket = self.plan.redis_socket
        self.state.redis.mkdir()

    def command(self) -> list[str]:
        """Give the command line."""
        folder, acl = self.state.redis, self.state.redis_acl
        return redis_command(self.socket, folder, LogLevel.INFO, acl)

    def client(self, user: RedisUser) -> Any:
        """Connect as a user."""
        password = resolve_passwords(self.state)[user]
        return Redis(
            unix_socket_path=str(self.socket),
            username=user.value,
            password=password,
            decode_responses=True,
        )


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    redis = Embedded(tmp_path_factory.mktemp("state"))
    with Watched(redis.command()) as server:
        server.wait_for("ready to accept connections")
        yield redis
    redis.state.remove_folders()


def may(admin: Any, user: RedisUser, command: str) -> bool:
    """Tell whether a user may do that. A command that is no command is nobody's."""
    return bool(admin.execute_command("ACL", "DRYRUN", user, *command.split()) == "OK")


@pytest.mark.parametrize(("users", "command"), ALLOWED, ids=[command for _, command in ALLOWED])
def test_command_is_for_those_who_need_it(
    embedded: Embedded, users: tuple[RedisUser, ...], command: str
) -> None:
    with embedded.client(U.ADMIN) as admin:
        allowed = {user for user in RedisUser if may(admin, user, command)}
    assert allowed == {*users, U.ADMIN}


def test_script_does_not_reach_beyond_its_user(embedded: Embedded) -> None:
    with embedded.client(U.CONTROL) as control:
        script = f"return redis.call('SET', '{SHARD}epoch', '9')"
        with pytest.raises((NoPermissionError, ResponseError), match="can't access"):
            control.eval(script, 1, "siprec:numbers")


@pytest.mark.parametrize("user", RedisUser)
def test_user_comes_in_with_its_own_password_only(embedded: Embedded, user: RedisUser) -> None:
    with embedded.client(user) as client:
        assert client.ping()
    wrong = Redis(unix_socket_path=str(embedded.socket), username=user.value, password="x")
    with wrong, pytest.raises(AuthenticationError):
        wrong.ping()


def test_nobody_comes_in_without_a_name(embedded: Embedded) -> None:
    nobody = Redis(unix_socket_path=str(embedded.socket))
    with nobody, pytest.raises(AuthenticationError):
        nobody.ping()


def test_redis_starts_with_the_file_for_operators(tmp_path: Path) -> None:
    file = tmp_path / "redis.conf"
    shown = (Path(__file__).parents[2] / "deploy" / "redis-acl.conf").read_text("utf-8")
    file.write_text(shown.replace(">PASSWORD", ">secret"))
    socket = tmp_path / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path)]
    with Watched([REDIS_SERVER, str(file), *options]) as server:
        server.wait_for("ready to accept connections")
        for user in RedisUser:
            if user is not U.ADMIN:
                with Redis.from_url(f"unix://{user}:secret@{socket}") as client:
                    assert client.ping()


def test_what_scripts_and_transactions_wrote_is_there_after_a_restart(tmp_path: Path) -> None:
    embedded = Embedded(tmp_path)
    for _ in range(2):
        with Watched(embedded.command()) as server:
            server.wait_for("ready to accept connections")
            with embedded.client(U.CONTROL) as client:
                written = client.hkeys("siprec:numbers")
                pipe = client.pipeline(transaction=True)
                pipe.hset("siprec:numbers", "+1", "x").hset("siprec:numbers", "+2", "x").execute()
                script = "redis.call('HSET', KEYS[1], 3, 3) redis.call('HSET', KEYS[1], 4, 4)"
                client.eval(script, 1, "siprec:numbers")
            server.signal(signal.SIGTERM)
            server.wait_exit()
    assert set(written) == {"+1", "+2", "3", "4"}
    assert "NOPERM" not in server.output
    embedded.state.remove_folders()


@pytest.mark.parametrize("role", ["url", "proxy_url", "controller_url"])
def test_url_of_each_role_works(embedded: Embedded, role: str) -> None:
    url = getattr(embedded.plan.runtime.settings.redis, role)
    with Redis.from_url(url) as client:
        assert client.ping()


def test_passwords_are_kept_private_and_over_restarts(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    first = resolve(Settings(), state).runtime.settings.redis
    assert resolve(Settings(), state).runtime.settings.redis == first
    for file in (state.redis_passwords, state.redis_acl):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    passwords = json.loads(state.redis_passwords.read_text())
    assert set(passwords) == set(RedisUser)
    assert len(set(passwords.values())) == len(RedisUser)
    assert not [each for each in passwords.values() if each in state.redis_acl.read_text()]
    state.remove_folders()


def test_password_of_a_new_user_is_added_to_those_that_are_there(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.redis_passwords.write_text('{"siprec-reader": "kept"}')
    passwords = resolve_passwords(state)
    assert passwords[U.READER] == "kept"
    assert set(passwords) == set(RedisUser)


@pytest.mark.parametrize("text", ["", "[]", '{"somebody": "x"}', '{"siprec-reader": ""}'])
def test_file_that_holds_something_else_is_refused(tmp_path: Path, text: str) -> None:
    state = StateFolder(tmp_path)
    state.redis_passwords.write_text(text)
    with pytest.raises(StateError, match="does not hold passwords of Redis users"):
        resolve_passwords(state)


def test_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.redis_passwords.mkdir()
    with pytest.raises(StateError, match="Is a directory"):
        resolve_passwords(state)
