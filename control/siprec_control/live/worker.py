"""The worker for documents of live calls: claims what is due, and lets threads follow it.

It runs beside the callback worker, in the same program: both wait for web servers of others and do
little besides, and a program of its own would cost every node 40 MB and a start. They share no
queue and no thread, so that neither waits for the other. Unlike callbacks, which are sent by one
process in their order, documents are claimed one by one, by all nodes that share a Redis.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable

from siprec.document_store import CLAIMED_MS, Claimed, DocumentStore
from siprec.store import StoreUnavailable

AT_ONCE = 64
AT_ONCE_OF_ONE = 16
"""So many documents of one account are followed at once by one worker."""

TURN_S = 0.2
POSTPONED_MS = 500
HOLD_S = CLAIMED_MS / 1000 / 4


class Worker:
    """Follows documents until told to stop. `name` is unique to this process life.

    `follow` may block; it is called in threads. `say` writes a line of the log.
    """

    def __init__(
        self,
        documents: DocumentStore,
        follow: Callable[[Claimed], None],
        name: str,
        say: Callable[[str], None],
    ) -> None:
        self._documents = documents
        self._follow = follow
        self._name = name
        self._say = say
        self._turns = 0
        self._complaint = ""
        self._held: set[Claimed] = set()
        self._held_s = time.monotonic()
        self._lock = threading.Lock()

    def run(self, stop: threading.Event) -> None:
        """Follow documents until told to stop; what is under way then goes on elsewhere."""
        while not stop.wait(TURN_S):
            try:
                self._turn()
            except StoreUnavailable as error:
                self._complain(f"WARNING: documents of calls wait: {error}")
            except Exception as error:  # The program lives on without us, and nobody would know.
                self._complain(f"ERROR: documents of calls wait: {type(error).__name__}")
            else:
                self._complaint = ""

    def _complain(self, line: str) -> None:
        if line != self._complaint:
            self._complaint = line
            self._say(line)

    def _turn(self) -> None:
        with self._lock:
            held = set(self._held)
        now_s = time.monotonic()
        if now_s - self._held_s >= HOLD_S:
            self._held_s = now_s
            self._documents.hold(held)
        if len(held) >= AT_ONCE:
            return
        self._turns += 1
        of_one = Counter(each.account_sid for each in held)
        for each in self._documents.claim(f"{self._name}/{self._turns}", AT_ONCE - len(held)):
            of_one[each.account_sid] += 1
            if of_one[each.account_sid] > AT_ONCE_OF_ONE and each.document is not None:
                # Others have their turn before it comes up again.
                self._documents.save(each.claim, each.document, POSTPONED_MS)
            else:
                self._begin(each)

    def _begin(self, claimed: Claimed) -> None:
        with self._lock:
            self._held.add(claimed)
        args = (claimed,)
        threading.Thread(target=self._run, args=args, name="document", daemon=True).start()

    def _run(self, claimed: Claimed) -> None:
        try:
            self._follow(claimed)
        except StoreUnavailable as error:
            self._say(f"WARNING: the document of {claimed.call_sid} waits: {error}")
        except Exception as error:  # Followed again, it would fail again.
            self._say(f"ERROR: the document of {claimed.call_sid}: {type(error).__name__}")
            self._give_up(claimed)
        finally:
            with self._lock:
                self._held.discard(claimed)

    def _give_up(self, claimed: Claimed) -> None:
        try:
            self._documents.remove(claimed.account_sid, claimed.call_sid, claimed.claim)
        except StoreUnavailable:
            self._say(f"WARNING: the document of {claimed.call_sid} is tried again")
