"""`siprec secrets`: keys come and go, what they sealed stays readable, and no key is shown."""

import json
import os
import time
from pathlib import Path

import pytest

from siprec.connector import Connector, Srs
from siprec.keys import ShardKeys
from siprec.record import to_json
from siprec.settings import RedisSettings, Runtime, Settings
from siprec.store import Store
from siprec.vault import VARIABLE, Vault, new_key, read_keys
from siprec_control.secret_keys import write_keys
from siprec_control.state import state_folder, write_runtime
from tests.control.conftest import Stack

CONNECTOR = Connector(
    account_sid="AC1", name="main", srs=(Srs(uri="sip:a"),), credential_value="geheim"
)


class Sealed:
    """A stack whose keys stand in a file, with a connector that has a secret."""

    def __init__(self, stack: Stack, file: Path) -> None:
        self.stack = stack
        self.file = file
        self.vault = Vault(file)
        self.store = Store(stack.redis, stack.prefix, self.vault)
        self.store.put_connector(CONNECTOR)

    @property
    def names(self) -> list[str]:
        """List the names of the keys in the file."""
        return [key.name for key in read_keys(self.file)]

    def settle(self) -> None:
        """Let the file be older than processes need to notice it."""
        past_s = time.time() - 60
        os.utime(self.file, (past_s, past_s))

    def put_stream(self, number: int) -> None:
        """Store what a controller sealed."""
        key = ShardKeys(self.stack.prefix, number).call("CA")
        self.stack.redis.hset(key, "SR", f'{{"sdp":"{self.vault.seal("a=crypto")}"}}')


@pytest.fixture
def sealed(stack: Stack, tmp_path: Path) -> Sealed:
    file = tmp_path / "secret.key"
    write_keys(file, [new_key("first")])
    settings = Settings(redis=RedisSettings(url=redis_url(stack), prefix=stack.prefix))
    runtime = Runtime(settings=settings, node="n", route_key="00", secret_key_file=str(file))
    write_runtime(state_folder(None), runtime)
    return Sealed(stack, file)


def redis_url(stack: Stack) -> str:
    return f"unix://{stack.redis.connection_pool.connection_kwargs['path']}"


def test_rotate_makes_a_key_that_seals_and_keeps_the_old_one(
    sealed: Sealed, capsys: pytest.CaptureFixture[str]
) -> None:
    (old,) = sealed.names
    assert sealed.stack.run("secrets", "rotate") == 0
    new, kept = sealed.names
    assert kept == old
    assert capsys.readouterr().out == f"key {new} seals from now on; records sealed anew: 1\n"
    write_keys(sealed.file, read_keys(sealed.file)[:1])
    assert Store(sealed.stack.redis, "t:", Vault(sealed.file)).all_connectors() == [CONNECTOR]


def test_old_keys_are_dropped_when_nothing_needs_them(
    sealed: Sealed, capsys: pytest.CaptureFixture[str]
) -> None:
    (old,) = sealed.names
    assert sealed.stack.run("secrets", "rotate", "--drop-old") == 0
    assert "there is only one key" in capsys.readouterr().out
    assert sealed.stack.run("secrets", "rotate", "--json") == 0
    new = json.loads(capsys.readouterr().out)
    assert new == {"key": sealed.names[0], "resealed": 1}
    sealed.settle()
    assert sealed.stack.run("secrets", "rotate", "--drop-old", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"dropped": [old]}
    assert sealed.names == [new["key"]]
    assert sealed.store.connector("AC1", "main") == CONNECTOR


def test_old_key_that_is_needed_is_not_dropped_and_says_by_what(
    sealed: Sealed, capsys: pytest.CaptureFixture[str]
) -> None:
    (old,) = sealed.names
    for number in range(7):
        sealed.put_stream(number)
    assert sealed.stack.run("secrets", "rotate") == 0
    sealed.settle()
    capsys.readouterr()
    assert sealed.stack.run("secrets", "rotate", "--drop-old") == 1
    error = capsys.readouterr().err
    assert f"key {old} is needed by {{s00}}:call:CA, " in error
    assert error.endswith("{s04}:call:CA and 2 more\n")
    assert len(sealed.names) == 2
    for number in range(1, 7):
        sealed.stack.redis.delete(ShardKeys("t:", number).call("CA"))
    assert sealed.stack.run("secrets", "rotate", "--drop-old") == 1
    assert capsys.readouterr().err == f"siprec: key {old} is needed by {{s00}}:call:CA\n"


