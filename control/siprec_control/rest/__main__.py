"""The program that answers programs over HTTP, started and restarted by `siprec run`."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from siprec.accounts import Account
from siprec.record import from_json
from siprec.settings import Runtime
from siprec.store import Store, StoreUnavailable
from siprec.vault import Vault
from siprec_control.priority import give_way
from siprec_control.rest.app import make_app
from siprec_control.rest.desk import Office, now_ms
from siprec_control.runtime import resolve_account
from siprec_control.state import StateFolder
from siprec_control.values import split_host_port

REDIS_S = 5.0
# Logins and readiness: who asks gets an answer while Redis is away.
QUICK_S = 1.5
# Beside what an order waits for a controller.
END_S = 1


def serve(runtime: Runtime, state: StateFolder) -> None:
    """Answer until a signal ends the process."""
    give_way()
    settings = runtime.settings
    url, prefix = settings.redis.url or "", settings.redis.prefix
    vault = Vault.from_runtime(runtime)
    with (
        Store.connect(url, prefix, vault, timeout_s=REDIS_S + 1) as store,
        Store.connect(url, prefix, vault, timeout_s=QUICK_S) as quick,
    ):
        keep_default_account(store, runtime, state)
        control = settings.control
        host, port = split_host_port(control.listen)
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        uvicorn.run(
            make_app(Office(store, runtime), quick, _say),
            host=host,
            port=port or 0,
            ssl_certfile=control.tls_cert,
            ssl_keyfile=control.tls_key,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            timeout_keep_alive=20,
            timeout_graceful_shutdown=END_S,
            h11_max_incomplete_event_size=32 * 1024,
        )


def keep_default_account(store: Store, runtime: Runtime, state: StateFolder) -> None:
    """Let Redis have the default account with the token that this node's state folder holds.

    Raises:
        StateError, StoreUnavailable.
    """
    own = resolve_account(runtime.settings, state)
    before = store.accounts.account(own.sid)
    if before is None or before.token != own.token:
        name = "default" if before is None else before.name
        made_ms = now_ms() if before is None else before.created_ms
        account = Account(sid=own.sid, name=name, created_ms=made_ms, token=own.token)
        store.accounts.put(account)


def _say(line: str) -> None:
    print(line, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer until a signal ends the process; 1 when it cannot begin."""
    parser = argparse.ArgumentParser(prog="siprec-serve", description=__doc__)
    parser.add_argument("runtime", type=Path, help="runtime.json of the stack")
    parsed = parser.parse_args(arguments)
    runtime = from_json(Runtime, parsed.runtime.read_bytes())
    try:
        serve(runtime, StateFolder(parsed.runtime.parent))
    except StoreUnavailable as error:
        _say(f"cannot begin: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
