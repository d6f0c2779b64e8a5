"""A callback worker in a thread, and what is left for it to do."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from siprec.accounts import Account
from siprec.callback_store import GROUP, CallbackStore
from siprec.debugger import AlertCallback
from siprec.keys import ShardKeys
from siprec.store import Client
from siprec.stream_events import Callback
from siprec_control.callbacks.debuggers import Debuggers
from siprec_control.callbacks.delivery import Outcome
from siprec_control.callbacks.worker import Worker
from tests.control.callbacks.sending import delivery
from tests.scenarios.polling import poll
from tests.siprec.streams import ACCOUNT_SID

SHARD = 0x2A
WAIT_S = 30.0
PREFIX = "t:"
_NAMES = itertools.count()

Send = Callable[[Callback | AlertCallback], Outcome]


@contextmanager
def working(
    client: Client, send: Send | None = None, debugger_url: str = ""
) -> Iterator[list[str]]:
    """Run a worker; give what it says."""
    said: list[str] = []
    stop = threading.Event()
    send = send or delivery().send
    account = Account(sid=ACCOUNT_SID, debugger_url=debugger_url)
    debuggers = Debuggers({ACCOUNT_SID: account}.get, ACCOUNT_SID, said.append)
    store, name = CallbackStore(client, PREFIX), f"w{next(_NAMES)}"
    made = Worker(store, send, name, said.append, debuggers.address)
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
    keys = ShardKeys(PREFIX, shard)
    both = (keys.callbacks, keys.alerts)
    is_left = any(client.xpending(key, GROUP)["pending"] for key in both)
    return not is_left and client.xlen(keys.callbacks) == 0


def wait_settled(client: Client) -> None:
    """Wait until nothing is left to send, or to settle."""
    poll(lambda: is_settled(client), WAIT_S, why=lambda: "callbacks are not settled")
