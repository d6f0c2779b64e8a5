"""The program that sends status callbacks and follows documents of calls that are live.

`siprec run` starts and restarts it. Each node has one; of all that share a Redis one sends
callbacks, and the others wait for it to die. Documents are followed by all of them.
"""

import argparse
import os
import secrets
import signal
import sys
import threading
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path

from siprec.callback_store import CallbackStore
from siprec.record import from_json
from siprec.settings import Runtime
from siprec.store import Store, connect
from siprec.vault import Vault
from siprec_control.callbacks.debuggers import Debuggers
from siprec_control.callbacks.delivery import Delivery
from siprec_control.callbacks.worker import Worker
from siprec_control.live.follower import VERDICT_S, Follower
from siprec_control.live.worker import Worker as DocumentWorker
from siprec_control.priority import give_way
from siprec_control.runtime import Account, resolve_account
from siprec_control.state import StateFolder
from siprec_documents.library import MAX_BYTES, Library
from siprec_web.fetch import Fetcher
from siprec_web.guard import Guard

REDIS_S = 5.0


def work(runtime: Runtime, account: Account, stop: threading.Event) -> None:
    """Send callbacks until told to stop. `account` is the default one, whose token is in a file."""
    settings = runtime.settings
    url, prefix = settings.redis.url or "", settings.redis.prefix
    allow = tuple(ip_network(text) for text in settings.control.allow_private_urls)
    name = f"{runtime.node}/{os.getpid()}/{secrets.token_hex(4)}"
    vault = Vault.from_runtime(runtime)
    with (
        connect(url, timeout_s=REDIS_S) as client,
        Store.connect(url, prefix, vault, timeout_s=REDIS_S) as store,
        # A verdict is waited for there.
        Store.connect(url, prefix, vault, timeout_s=VERDICT_S + REDIS_S) as patient,
    ):

        def token_of(sid: str) -> str | None:
            return account.token if sid == account.sid else store.account_token(sid)

        library = Library(Fetcher(Guard(allow=allow), max_bytes=MAX_BYTES), token_of)
        follower = Follower(patient, library, _say)
        documents = DocumentWorker(store.documents, follower.follow, name, _say)
        beside = threading.Thread(target=documents.run, args=(stop,), name="documents")
        beside.start()
        delivery = Delivery(Fetcher(Guard(allow=allow)), token_of)
        debuggers = Debuggers(store.accounts.account, account.sid, _say)
        callbacks = CallbackStore(client, prefix)
        Worker(callbacks, delivery.send, name, _say, debuggers.address).run(stop)
        beside.join()


def _say(line: str) -> None:
    print(line, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Send callbacks until a signal ends the process."""
    parser = argparse.ArgumentParser(prog="siprec-callbacks", description=__doc__)
    parser.add_argument("runtime", type=Path, help="runtime.json of the stack")
    parsed = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    give_way()
    runtime = from_json(Runtime, parsed.runtime.read_bytes())
    account = resolve_account(runtime.settings, StateFolder(parsed.runtime.parent))
    work(runtime, account, stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
