"""Which callback is sent when. No I/O, no clock.

Callbacks of one stream wait in a line and are sent one after the other. All lines of an account
to one host and port belong to a receiver. One that does not answer is asked more and more seldom,
by one callback at a time, and only so many threads wait for such receivers: others have their own.
"""

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from siprec.callback_store import Source
from siprec.debugger import AlertCallback
from siprec.stream_events import Callback
from siprec.web_request import WebRequest
from siprec_web.urls import origin

AT_ONCE = 64
"""So many callbacks are under way to receivers that answer."""

AT_ONCE_TO_DEAF = 32
"""So many are under way to receivers that did not answer the last time."""

AT_ONCE_TO_ONE = 8
PER_RECEIVER = 10_000
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0
KEPT_MS = 86_400_000


class Fault(NamedTuple):
    """Why a callback was not delivered: alert code, a text for people, and the last try."""

    code: int
    text: str
    request: WebRequest | None = None


@dataclass(slots=True)
class Job:
    """A callback that waits, and where it stands in Redis. `queued_ms` is since when."""

    source: Source
    entry_id: str
    callback: Callback | AlertCallback
    queued_ms: int
    tries: int = 0
    fault: Fault | None = None


@dataclass(slots=True, eq=False)
class _Receiver:
    """Where callbacks of an account go to. `failures`: so often it did not answer in a row."""

    name: tuple[str, ...]
    ready: deque["_Line"] = field(default_factory=deque)
    lines: int = 0
    waiting: int = 0
    under_way: int = 0
    failures: int = 0
    due_s: float = 0.0
    is_offered: bool = False
    fault: Fault | None = None


@dataclass(slots=True, eq=False)
class _Line:
    """The callbacks of one stream, in order. `is_slow`: the first one counts as to a deaf one."""

    key: tuple[str, ...]
    receiver: _Receiver
    jobs: deque[Job] = field(default_factory=deque)
    is_under_way: bool = False
    is_slow: bool = False


