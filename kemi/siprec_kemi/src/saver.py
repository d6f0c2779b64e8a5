"""Saves what a turn changed: all of a shard or nothing, and never without its lease."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from siprec import events as e
from siprec.changes import Changes, Order
from siprec.shard_store import Save, ShardStore
from siprec.sids import shard_of_sid
from siprec.store import StoreUnavailable
from siprec_kemi.clock import monotonic_s
from siprec_kemi.src.leases import Leases

T = TypeVar("T")

# What ends something may go ahead while Redis is away; what begins something may not.
HARMLESS = (e.ReleaseFork, e.SendCancel, e.SendBye, e.DropLateAnswer)

# What nobody waits for is saved along with what somebody does, or this much later. A crash
# in between is one before the event: half of all saves are spared for it.
HOLD_S = 0.02
RETRY_S = 0.2


class Saver:
    """Collects changes until a save went through; commands are given out after it."""

    def __init__(self, shards: ShardStore, leases: Leases, history_s: int) -> None:
        self._shards = shards
        self._leases = leases
        self._history_s = history_s
        self._cursors: dict[int, str] = {}
        self._unsaved: list[Changes] = []
        self._commands: list[Order] = []
        self._due_s: float | None = None

    @property
    def due_s(self) -> float | None:
        """Tell when what is held must be saved, on the monotonic clock; None: nothing is."""
        return self._due_s

    def applied(self, shard: int, entry_id: str) -> None:
        """Note the last inbox entry of a shard that the changes to come hold."""
        self._cursors[shard] = entry_id

    def drop(self, shard: int) -> None:
        """Forget what was not saved of a shard that is no longer ours."""
        self._cursors.pop(shard, None)
        self._commands = [order for order in self._commands if order.file.shard != shard]
        for changes in self._unsaved:
            changes.drop(shard)

    def save(self, changes: Changes, *, at_once: bool) -> tuple[list[Order], list[int]]:
        """Save; give the commands that may now be carried out, and shards that are not ours.

        What no command, verdict or caller (`at_once`) waits for is held until `due_s`.

        Raises:
            StoreUnavailable: nothing is lost; the next save tries again.
        """
        if changes != Changes():
            self._unsaved.append(changes)
        self._commands.extend(changes.commands)
        if not (at_once or self._commands or changes.verdicts) and self._may_wait():
            return [], []
        saves, refused = self._compose()
        try:
            if saves:
                refused += self._shards.commit(list(saves.values()))
        except StoreUnavailable:
            self._due_s = monotonic_s() + RETRY_S
            raise
        self._due_s = None
        self._unsaved.clear()
        self._cursors.clear()
        commands, self._commands = self._commands, []
        return [order for order in commands if order.file.shard not in refused], refused

    def _may_wait(self) -> bool:
        now = monotonic_s()
        if self._due_s is None and (self._unsaved or self._cursors):
            self._due_s = now + HOLD_S
        return self._due_s is None or now < self._due_s

    def without_redis(self) -> list[Order]:
        """Give the commands that need no save before them."""
        now = [order for order in self._commands if isinstance(order.command, HARMLESS)]
        self._commands = [o for o in self._commands if not isinstance(o.command, HARMLESS)]
        return now

    def _compose(self) -> tuple[dict[int, Save], list[int]]:
        """Give the saves, and the shards that have changes but surely no lease any more."""
        saves: dict[int, Save | None] = {}
        for sid, file in _latest(changes.calls for changes in self._unsaved).items():
            if save := self._save(saves, shard_of_sid(sid)):
                save.call(file.call)
        for sid, stream in _latest(changes.streams for changes in self._unsaved).items():
            if save := self._save(saves, shard_of_sid(sid)):
                save.stream(stream)
        for changes in self._unsaved:
            for file in changes.retired.values():
                if save := self._save(saves, file.shard):
                    save.retire(file.call, self._history_s)
            for shard, alert in changes.alerts:
                if save := self._save(saves, shard):
                    save.alert(alert)
            for shard, event, order in changes.happened:
                if save := self._save(saves, shard):
                    save.event(event, order)
            for shard, request_id, verdict in changes.verdicts:
                if save := self._save(saves, shard):
                    save.verdict(request_id, verdict)
        for shard, entry_id in self._cursors.items():
            if save := self._save(saves, shard):
                save.cursor(entry_id)
        ours = {shard: save for shard, save in saves.items() if save is not None}
        return ours, [shard for shard in saves if shard not in ours]

    def _save(self, saves: dict[int, Save | None], shard: int) -> Save | None:
        if shard not in saves:
            epoch = self._leases.epoch(shard)
            saves[shard] = None if epoch is None else self._shards.begin(shard, epoch)
        return saves[shard]


def _latest(records: Iterable[Mapping[str, T]]) -> dict[str, T]:
    """Give each record as the last of these has it."""
    return {sid: record for each in records for sid, record in each.items()}
