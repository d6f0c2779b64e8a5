"""What is sealed by which key, and connectors that are sealed anew."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siprec.connector import Connector, Srs
from siprec.inbox import SrsReplied
from siprec.keys import connectors_key
from siprec.model import Call, StreamState
from siprec.seals import BATCH, Seals
from siprec.shard_store import ShardStore
from siprec.store import Client, Store
from siprec.vault import Key, Vault, keys_in, new_key
from tests.control.processes import RedisServer
from tests.siprec.keyed import CRYPTO, with_keys
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, NOW_MS, stream_in

OLD, NEW = new_key(), new_key()
SHARD = 0x2A
CALL = Call(sid=CALL_SID, account_sid=ACCOUNT_SID, sip_call_id="a@b", answered_ms=NOW_MS)


def vault_with(folder: Path, *keys: Key) -> Vault:
    """Give a vault with these keys, newest first."""
    file = folder / "-".join(key.name for key in keys)
    file.touch(mode=0o600)
    file.write_text("\n".join(key.text for key in keys))
    return Vault(file)


def connector(name: str, password: str = "geheim", account: str = "AC1") -> Connector:
    srs = (Srs(uri="sip:a"),)
    return Connector(account_sid=account, name=name, srs=srs, digest_password=password)


@pytest.fixture
def client(redis_server: RedisServer) -> Client:
    return redis_server.client


@pytest.fixture
def old(tmp_path: Path) -> Vault:
    return vault_with(tmp_path, OLD)


@pytest.fixture
def both(tmp_path: Path) -> Vault:
    return vault_with(tmp_path, NEW, OLD)


def test_connectors_of_all_accounts_are_sealed_with_the_newest_key(
    client: Client, prefix: str, old: Vault, both: Vault, tmp_path: Path
) -> None:
    secret = [connector("a"), connector("b"), connector("a", account="AC2")]
    for each in [*secret, connector("plain", "")]:
        Store(client, prefix, old).put_connector(each)
    seals = Seals(client, prefix, both)
    done = seals.reseal()
    assert (done.count, done.faults) == (3, ())
    assert list(seals.in_use()) == [NEW.name]
    new = Store(client, prefix, vault_with(tmp_path, NEW))
    assert new.all_connectors() == [secret[0], secret[1], connector("plain", ""), secret[2]]


def test_connector_that_cannot_be_unsealed_is_named_and_the_others_are_sealed(
    client: Client, prefix: str, old: Vault, tmp_path: Path
) -> None:
    Store(client, prefix, vault_with(tmp_path, new_key())).put_connector(connector("a"))
    Store(client, prefix, old).put_connector(connector("b"))
    done = Seals(client, prefix, old).reseal()
    assert done.count == 1
    (fault,) = done.faults
    assert fault.startswith("connector 'a': digest_password: is sealed with key ")


class Interrupted(Vault):
    """A vault during whose work somebody sets a connector."""

    def __init__(self, vault: Vault, set_meanwhile: Callable[[], None]) -> None:
        self._inner = vault
        self._set_meanwhile = set_meanwhile

    def seal(self, text: str) -> str:
        """Seal as the vault does."""
        return self._inner.seal(text)

    def unseal(self, sealed: str) -> str:
        """Unseal after the connector was set."""
        self._set_meanwhile()
        return self._inner.unseal(sealed)


def test_connector_set_meanwhile_is_left_as_it_is(
    client: Client, prefix: str, old: Vault, both: Vault
) -> None:
    store = Store(client, prefix, old)
    store.put_connector(connector("a"))
    changed = connector("a", "changed")
    vault = Interrupted(both, lambda: store.put_connector(changed))
    assert Seals(client, prefix, vault).reseal().count == 0
    assert store.connector("AC1", "a") == changed


def test_everything_that_a_key_sealed_is_found(
    client: Client, prefix: str, old: Vault, both: Vault
) -> None:
    Store(client, prefix, old).put_connector(connector("a"))
    shards = ShardStore(client, prefix, "x", both)
    (grant,) = shards.acquire([SHARD], 1)
    save = shards.begin(SHARD, grant.epoch)
    save.call(CALL)
    save.stream(with_keys(stream_in(StreamState.RECORDING)))
    shards.commit([save])
    body = f"v=0\r\n{CRYPTO}\r\n"
    reply = SrsReplied(call_id="c", method="INVITE", cseq=1, status=200, body=body)
    ShardStore(client, prefix, "y", old).append([(SHARD, reply)])
    client.set(f"{prefix}text", old.seal("a"))
    client.rpush(f"{prefix}list", "first", f'{{"x":"{old.seal("b")}"}}')
    client.set(f"other{prefix}", old.seal("c"))
    assert Seals(client, prefix, both).in_use() == {
        OLD.name: ["connectors:AC1", "list", "text", "{s2a}:inbox"],
        NEW.name: [f"{{s2a}}:call:{CALL_SID}"],
    }
    client.delete(f"other{prefix}")


def test_more_than_a_batch_is_read(client: Client, prefix: str, old: Vault) -> None:
    sealed = old.seal("a")
    pipe: Any = client.pipeline()
    for number in range(2 * BATCH + 1):
        pipe.set(f"{prefix}{number}", sealed, ex=60)
    pipe.execute()
    assert len(Seals(client, prefix, old).in_use()[OLD.name]) == 2 * BATCH + 1


def test_store_without_anything_sealed_needs_no_key(
    client: Client, prefix: str, old: Vault
) -> None:
    Store(client, prefix, old).put_connector(connector("plain", ""))
    seals = Seals(client, prefix, old)
    assert seals.in_use() == {}
    assert seals.reseal().count == 0
    assert keys_in(client.hget(connectors_key(prefix, "AC1"), "plain")) == set()
