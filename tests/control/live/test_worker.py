"""The worker for documents of live calls: many at once, none for long without it, fair."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from siprec.document_store import CLAIMED_MS, Claimed, DocumentStore
from siprec.keys import documents_claims_key, documents_due_key
from siprec.live_documents import LiveDocument
from siprec.redis_client import Client, StoreUnavailable, connect
from siprec_control.live import worker
from siprec_control.live.worker import AT_ONCE, AT_ONCE_OF_ONE, Worker
from tests.control.live.conftest import PREFIX
from tests.control.processes import RedisServer
from tests.scenarios.breakable_tcp import BreakableTcp
from tests.scenarios.polling import poll

pytestmark = pytest.mark.daemon

WAIT_S = 30.0
_NAMES = itertools.count()


def document(number: int, account: str = "AC1") -> LiveDocument:
    return LiveDocument(token="t", call_sid=f"CA00{number:030x}", account_sid=account)


@contextmanager
def working(store: DocumentStore, follow: Callable[[Claimed], None]) -> Iterator[list[str]]:
    """Run a worker; give what it says."""
    said: list[str] = []
    stop = threading.Event()
    made = Worker(store, follow, f"w{next(_NAMES)}", said.append)
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    try:
        yield said
    finally:
        stop.set()
        thread.join(WAIT_S)
        assert not thread.is_alive()


def done(store: DocumentStore, claimed: Claimed) -> None:
    """Follow a document to its end."""
    assert store.remove(claimed.account_sid, claimed.call_sid, claimed.claim)


def wait_empty(store: DocumentStore, *accounts: str) -> None:
    def counts() -> list[int]:
        return [store.count(account) for account in accounts]

    poll(lambda: not any(counts()), WAIT_S, why=lambda: str(counts()))


def test_each_document_is_followed_once_by_one_of_several_workers(store: DocumentStore) -> None:
    followed: list[str] = []

    def follow(claimed: Claimed) -> None:
        followed.append(claimed.call_sid)
        done(store, claimed)

    with working(store, follow), working(store, follow):
        for number in range(200):
            store.put(document(number))
        wait_empty(store, "AC1")
    assert Counter(followed) == {document(number).call_sid: 1 for number in range(200)}


def test_account_whose_server_is_slow_leaves_room_for_others(store: DocumentStore) -> None:
    go_on = threading.Event()
    under_way: Counter[str] = Counter()
    lock = threading.Lock()

    def follow(claimed: Claimed) -> None:
        with lock:
            under_way[claimed.account_sid] += 1
        if claimed.account_sid == "AC1":
            go_on.wait(WAIT_S)
        done(store, claimed)

    for number in range(2 * AT_ONCE):
        store.put(document(number))
    with working(store, follow):
        poll(lambda: under_way["AC1"] == AT_ONCE_OF_ONE, WAIT_S, why=lambda: str(under_way))
        store.put(document(1, "AC2"))
        wait_empty(store, "AC2")
        assert under_way["AC1"] == AT_ONCE_OF_ONE
        go_on.set()
        wait_empty(store, "AC1")
    assert under_way == {"AC1": 2 * AT_ONCE, "AC2": 1}


def test_document_that_takes_long_stays_ours(
    store: DocumentStore, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "HOLD_S", 0.0)
    go_on, began = threading.Event(), threading.Event()

    def follow(claimed: Claimed) -> None:
        began.set()
        go_on.wait(WAIT_S)
        done(store, claimed)

    store.put(document(1))
    with working(store, follow):
        assert began.wait(WAIT_S)
        member = f"AC1/{document(1).call_sid}"
        first = client.zscore(documents_due_key(PREFIX), member)
        assert first is not None
        poll(lambda: (client.zscore(documents_due_key(PREFIX), member) or 0) > first, WAIT_S)
        go_on.set()
        wait_empty(store, "AC1")


def test_worker_waits_for_a_redis_that_is_away_and_goes_on(
    redis: RedisServer, store: DocumentStore
) -> None:
    with (
        BreakableTcp(redis.url.removeprefix("unix://")) as link,
        connect(f"redis://{link.address}/0", timeout_s=2.0) as far,
        working(DocumentStore(far, PREFIX), lambda claimed: done(store, claimed)) as said,
    ):
        link.refusing = True
        poll(lambda: bool(said), WAIT_S, why=lambda: "nothing was said")
        link.refusing = False
        store.put(document(1))
        wait_empty(store, "AC1")
    assert said[0].startswith("WARNING: documents of calls wait: Redis: ")


def test_document_whose_follower_lost_redis_is_left_for_later(
    store: DocumentStore, client: Client
) -> None:
    def follow(claimed: Claimed) -> None:
        raise StoreUnavailable("Redis: away")

    store.put(document(1))
    with working(store, follow) as said:
        poll(lambda: bool(said), WAIT_S, why=lambda: "nothing was said")
    assert said == [f"WARNING: the document of {document(1).call_sid} waits: Redis: away"]
    assert store.count("AC1") == 1
    assert CLAIMED_MS == 10_000
    assert client.hlen(documents_claims_key(PREFIX)) == 1


def test_document_that_shows_a_defect_of_ours_is_given_up(store: DocumentStore) -> None:
    def follow(claimed: Claimed) -> None:
        raise LookupError("secret")

    store.put(document(1))
    with working(store, follow) as said:
        wait_empty(store, "AC1")
    assert said == [f"ERROR: the document of {document(1).call_sid}: LookupError"]