class Queues:
    """All callbacks that wait. Times are seconds of a monotonic clock, and only go up."""

    def __init__(self) -> None:
        self._receivers: dict[tuple[str, ...], _Receiver] = {}
        self._lines: dict[tuple[str, ...], _Line] = {}
        # Receivers with something to send: those that answer, and the others.
        self._offered: tuple[deque[_Receiver], deque[_Receiver]] = (deque(), deque())
        self._under_way = [0, 0]
        self._timers: list[tuple[float, int, _Line | _Receiver]] = []
        self._count = 0

    def __len__(self) -> int:
        """Count the callbacks that wait or are under way."""
        return sum(receiver.waiting for receiver in self._receivers.values())

    def add(self, job: Job, now_s: float) -> Fault | None:
        """Let a callback wait for its turn. A fault: too many wait already, it is given up."""
        name = _receiver_name(job)
        receiver = self._receivers.get(name)
        if receiver is None:
            receiver = self._receivers[name] = _Receiver(name)
        if receiver.waiting >= PER_RECEIVER:
            code, text, request = receiver.fault or Fault(11200, "it is too slow")
            return Fault(code, f"{PER_RECEIVER} callbacks wait for its receiver: {text}", request)
        key = _line_key(job)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line(key, receiver)
            receiver.lines += 1
            receiver.ready.append(line)
        line.jobs.append(job)
        receiver.waiting += 1
        self._offer(receiver, now_s)
        return None

    def take(self, now_s: float) -> list[Job]:
        """Give the callbacks that are to be sent now; each must be settled later."""
        while self._timers and self._timers[0][0] <= now_s:
            thing = heapq.heappop(self._timers)[2]
            if isinstance(thing, _Line):
                thing.receiver.ready.append(thing)
                thing = thing.receiver
            self._offer(thing, now_s)
        found = []
        for is_slow, limit in ((True, AT_ONCE_TO_DEAF), (False, AT_ONCE)):
            offered = self._offered[is_slow]
            while offered and self._under_way[is_slow] < limit:
                receiver = offered.popleft()
                receiver.is_offered = False
                # It may have become another one since it was offered.
                if bool(receiver.failures) is is_slow and self._may_send(receiver, now_s):
                    found.append(self._send(receiver, is_slow))
                self._offer(receiver, now_s)
        return found

    def next_s(self) -> float | None:
        """Tell when `take` has something to give at the latest, if nothing is settled before."""
        return self._timers[0][0] if self._timers else None

    def settled(self, job: Job, now_s: float) -> None:
        """Forget a callback that was delivered or refused: its receiver answers."""
        line = self._back(job)
        receiver = line.receiver
        receiver.failures, receiver.due_s, receiver.fault = 0, 0.0, None
        self._next(line, now_s)

    def given_up(self, job: Job, now_s: float) -> None:
        """Forget a callback that nobody will ever take; of its receiver that says nothing."""
        self._next(self._back(job), now_s)

    def postponed(self, job: Job, fault: Fault, now_s: float, *, is_deaf: bool) -> None:
        """Let a callback wait for its next try; `is_deaf`: its receiver does not even answer."""
        line = self._back(job)
        receiver = line.receiver
        job.tries += 1
        job.fault = fault
        if not is_deaf:
            receiver.failures, receiver.due_s = 0, 0.0
            self._time(now_s + pause_s(job.tries), line)
        else:
            # Of several under way at once, the first one tells enough.
            if now_s >= receiver.due_s:
                receiver.failures += 1
                receiver.due_s = now_s + pause_s(receiver.failures)
                self._time(receiver.due_s, receiver)
            receiver.fault = fault
            receiver.ready.append(line)
        self._offer(receiver, now_s)

    def take_expired(self, now_ms: int) -> list[Job]:
        """Take out what has waited for KEPT_MS; none of it is under way."""
        found = []
        for line in list(self._lines.values()):
            while not line.is_under_way and line.jobs and _is_old(line.jobs[0], now_ms):
                job = line.jobs.popleft()
                job.fault = job.fault or line.receiver.fault
                line.receiver.waiting -= 1
                found.append(job)
            # An empty line is passed over, and forgotten, when its turn comes.
        used = {line.receiver.name for line in self._lines.values()}
        self._receivers = {name: each for name, each in self._receivers.items() if name in used}
        return found

    def _send(self, receiver: _Receiver, is_slow: bool) -> Job:
        line = receiver.ready.popleft()
        line.is_under_way, line.is_slow = True, is_slow
        receiver.under_way += 1
        self._under_way[is_slow] += 1
        return line.jobs[0]

    def _back(self, job: Job) -> _Line:
        line = self._lines[_line_key(job)]
        line.is_under_way = False
        line.receiver.under_way -= 1
        self._under_way[line.is_slow] -= 1
        return line

    def _next(self, line: _Line, now_s: float) -> None:
        line.jobs.popleft()
        line.receiver.waiting -= 1
        line.receiver.ready.append(line)
        self._offer(line.receiver, now_s)

    def _may_send(self, receiver: _Receiver, now_s: float) -> bool:
        """Tell whether a receiver may have another one; forget it when it needs none."""
        while receiver.ready and not receiver.ready[0].jobs:
            del self._lines[receiver.ready.popleft().key]
            receiver.lines -= 1
        if not receiver.lines and not receiver.failures:
            self._receivers.pop(receiver.name, None)
        limit = 1 if receiver.failures else AT_ONCE_TO_ONE
        is_due = receiver.due_s <= now_s
        return bool(receiver.ready) and receiver.under_way < limit and is_due

    def _offer(self, receiver: _Receiver, now_s: float) -> None:
        if not receiver.is_offered and self._may_send(receiver, now_s):
            receiver.is_offered = True
            self._offered[bool(receiver.failures)].append(receiver)

    def _time(self, due_s: float, thing: "_Line | _Receiver") -> None:
        self._count += 1
        heapq.heappush(self._timers, (due_s, self._count, thing))


def pause_s(tries: int) -> float:
    """Give how long is waited after so many tries that failed: twice as long each time."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(tries - 1, 20))


def _receiver_name(job: Job) -> tuple[str, ...]:
    callback = job.callback
    # Many alerts must not hold callbacks up.
    return callback.account_sid, origin(callback.url), callback.kind


def _line_key(job: Job) -> tuple[str, ...]:
    return (job.callback.order_key, *_receiver_name(job))


def _is_old(job: Job, now_ms: int) -> bool:
    return now_ms - job.queued_ms >= KEPT_MS
