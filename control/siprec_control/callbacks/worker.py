"""The callback worker: reads what is to be sent, lets threads send it, settles it in Redis.

One thread holds all state; another one waits for Redis, and each callback under way has one.
They hand what they found over through one queue.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import NamedTuple

from siprec.alerts import Alert
from siprec.callback_store import OWN_MS, CallbackStore, Source, Waiting
from siprec.debugger import AlertCallback
from siprec.store import StoreUnavailable
from siprec.stream_events import Callback, Undelivered
from siprec_control.callbacks.delivery import NOT_DELIVERED, Outcome
from siprec_control.callbacks.queues import Fault, Job, Queues

RENEW_S = 2.0
RETRY_S = 1.0
EXPIRE_S = 60.0
BLOCK_MS = 500
TURN_S = 0.5
LAST_WORD_S = 1.0
MAIL_PER_TURN = 500
REMEMBERED = 10_000


class _Sent(NamedTuple):
    job: Job
    outcome: Outcome


class _Read(NamedTuple):
    """What waits, and what it is to be sent as: None for an alert that nobody wants to know."""

    waiting: Waiting
    callback: Callback | AlertCallback | None


Mail = SimpleQueue[list[_Read] | _Sent]
Send = Callable[[Callback | AlertCallback], Outcome]
Address = Callable[[Alert], AlertCallback | None]


class Worker:
    """Sends callbacks while it is the one that does. `name` is unique to this process life.

    `send` may block; it is called in threads. `say` writes a line of the log. `address` says
    where an alert is to be sent, if anywhere; it may raise StoreUnavailable.
    """

    def __init__(
        self,
        store: CallbackStore,
        send: Send,
        name: str,
        say: Callable[[str], None],
        address: Address,
    ) -> None:
        self._address = address
        self._store = store
        self._send = send
        self._name = name
        self._say = say
        self._complaint = ""

    def run(self, stop: threading.Event) -> None:
        """Send until told to stop."""
        while not stop.is_set():
            try:
                if self._store.own(self._name):
                    made = _Session(self._store, self._send, self._name, self._say, self._address)
                    made.run(stop)
                    continue
            except StoreUnavailable as error:
                if str(error) != self._complaint:
                    self._complaint = str(error)
                    self._say(f"WARNING: callbacks wait: {error}")
            stop.wait(RETRY_S)


class _Session:
    """The time in which a worker is the one that sends."""

    def __init__(
        self,
        store: CallbackStore,
        send: Send,
        name: str,
        say: Callable[[str], None],
        address: Address,
    ) -> None:
        self._store = store
        self._send = send
        self._name = name
        self._say = say
        self._address = address
        self._mail: Mail = SimpleQueue()
        self._queues = Queues()
        self._known: set[tuple[Source, str]] = set()
        self._settled: list[tuple[Source, str]] = []
        self._over: deque[tuple[Source, str]] = deque()
        self._given_up: list[tuple[Job, Fault]] = []
        self._under_way = 0
        now_s = time.monotonic()
        self._renewed_s = now_s
        self._asked_s = now_s
        self._expired_s = now_s

    def run(self, stop: threading.Event) -> None:
        over = threading.Event()
        reader = threading.Thread(target=self._read, args=(over,), name="reader", daemon=True)
        reader.start()
        try:
            while not stop.is_set() and self._is_ours():
                self._turn()
        finally:
            over.set()
        if stop.is_set():
            self._leave()
        reader.join()

    def _is_ours(self) -> bool:
        now_s = time.monotonic()
        if now_s - self._asked_s >= RENEW_S:
            self._asked_s = now_s
            try:
                if not self._store.own(self._name):
                    self._say("another process sends callbacks now")
                    return False
                self._renewed_s = now_s
            except StoreUnavailable as error:
                self._say(f"WARNING: what was sent cannot be settled: {error}")
        return time.monotonic() - self._renewed_s < OWN_MS / 1000

    def _turn(self) -> None:
        for item in self._take_mail():
            if isinstance(item, _Sent):
                self._take_outcome(item)
            else:
                self._take_waiting(item)
        self._expire()
        self._settle()
        for job in self._queues.take(time.monotonic()):
            self._under_way += 1
            args = (job,)
            threading.Thread(target=self._deliver, args=args, name="callback", daemon=True).start()

    def _take_mail(self) -> list[list[_Read] | _Sent]:
        now_s = time.monotonic()
        due_s = self._queues.next_s()
        wait_s = TURN_S if due_s is None else min(TURN_S, max(0.001, due_s - now_s))
        found = []
        try:
            found.append(self._mail.get(timeout=wait_s))
            while len(found) < MAIL_PER_TURN:
                found.append(self._mail.get_nowait())
        except Empty:
            pass
        return found

    def _take_waiting(self, page: list[_Read]) -> None:
        for waiting, callback in page:
            place = (waiting.source, waiting.entry_id)
            if place in self._known:
                continue
            self._known.add(place)
            if callback is None:
                if waiting.callback is None:
                    self._say(f"ERROR: {_named(waiting.source)} cannot be read, and is gone")
                self._settled.append(place)
                continue
            job = Job(*place, callback, waiting.queued_ms)
            fault = self._queues.add(job, time.monotonic())
            if fault is not None:
                self._given_up.append((job, fault))

    def _take_outcome(self, sent: _Sent) -> None:
        self._under_way -= 1
        job, outcome = sent
        now_s = time.monotonic()
        if outcome.fault is None:
            self._queues.settled(job, now_s)
            self._settled.append((job.source, job.entry_id))
        elif outcome.is_final:
            self._queues.given_up(job, now_s)
            self._given_up.append((job, outcome.fault))
        else:
            if job.tries == 0:
                self._say(f"WARNING: {outcome.fault.text}; it is tried again for a day")
            self._queues.postponed(job, outcome.fault, now_s, is_deaf=outcome.is_deaf)

    def _expire(self) -> None:
        now_s = time.monotonic()
        if now_s - self._expired_s < EXPIRE_S:
            return
        self._expired_s = now_s
        for job in self._queues.take_expired(now_ms()):
            fault = job.fault or Fault(NOT_DELIVERED, "its turn did not come within a day")
            self._given_up.append((job, fault))

    def _settle(self) -> None:
        """Write down what became of callbacks; without Redis later."""
        try:
            if self._settled:
                self._store.settle(self._settled)
                self._forget(self._settled)
                self._settled.clear()
            while self._given_up:
                job, fault = self._given_up[-1]
                self._give_up(job, fault)
                self._say(f"WARNING: given up: {fault.text}")
                self._forget([(job.source, job.entry_id)])
                self._given_up.pop()
        except StoreUnavailable as error:
            self._say(f"WARNING: what was sent cannot be settled: {error}")
            time.sleep(TURN_S)

    def _give_up(self, job: Job, fault: Fault) -> None:
        callback, (code, text, request) = job.callback, fault
        if isinstance(callback, AlertCallback):
            # An alert about it would have to be told in the same way, and again for ever.
            self._store.settle([(job.source, job.entry_id)])
            return
        aside = Undelivered(callback=callback, code=code, text=text, failed_ms=now_ms())
        self._store.give_up(job.source.shard, job.entry_id, aside, request)

    def _forget(self, places: Iterable[tuple[Source, str]]) -> None:
        """Forget what is over, but not at once: the reader may have read it a moment before."""
        self._over.extend(places)
        while len(self._over) > REMEMBERED:
            self._known.discard(self._over.popleft())

    def _leave(self) -> None:
        """Wait a moment for what is under way, then let another one send."""
        end_s = time.monotonic() + LAST_WORD_S
        while self._under_way and (left_s := end_s - time.monotonic()) > 0:
            try:
                item = self._mail.get(timeout=left_s)
            except Empty:
                break
            if isinstance(item, _Sent):
                self._take_outcome(item)
        self._settle()
        try:
            self._store.disown(self._name)
        except StoreUnavailable:
            self._say("another process sends callbacks in some seconds")

    # In threads

    def _deliver(self, job: Job) -> None:
        try:
            outcome = self._send(job.callback)
        except Exception as error:  # Its line would wait for ever.
            text = f"a defect of ours: {type(error).__name__}"
            outcome = Outcome(fault=Fault(NOT_DELIVERED, text), is_deaf=True)
        self._mail.put(_Sent(job, outcome))

    def _read(self, over: threading.Event) -> None:
        """Hand over what is left from before, then what comes; again after each loss of Redis.

        What Redis gave to a connection that then broke is among what is left.
        """
        while not over.is_set():
            try:
                self._store.make_groups()
                self._read_left(over)
                while not over.is_set():
                    if found := self._store.read(BLOCK_MS):
                        self._mail.put(self._addressed(found))
            except StoreUnavailable:
                over.wait(RETRY_S)

    def _read_left(self, over: threading.Event) -> None:
        after = dict.fromkeys(self._store.sources, "0")
        while after and not over.is_set():
            found = self._store.left(after)
            after = {waiting.source: waiting.entry_id for waiting in found}
            if found:
                self._mail.put(self._addressed(found))

    def _addressed(self, found: list[Waiting]) -> list[_Read]:
        return [
            _Read(each, self._address(each.callback))
            if isinstance(each.callback, Alert)
            else _Read(each, each.callback)
            for each in found
        ]


def _named(source: Source) -> str:
    what = "an alert" if source.is_alert else "a callback"
    return f"{what} of shard {source.shard}"


def now_ms() -> int:
    """Give the time in ms since the epoch."""
    return time.time_ns() // 1_000_000