def test_old_key_is_not_dropped_before_all_processes_know_the_new_one(sealed: Sealed) -> None:
    assert sealed.stack.run("secrets", "rotate") == 0
    begin_s = sealed.file.stat().st_mtime
    assert sealed.stack.run("secrets", "rotate", "--drop-old") == 0
    assert time.time() - begin_s >= 2


def test_show_tells_the_keys_and_what_they_sealed_and_no_key(
    sealed: Sealed, capsys: pytest.CaptureFixture[str]
) -> None:
    (old,) = sealed.names
    sealed.put_stream(1)
    assert sealed.stack.run("secrets", "show") == 0
    assert capsys.readouterr().out == (
        f"1 key in {sealed.file}; the first one seals\nKEY       SINCE  SEALED\n{old}  first  2\n"
    )
    write_keys(sealed.file, [new_key("second"), new_key()])
    assert sealed.stack.run("secrets", "show") == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == f"2 keys in {sealed.file}; the first one seals"
    assert out.splitlines()[4].split() == [old, "missing", "2"]
    assert sealed.stack.run("secrets", "show", "--json") == 0
    text = capsys.readouterr().out
    plain = json.loads(text)
    assert plain["place"] == str(sealed.file)
    assert [key["since"] for key in plain["keys"]] == ["second", ""]
    assert plain["missing"] == {old: 2}
    for key in read_keys(sealed.file):
        assert key.text not in out + text


def test_keys_changed_by_hand_seal_after_reseal(
    sealed: Sealed, capsys: pytest.CaptureFixture[str]
) -> None:
    write_keys(sealed.file, [new_key(), *read_keys(sealed.file)])
    assert sealed.stack.run("secrets", "reseal") == 0
    assert capsys.readouterr().out == "records sealed anew: 1\n"
    write_keys(sealed.file, read_keys(sealed.file)[:1])
    assert sealed.store.connector("AC1", "main") == CONNECTOR


def test_connector_that_cannot_be_sealed_anew_is_named(
    sealed: Sealed, capsys: pytest.CaptureFixture[str]
) -> None:
    (old,) = sealed.names
    write_keys(sealed.file, [new_key()])
    assert sealed.stack.run("secrets", "reseal") == 1
    assert capsys.readouterr().err == (
        f"siprec: connector 'main': credential_value: is sealed with key {old}, which is not in "
        f"{sealed.file} (others sealed anew: 0)\n"
    )


def test_keys_of_the_variable_are_not_changed_but_it_is_said_how(
    sealed: Sealed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (key,) = read_keys(sealed.file)
    monkeypatch.setenv(VARIABLE, key.text)
    settings = Settings(redis=RedisSettings(url=redis_url(sealed.stack), prefix="t:"))
    write_runtime(state_folder(None), Runtime(settings=settings, node="n", route_key="00"))
    assert sealed.stack.run("secrets", "rotate") == 1
    assert "the keys stand in $SIPREC_SECRET_KEYS: change them there" in capsys.readouterr().err
    assert sealed.stack.run("secrets", "show") == 0
    out = capsys.readouterr().out
    assert out.startswith("1 key in $SIPREC_SECRET_KEYS; ")
    assert key.text not in out
    assert sealed.stack.run("secrets", "reseal") == 0


def test_key_file_that_others_may_read_is_explained(
    sealed: Sealed, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed.file.chmod(0o644)
    for verb in ("show", "rotate"):
        assert sealed.stack.run("secrets", verb) == 1
        assert "has mode 0644, must have 0600" in capsys.readouterr().err


def test_commands_that_need_no_key_work_without(
    sealed: Sealed, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed.file.unlink()
    assert sealed.stack.run("call", "list") == 0
    assert sealed.stack.run("stream", "list") == 0
    plain = Connector(account_sid="AC2", name="plain", srs=(Srs(uri="sip:a"),))
    sealed.stack.redis.hset("t:connectors:AC2", "plain", to_json(plain))
    assert sealed.store.connector("AC2", "plain") == plain
