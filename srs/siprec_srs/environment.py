"""What a session needs of the process around it."""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from siprec_srs.behaviour import Behaviour
from siprec_srs.ports import PortPairs
from siprec_srs.sdes import secrets_in
from siprec_srs.summary import iso
from siprec_srs.transaction import ClientTransaction, Timer, TransactionTable
from siprec_srs.transport import Endpoint

BranchAndMethod = tuple[str, str]


@dataclass(slots=True, kw_only=True)
class Environment:
    """Shared by all sessions of one SRS. `clients` are our own requests, by branch and method."""

    behaviour: Behaviour
    endpoint: Endpoint
    table: TransactionTable
    ports: PortPairs
    clients: dict[BranchAndMethod, ClientTransaction] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def schedule(self, delay_s: float, action: Callable[[], None]) -> Timer:
        """Run something later."""
        return self.table.schedule(delay_s, action)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that must wait, such as a connect, beside everything else."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def die(self) -> None:
        """End the process at once, as a crash would: no BYE, no files closed."""
        self.tell("died", "-")
        os._exit(0)

    async def stop_tasks(self) -> None:
        """Cancel what was spawned and wait for its end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)

    def keep_keys(self, data: bytes) -> None:
        """Add the keys of SRTP in a message to the file of --keys, which only we may read."""
        found = secrets_in(data) if self.behaviour.keys is not None else []
        if self.behaviour.keys is not None and found:
            descriptor = os.open(self.behaviour.keys, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with open(descriptor, "w", encoding="ascii", errors="replace") as file:
                file.writelines(f"{key}\n" for key in found)

    def tell(self, event: str, call_id: str, **more: object) -> None:
        """Say what happened: a line for people on stderr, a JSON line on stdout with --events."""
        now = time.time()
        if self.behaviour.events:
            line = {"event": event, "at": iso(now), "call_id": call_id, **more}
            print(json.dumps(line), flush=True)
        if not self.behaviour.quiet:
            extra = " ".join(f"{key}={value}" for key, value in more.items() if value is not None)
            print(f"{iso(now)} {event} {call_id} {extra}".rstrip(), file=sys.stderr, flush=True)
