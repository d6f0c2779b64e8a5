"""What happens to calls, told to all pages that are open: one reader of Redis for all of them."""

import asyncio
import json
import secrets
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from siprec.keys import ShardKeys
from siprec.redis_client import Client, StoreUnavailable, redis_errors
from siprec.sids import SHARDS

KEPT = 2_000
WAITING = 500
PAGES = 20
BLOCK_MS = 1_000
RETRY_S = 1.0

# Id, account sid, data.
Told = tuple[str, str, str]


@dataclass(eq=False)
class Page:
    """A page that listens. `queue` holds what it has not taken; `is_slow`: it missed something."""

    account_sid: str
    loop: asyncio.AbstractEventLoop
    queue: "asyncio.Queue[Told]" = field(default_factory=lambda: asyncio.Queue(WAITING))
    is_slow: bool = False

    def put(self, told: Told) -> None:
        """Hand over an event, in the page's loop."""
        if self.queue.full():
            self.is_slow = True
        else:
            self.queue.put_nowait(told)


class Events:
    """Reads the events of all shards in a thread that starts with the first page."""

    def __init__(self, client: Client, prefix: str) -> None:
        self._redis = client
        self._keys = [ShardKeys(prefix, shard).events for shard in range(SHARDS)]
        self._pages: set[Page] = set()
        self._kept: deque[Told] = deque(maxlen=KEPT)
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None
        # Ids of another process are not ours.
        self._boot = secrets.token_hex(4)
        self._count = 0

    def listen(self, account_sid: str, last_id: str) -> Page | None:
        """Let a page listen from now on, or from the event it saw last; None: too many do.

        A page whose last event is not kept any more is told to load everything anew.
        """
        page = Page(account_sid, asyncio.get_running_loop())
        with self._lock:
            if sum(other.account_sid == account_sid for other in self._pages) >= PAGES:
                return None
            for told in self._missed(account_sid, last_id):
                page.put(told)
            self._pages.add(page)
            if self._reader is None:
                self._reader = threading.Thread(target=self._read, daemon=True)
                self._reader.start()
        return page

    def leave(self, page: Page) -> None:
        """Let a page go."""
        with self._lock:
            self._pages.discard(page)

    def _missed(self, account_sid: str, last_id: str) -> Iterator[Told]:
        kept = list(self._kept)
        seen = next((i for i, told in enumerate(kept) if told[0] == last_id), None)
        if seen is None or len(kept) - seen > WAITING:
            yield self._reload()
            return
        yield from (told for told in kept[seen + 1 :] if told[1] in (account_sid, ""))

    def _reload(self) -> Told:
        return f"{self._boot}-{self._count}", "", json.dumps({"kind": "reload"})

    def _read(self) -> None:
        after: dict[str, str] = {}
        while True:
            try:
                with redis_errors():
                    if not after:
                        seconds, micros = self._redis.time()
                        start = f"{seconds * 1000 + micros // 1000}-0"
                        after = dict.fromkeys(self._keys, start)
                        self._tell("", {"kind": "reload"})
                    found = self._redis.xread(after, block=BLOCK_MS, count=200)
            except StoreUnavailable:
                after = {}
                threading.Event().wait(RETRY_S)
                continue
            for key, entries in found:
                for entry, fields in entries:
                    after[key] = entry
                    record = json.loads(fields["d"])
                    sid = record.get("call_sid") or record.get("sid", "")
                    self._tell(
                        record.get("account_sid", ""), {"kind": fields["t"], "call_sid": sid}
                    )

    def _tell(self, account_sid: str, data: dict[str, str]) -> None:
        with self._lock:
            self._count += 1
            told = (f"{self._boot}-{self._count}", account_sid, json.dumps(data))
            self._kept.append(told)
            for page in self._pages:
                if account_sid == "" and data["kind"] != "reload":
                    continue
                if account_sid in ("", page.account_sid):
                    page.loop.call_soon_threadsafe(page.put, told)
