"""Accounts and keys in a real Redis: kept, listed, deleted, their secrets unreadable there."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from siprec.accounts import Account, ApiKey, Scope, secret_digest
from siprec.record import RecordError
from siprec.seals import Seals
from siprec.store import Store, connect
from siprec.vault import Vault, new_key
from tests.control.processes import RedisServer

FIRST = Account(sid="AC" + "1" * 32, name="first", created_ms=1, token="very secret")
OTHER = Account(sid="AC" + "0" * 32, name="other", created_ms=2, token="x")
KEY = ApiKey(
    sid="SK" + "3" * 32,
    account_sid=FIRST.sid,
    name="robot",
    scope=Scope.READ,
    created_ms=3,
    digest=secret_digest("s"),
)


@pytest.fixture
def store(redis_server: RedisServer, prefix: str, vault: Vault) -> Iterator[Store]:
    with Store.connect(redis_server.url, prefix, vault) as opened:
        yield opened


def test_accounts_are_kept_and_listed_oldest_first(store: Store) -> None:
    assert store.accounts.accounts() == []
    store.accounts.put(OTHER)
    store.accounts.put(FIRST)
    assert store.accounts.accounts() == [FIRST, OTHER]
    assert store.accounts.account(FIRST.sid) == FIRST
    assert store.account_token(FIRST.sid) == "very secret"
    assert store.account_token("AC" + "9" * 32) is None


def test_no_secret_stands_in_redis(store: Store, redis_server: RedisServer, prefix: str) -> None:
    store.accounts.put(FIRST)
    store.accounts.put_key(KEY)
    with connect(redis_server.url) as client:
        kept = str(client.hgetall(f"{prefix}accounts:records"))
    assert "very secret" not in kept
    assert "sealed:1:" in kept


def test_who_logs_in_is_found_by_sid(store: Store) -> None:
    store.accounts.put(FIRST)
    store.accounts.put_key(KEY)
    assert store.accounts.who(FIRST.sid) == FIRST
    assert store.accounts.who(KEY.sid) == KEY
    for unknown in ("AC" + "9" * 32, "SK" + "9" * 32, "", "CA" + "1" * 32):
        assert store.accounts.who(unknown) is None


def test_key_is_deleted_by_its_own_account_only(store: Store) -> None:
    store.accounts.put_key(KEY)
    store.accounts.put_key(replace(KEY, sid="SK" + "4" * 32, account_sid=OTHER.sid))
    assert store.accounts.keys(FIRST.sid) == [KEY]
    assert not store.accounts.delete_key(OTHER.sid, KEY.sid)
    assert store.accounts.delete_key(FIRST.sid, KEY.sid)
    assert not store.accounts.delete_key(FIRST.sid, KEY.sid)


def test_account_goes_with_its_keys(store: Store) -> None:
    store.accounts.put(FIRST)
    store.accounts.put_key(KEY)
    assert store.accounts.delete(FIRST.sid)
    assert store.accounts.who(KEY.sid) is None
    assert not store.accounts.delete(FIRST.sid)


def test_token_whose_key_is_lost_is_named(
    store: Store, redis_server: RedisServer, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store.accounts.put(FIRST)
    file = tmp_path_factory.mktemp("keys") / "secret.key"
    file.touch(mode=0o600)
    file.write_text(new_key().text)
    with Store.connect(redis_server.url, prefix, Vault(file)) as other:
        with pytest.raises(RecordError, match=f"account {FIRST.sid}: token") as caught:
            other.account_token(FIRST.sid)
        assert "very secret" not in str(caught.value)
        with connect(redis_server.url) as client:
            done = Seals(client, prefix, Vault(file)).reseal()
    assert done.count == 0
    assert f"account '{FIRST.sid}': token" in done.faults[0]


def test_token_is_sealed_anew_with_a_new_key(
    store: Store, redis_server: RedisServer, prefix: str, tmp_path: Path
) -> None:
    store.accounts.put(FIRST)
    old = (tmp_path / "secret.key").read_text()
    fresh = tmp_path / "fresh.key"
    fresh.touch(mode=0o600)
    fresh.write_text(f"{new_key().text}\n{old}\n")
    vault = Vault(fresh)
    with connect(redis_server.url) as client:
        assert Seals(client, prefix, vault).reseal().count == 1
    with Store.connect(redis_server.url, prefix, vault) as again:
        assert again.account_token(FIRST.sid) == FIRST.token
