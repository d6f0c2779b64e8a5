"""Clients of the API: each asks with a login of its own, as often as it is told, from one process.

A program, so that its work is not the benchmark's: `python -m bench.hammer`, JSON on both sides.
It gives way to everything else, since clients are other machines in real life.
"""

import base64
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path

ANSWER_S = 30.0
TOO_MANY = "429"
GROUP = Path("/proc/self/autogroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One login, and how many requests a second it sends; `paths` are asked in turn."""

    host: str
    port: int
    name: str
    password: str
    per_s: float
    paths: Sequence[str]


@contextmanager
def hammering(clients: Sequence[Client]) -> Iterator[Counter[str]]:
    """Let clients send while the block runs; the counter has the answers by status afterwards.

    "late" counts the requests that had to wait for an answer to one before.
    """
    answers: Counter[str] = Counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.hammer"],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin
    assert process.stdout
    with process:
        try:
            process.stdin.write(json.dumps([asdict(client) for client in clients]) + "\n")
            process.stdin.flush()
            # The first line comes when each has reached its limit.
            process.stdout.readline()
            yield answers
        finally:
            said, _ = process.communicate()
            answers.update(json.loads(said))


class _Sender(threading.Thread):
    """Sends the requests of one client over one connection until told to stop."""

    def __init__(self, client: Client, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.answers: Counter[str] = Counter()
        self.has_begun = threading.Event()
        self._client = client
        self._over = over
        login = base64.b64encode(f"{client.name}:{client.password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}"}

    def run(self) -> None:
        connection = http.client.HTTPConnection(self._client.host, self._client.port, ANSWER_S)
        paths = cycle(self._client.paths)
        # What a login may send at once it has sent before anything is measured.
        while not self._over.is_set() and self._ask(connection, next(paths)) != TOO_MANY:
            pass
        self.has_begun.set()
        self.answers.clear()
        due_s = time.monotonic()
        while not self._over.wait(max(0.0, due_s - time.monotonic())):
            due_s += 1 / self._client.per_s
            if time.monotonic() > due_s:
                # The server is slower than we are: what was missed is not made up for.
                self.answers["late"] += 1
                due_s = time.monotonic()
            self._ask(connection, next(paths))
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, path: str) -> str:
        try:
            connection.request("GET", path, headers=self._headers)
            answer = connection.getresponse()
            answer.read()
            said = str(answer.status)
        except (OSError, http.client.HTTPException) as error:
            said = type(error).__name__
            connection.close()
        self.answers[said] += 1
        return said


def main() -> int:
    """Read clients, send until standard input ends, write the answers."""
    with suppress(OSError):
        GROUP.write_text("19")
    os.nice(19)
    stop = threading.Event()
    senders = [_Sender(Client(**each), stop) for each in json.loads(sys.stdin.readline())]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.has_begun.wait(ANSWER_S)
    print("begun", flush=True)
    sys.stdin.read()
    stop.set()
    for sender in senders:
        sender.join(ANSWER_S)
    print(json.dumps(sum((sender.answers for sender in senders), Counter())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
