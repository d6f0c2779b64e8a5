"""The program that answers programs over HTTP, started and restarted by `siprec run`."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from siprec.accounts import Account
from siprec.record import from_json
from siprec.settings import ControlSettings, Runtime
from siprec.store import Store, StoreUnavailable
from siprec.vault import Vault
from siprec_control import ports
from siprec_control.errors import ControlError, StartError
from siprec_control.priority import give_way
from siprec_control.rest.app import make_app
from siprec_control.rest.certificate import CertificateFiles, certificate_files, keep_fresh
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
    """Answer until a signal ends the process.

    Raises:
        StartError: the port is taken, or the certificate cannot be used.
        StateError, StoreUnavailable.
    """
    give_way()
    settings = runtime.settings
    if files := certificate_files(settings.control):
        files.check()
    if taken := ports.busy([f"tcp:{settings.control.listen}"]):
        raise StartError(f"cannot listen: {taken[0]}")
    url, prefix = settings.redis.url or "", settings.redis.prefix
    vault = Vault.from_runtime(runtime)
    with (
        Store.connect(url, prefix, vault, timeout_s=REDIS_S + 1) as store,
        Store.connect(url, prefix, vault, timeout_s=QUICK_S) as quick,
    ):
        keep_default_account(store, runtime, state)
        app = make_app(Office(store, runtime), quick, _say)
        # Whoever types Ctrl-C wants the end, and no trace.
        with suppress(KeyboardInterrupt):
            asyncio.run(_answer(_config(app, settings.control), files))


def _config(app: ASGIApp, control: ControlSettings) -> uvicorn.Config:
    host, port = split_host_port(control.listen)
    config = uvicorn.Config(
        app,
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
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config.load()
    return config


async def _answer(config: uvicorn.Config, files: CertificateFiles | None) -> None:
    fresh = None
    if files is not None and config.ssl is not None:
        fresh = asyncio.create_task(keep_fresh(files, config.ssl, _say))
    await uvicorn.Server(config).serve()
    if fresh is not None:
        fresh.cancel()


def keep_default_account(store: Store, runtime: Runtime, state: StateFolder) -> None:
    """Let Redis have the default account with the token that this node's state folder holds.

    Raises:
        StateError, StoreUnavailable.
    """
    own = resolve_account(runtime.settings, state)
    before = store.accounts.account(own.sid)
    if before is None or before.token != own.token:
        kept = before or Account(sid=own.sid, name="default", created_ms=now_ms())
        store.accounts.put(replace(kept, token=own.token))


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
    except (StoreUnavailable, ControlError) as error:
        _say(f"ERROR cannot begin: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
