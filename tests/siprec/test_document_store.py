"""Documents of live calls in a real Redis: claimed, held, saved, replaced, and gone."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from siprec import document_store
from siprec.document_store import CLAIMED_MS, PER_ACCOUNT, Claimed, DocumentStore
from siprec.inbox import DocumentFailed, StartOrdered, from_fields
from siprec.keys import (
    ShardKeys,
    documents_claims_key,
    documents_due_key,
    documents_key,
    documents_of_key,
)
from siprec.live_documents import LiveDocument
from siprec.model import StreamOrder
from siprec.record import to_json
from siprec.sids import shard_of_sid
from siprec.store import Client, StoreUnavailable, connect
from siprec.verdict import Verdict
from tests.control.processes import RedisServer
from tests.siprec.streams import ACCOUNT_SID, CALL_SID

DOCUMENT = LiveDocument(token="t", call_sid=CALL_SID, account_sid=ACCOUNT_SID)
MEMBER = f"{ACCOUNT_SID}/{CALL_SID}"
ENTRY = StartOrdered(request_id="t-0-0", call_sid=CALL_SID, order=StreamOrder())
KEYS = (documents_key, documents_due_key, documents_claims_key)


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Client]:
    connection = connect(redis_server.url)
    yield connection
    connection.close()


@pytest.fixture
def store(client: Client, prefix: str) -> DocumentStore:
    return DocumentStore(client, prefix)


def is_empty(client: Client, prefix: str) -> bool:
    keys = [key(prefix) for key in KEYS] + [documents_of_key(prefix, ACCOUNT_SID)]
    return not client.exists(*keys)


def due_ms(client: Client, prefix: str) -> float:
    """Tell in how many ms the document is due."""
    seconds, microseconds = client.time()
    score = client.zscore(documents_due_key(prefix), MEMBER)
    assert score is not None
    return float(score - seconds * 1000 - microseconds / 1000)


def test_document_is_claimed_once_until_the_claim_is_over(
    store: DocumentStore, client: Client, prefix: str
) -> None:
    assert store.put(DOCUMENT)
    assert store.count(ACCOUNT_SID) == 1
    assert store.claim("w/1", 5) == [Claimed("w/1", ACCOUNT_SID, CALL_SID, DOCUMENT)]
    assert store.claim("v/1", 5) == []
    assert CLAIMED_MS - 5_000 < due_ms(client, prefix) <= CLAIMED_MS
    client.zadd(documents_due_key(prefix), {MEMBER: 1})
    assert [each.claim for each in store.claim("v/2", 5)] == ["v/2"]
    # Who has slept through its claim can change nothing.
    assert not store.save("w/1", DOCUMENT)
    assert not store.remove(ACCOUNT_SID, CALL_SID, "w/1")
    assert store.save("v/2", DOCUMENT)


def test_so_many_are_claimed_as_were_asked_for(store: DocumentStore) -> None:
    sids = [f"CA2a{number:030x}" for number in range(3)]
    for sid in sids:
        store.put(replace(DOCUMENT, call_sid=sid))
    assert len(store.claim("w/1", 2)) == 2
    assert len(store.claim("w/2", 2)) == 1


def test_claim_that_is_held_goes_on_and_one_that_is_lost_does_not(
    store: DocumentStore, client: Client, prefix: str
) -> None:
    store.put(DOCUMENT)
    (claimed,) = store.claim("w/1", 5)
    client.zadd(documents_due_key(prefix), {MEMBER: 1})
    store.hold([claimed])
    assert store.claim("v/1", 5) == []
    client.zadd(documents_due_key(prefix), {MEMBER: 1})
    store.hold([claimed._replace(claim="w/0")])
    assert len(store.claim("v/2", 5)) == 1


def test_saved_document_is_kept_or_given_to_whoever_comes_later(
    store: DocumentStore, client: Client, prefix: str
) -> None:
    store.put(DOCUMENT)
    store.claim("w/1", 5)
    further = replace(DOCUMENT, position=1)
    assert store.save("w/1", further)
    assert store.save("w/1", further, 60_000)
    assert 50_000 < due_ms(client, prefix) <= 60_000
    assert not store.save("w/1", DOCUMENT)
    client.zadd(documents_due_key(prefix), {MEMBER: 1})
    assert [each.document for each in store.claim("v/1", 5)] == [further]
    assert store.remove(ACCOUNT_SID, CALL_SID, "v/1")
    assert is_empty(client, prefix)


def test_newer_document_of_a_call_takes_the_place_of_one_under_way(
    store: DocumentStore, client: Client, prefix: str
) -> None:
    newer = replace(DOCUMENT, token="u")
    store.put(DOCUMENT)
    store.claim("w/1", 5)
    assert store.put(newer, delay_ms=0)
    assert not store.save("w/1", DOCUMENT)
    assert [each.document for each in store.claim("v/1", 5)] == [newer]
    assert store.remove(ACCOUNT_SID, CALL_SID)
    assert not store.save("v/1", newer)
    assert is_empty(client, prefix)


def test_account_has_so_many_and_may_replace_each(
    store: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PER_ACCOUNT == 1_000
    monkeypatch.setattr(document_store, "PER_ACCOUNT", 1)
    assert store.put(DOCUMENT)
    assert store.put(DOCUMENT)
    assert not store.put(replace(DOCUMENT, call_sid="CA2a" + "1" * 30))
    assert store.put(replace(DOCUMENT, account_sid="AC2"))
    assert (store.count(ACCOUNT_SID), store.count("AC2")) == (1, 1)


@pytest.mark.parametrize("text", ["{", None])
def test_document_that_cannot_be_read_is_given_as_none(
    store: DocumentStore, client: Client, prefix: str, text: str | None
) -> None:
    store.put(DOCUMENT)
    client.hdel(documents_key(prefix), MEMBER)
    if text is not None:
        client.hset(documents_key(prefix), MEMBER, text)
    assert store.claim("w/1", 5) == [Claimed("w/1", ACCOUNT_SID, CALL_SID, None)]


def test_order_reaches_the_inbox_once_and_its_verdict_who_asked(
    store: DocumentStore, client: Client, prefix: str
) -> None:
    keys = ShardKeys(prefix, shard_of_sid(CALL_SID))
    verdict = Verdict(accepted=True, text="accepted")
    client.rpush(keys.reply("t-0-0"), to_json(verdict))
    assert store.order("t-0-0", ENTRY, 5) == verdict
    assert store.order("t-0-0", ENTRY, 5) is None
    ((_, fields),) = client.xrange(keys.inbox)
    assert from_fields(fields) == ENTRY


def test_failure_is_told_to_the_controller_of_the_call(
    store: DocumentStore, client: Client, prefix: str
) -> None:
    store.fail(DOCUMENT, 11200, "no answer")
    ((_, fields),) = client.xrange(ShardKeys(prefix, shard_of_sid(CALL_SID)).inbox)
    assert from_fields(fields) == DocumentFailed(
        call_sid=CALL_SID, account_sid=ACCOUNT_SID, code=11200, text="no answer"
    )


def test_redis_that_is_away_is_said_so() -> None:
    with connect("redis://127.0.0.1:1", timeout_s=0.2) as away, pytest.raises(StoreUnavailable):
        DocumentStore(away, "t:").put(DOCUMENT)
