"""Names of Redis keys: one hash tag a shard, and none that two things share."""

from inspect import getmembers

from siprec.keys import (
    ShardKeys,
    accounts_key,
    actions_key,
    callback_worker_key,
    commands_key,
    connectors_key,
    console_session_key,
    contract_key,
    controllers_key,
    documents_claims_key,
    documents_due_key,
    documents_key,
    documents_of_key,
    health_key,
    loads_key,
    numbers_key,
    turns_key,
)
from tests.siprec.streams import CALL_SID

PLAIN = [name for name, _ in getmembers(ShardKeys, lambda member: isinstance(member, property))]


def all_keys(keys: ShardKeys) -> list[str]:
    plain = [getattr(keys, name) for name in PLAIN if not name.startswith("_")]
    return [*plain, keys.call(CALL_SID), keys.reply("r"), keys.request("r")]


def test_keys_of_a_shard_share_its_hash_tag() -> None:
    names = all_keys(ShardKeys("siprec:", 0x2A))
    assert len(set(names)) == len(names) == 13
    assert all(name.startswith("siprec:{s2a}:") for name in names)


def test_keys_of_two_shards_or_prefixes_never_meet() -> None:
    here = set(all_keys(ShardKeys("siprec:", 1)))
    assert not here & set(all_keys(ShardKeys("siprec:", 2)))
    assert not here & set(all_keys(ShardKeys("other:", 1)))


def test_keys_outside_of_shards_never_meet() -> None:
    plain = {key("p:") for key in (numbers_key, accounts_key, health_key, loads_key)}
    named = {connectors_key("p:", "AC1"), turns_key("p:", "AC1"), actions_key("p:", "n")}
    assert (commands_key("p:"), contract_key("p:")) == ("p:commands", "p:contract")
    assert plain == {"p:numbers", "p:accounts", "p:health", "p:loads"}
    assert named == {"p:connectors:AC1", "p:turns:AC1", "p:actions:n"}
    assert controllers_key("p:") == "p:controllers"
    assert callback_worker_key("p:") == "p:callback-worker"
    assert console_session_key("p:", "0a") == "p:console:session:0a"


def test_keys_of_documents_share_one_hash_tag() -> None:
    keys = {key("p:") for key in (documents_key, documents_due_key, documents_claims_key)}
    keys.add(documents_of_key("p:", "AC1"))
    assert len(keys) == 4
    assert all(key.startswith("p:{documents}:") for key in keys)
