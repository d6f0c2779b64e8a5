"""A callback worker in a thread, and what is left for it to do."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from siprec.callback_store import GROUP, CallbackStore
from siprec.keys import ShardKeys
from siprec.store import Client
from siprec.stream_events import Callback
from siprec_control.callbacks.delivery import Outcome
from siprec_control.callbacks.worker import Worker
from tests.control.callbacks.sending import delivery
from tests.scenarios.polling import poll

SHARD = 0x2A
WAIT_S = 30.0
PREFIX = "t:"
_NAMES = itertools.count()

Send = Callable[[Callback], Outcome]


@contextmanager
def working(client: Client, send: Send | None = None) -> Iterator[list[str]]:
    """Run a worker; give what it says."""
    said: list[str] = []
    stop = threading.Event()
    send = send or delivery().send
    made = Worker(CallbackStore(client, PREFIX), send, f"w{next(_NAMES)}", said.append)
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    try:
        yield said
    finally:
        stop.set()
        thread.join(WAIT_S)
        assert not thread.is_alive()


def is_settled(client: Client, shard: int = SHARD) -> bool:
    """Tell whether nothing of a shard is left to send, or to settle."""
    key = ShardKeys(PREFIX, shard).callbacks
    return bool(client.xlen(key) == 0 and client.xpending(key, GROUP)["pending"] == 0)


def wait_settled(client: Client) -> None:
    """Wait until nothing is left to send, or to settle."""
    poll(lambda: is_settled(client), WAIT_S, why=lambda: "callbacks are not settled")
