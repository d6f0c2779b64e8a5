"""The controller: one event loop that owns shards. Runs in an rtimer process of the SRC role.

A turn takes everything that is there (inbox entries, rtpengine's replies, messages of the SRS,
deadlines), steps all, saves all in one pipeline, then carries all commands out.
"""

import os
import secrets
import selectors
from collections.abc import Iterable, Mapping

from rtpengine_ng.client import NgSocket
from siprec import events as e
from siprec.changes import CallFile
from siprec.inbox import Entry, SrsReplied, SrsRequested, from_fields
from siprec.model import Connector
from siprec.recorder import Recorder
from siprec.settings import Runtime
from siprec.shard_store import ShardStore
from siprec.sids import parse_leg_call_id
from siprec.srs_dialog import event_of
from siprec.store import Store, StoreUnavailable, connect
from siprec_kemi import ksr
from siprec_kemi.clock import monotonic_s, now_ms
from siprec_kemi.runtime import boot_id
from siprec_kemi.src.addresses import Addresses
from siprec_kemi.src.audit import Audit
from siprec_kemi.src.connectors import Connectors
from siprec_kemi.src.forks import Forks
from siprec_kemi.src.inbox_reader import InboxReader
from siprec_kemi.src.leases import Leases
from siprec_kemi.src.mail import Mailbox
from siprec_kemi.src.owners import Owners
from siprec_kemi.src.resolver import Resolver
from siprec_kemi.src.saver import Saver
from siprec_kemi.src.sender import Sender
from siprec_kemi.src.srs import Srs

REDIS_TIMEOUT_S = 0.5
RETRY_S = 0.2


class Controller:
    """Owns shards, writes their calls and streams, and talks to rtpengine and the SRS."""

    def __init__(self, runtime: Runtime, owners: Owners, sender: Sender, index: int) -> None:
        settings = runtime.settings
        url, prefix = settings.redis.url or "", settings.redis.prefix
        self._name = f"{runtime.node}/{boot_id()}/{index}/{os.getpid()}"
        self._owners = owners
        client = connect(url, timeout_s=REDIS_TIMEOUT_S)
        self._shards = ShardStore(client, prefix, self._name)
        self._leases = Leases(self._shards)
        self._connectors = Connectors(Store(client, prefix))
        # The reader blocks on purpose; its replies come at the latest after BLOCK_MS.
        self._inboxes = InboxReader(connect(url, timeout_s=5.0), prefix)
        self._recorder = Recorder(settings.limits, lambda n: secrets.token_hex(n)[:n])
        self._selector = selectors.DefaultSelector()
        self._mailbox = Mailbox()
        self._selector.register(self._mailbox, selectors.EVENT_READ, self._mailbox)
        self._resolver = Resolver(self._mailbox.wake)
        self._forks = Forks(
            stream_of=self._recorder.stream,
            happen=self._happen,
            end_call=self._end_call,
            register=self._watch_fork_socket,
        )
        self._srs = Srs(
            node=runtime.node,
            addresses=Addresses(settings.src),
            resolver=self._resolver,
            sender=sender,
            recorder=self._recorder,
            connector_of=self._connector_of,
        )
        self._saver = Saver(self._shards, self._leases, settings.limits.history_s)
        self._audit = Audit(self._forks, self._recorder)
        self._retry_s = 0.0

    def run(self) -> None:
        """Turn for ever. A fault in one turn is logged and does not end the controller."""
        ksr.log("info", f"controller {self._name} starts")
        while True:
            try:
                self.turn()
            except Exception as error:
                ksr.log("error", f"controller: {type(error).__name__}: {error}")

    def turn(self) -> None:
        """Wait for something to happen, and deal with all that did."""
        for key, _ in self._selector.select(self._wait_s()):
            if key.data is self._mailbox:
                self._read_mail()
            elif key.data is self._inboxes:
                self._read_inboxes()
            else:
                self._forks.take(key.data.receive())
        self._care()
        self._settle()

    # What happens

    def _happen(self, stream_sid: str, event: e.Event) -> None:
        self._recorder.happen(stream_sid, event, now_ms())

    def _end_call(self, call_sid: str, reason: str) -> None:
        self._recorder.end_call(call_sid, reason, now_ms())

    def _connector_of(self, account_sid: str, name: str) -> Connector | None:
        return self._connectors.find(account_sid, name)

    def _watch_fork_socket(self, socket: NgSocket) -> None:
        self._selector.register(socket, selectors.EVENT_READ, socket)

    def _read_mail(self) -> None:
        for reply in self._mailbox.receive():
            self._take_reply(reply)

    def _take_reply(self, reply: SrsReplied) -> None:
        event, leg = event_of(reply), parse_leg_call_id(reply.call_id)
        if event is None or leg is None:
            return
        if isinstance(event, e.SrsAnswered) and self._recorder.stream(leg[0]) is None:
            self._srs.drop_stranger(reply.call_id, event)
            return
        self._happen(leg[0], event)

    def _read_inboxes(self) -> None:
        try:
            for shard, entry_id, fields in self._inboxes.take():
                # A shard may have been given away since the read began.
                if shard in self._inboxes.after:
                    self._apply_fields(shard, entry_id, fields)
                    self._inboxes.after[shard] = entry_id
                    self._saver.applied(shard, entry_id)
        except StoreUnavailable as error:
            # What was not applied is read again.
            self._redis_is_away(error)

    def _apply_fields(self, shard: int, entry_id: str, fields: Mapping[str, str]) -> None:
        try:
            self._apply(shard, from_fields(fields))
        except StoreUnavailable:
            raise
        except Exception as error:
            # An entry that nobody can apply must not be read for ever.
            ksr.log("error", f"inbox {shard:02x} {entry_id}: {type(error).__name__}: {error}")

    def _apply(self, shard: int, entry: Entry) -> None:
        match entry:
            case SrsRequested():
                self._srs.take_request(entry, now_ms())
            case SrsReplied():
                self._take_reply(entry)
            case _:
                self._recorder.apply(shard, entry, self._connector_of, now_ms())

    # Time

    def _wait_s(self) -> float:
        now = monotonic_s()
        due = [self._leases.due_s - now, self._audit.due_s - now]
        if not self._inboxes.is_reading and self._inboxes.after:
            due.append(self._retry_s - now)
        fork_due_s = self._forks.next_due_s()
        if fork_due_s is not None:
            due.append(fork_due_s - now)
        deadline_ms = self._recorder.next_deadline_ms()
        if deadline_ms is not None:
            due.append((deadline_ms - now_ms()) / 1000 + 0.001)
        if self._saver.due_s is not None:
            due.append(self._saver.due_s - now)
        return max(0.0, min(due))

    def _care(self) -> None:
        self._resolver.deliver()
        self._forks.tick()
        self._recorder.pass_time(now_ms())
        self._audit.care()
        now = monotonic_s()
        if now >= self._leases.due_s:
            # A shard that is given to a newcomer takes along all that happened to it.
            self._settle(at_once=True)
            self._renew()
        if not self._inboxes.is_reading and now >= self._retry_s:
            self._read_on()

    def _renew(self) -> None:
        try:
            turnover = self._leases.renew()
        except StoreUnavailable as error:
            self._redis_is_away(error)
            expired = self._leases.expired()
            self._let_go(expired)
            if expired:
                ksr.log("error", f"controller {self._name} could not keep {len(expired)} shards")
            return
        self._let_go(turnover.lost)
        if turnover.lost:
            ksr.log("warning", f"controller {self._name} lost {len(turnover.lost)} shards")
        self._let_go(turnover.given)
        for grant in turnover.gained:
            self._recorder.adopt(grant.shard, self._shards.load(grant.shard), now_ms())
            self._inboxes.after[grant.shard] = grant.cursor
            self._owners.set_port(grant.shard, self._mailbox.port)
        if turnover.gained:
            ksr.log("info", f"controller {self._name} took {len(turnover.gained)} shards")

    def _let_go(self, shards: Iterable[int]) -> None:
        for shard in shards:
            self._leases.forget(shard)
            self._owners.clear(shard, self._mailbox.port)
            self._inboxes.after.pop(shard, None)
            self._recorder.drop(shard)
            self._saver.drop(shard)

    def _read_on(self) -> None:
        is_new = not self._inboxes.is_connected
        try:
            self._inboxes.ask()
        except StoreUnavailable as error:
            self._redis_is_away(error)
            return
        if is_new and self._inboxes.is_connected:
            self._selector.register(self._inboxes, selectors.EVENT_READ, self._inboxes)

    def _redis_is_away(self, error: StoreUnavailable) -> None:
        ksr.log("warning", f"controller: {error}")
        self._retry_s = monotonic_s() + RETRY_S
        if self._inboxes.is_connected:
            self._selector.unregister(self._inboxes)
            self._inboxes.close()

    # Saving, and only then doing

    def _settle(self, *, at_once: bool = False) -> None:
        """Save what changed, then do what follows; doing may change more."""
        while True:
            changes = self._recorder.take_changes()
            for before, event, after in changes.transitions:
                _log_transition(before, event, after)
            for call in changes.orphans:
                self._forks.release_call(call)
            try:
                is_awaited = at_once or self._srs.has_answers
                commands, refused = self._saver.save(changes, at_once=is_awaited)
            except StoreUnavailable as error:
                ksr.log("warning", f"controller: not saved: {error}")
                self._retry_s = monotonic_s() + RETRY_S
                commands, refused = self._saver.without_redis(), []
            self._let_go(refused)
            if not commands and not self._srs.has_answers:
                return
            for file, stream_sid, command in commands:
                self._carry_out(file, stream_sid, command)
            self._srs.send_answers()

    def _carry_out(self, file: CallFile, stream_sid: str, command: e.Command) -> None:
        stream = file.streams.get(stream_sid)
        if stream is None or self._leases.epoch(file.shard) is None:
            return
        match command:
            case e.RequestFork():
                self._forks.request(file.call, stream)
            case e.AnswerFork():
                self._forks.answer(file.call, stream)
            case e.ReleaseFork(fork_tag=fork_tag):
                self._forks.release(file.call, stream_sid, fork_tag)
            case e.SendInvite():
                self._srs.invite(file.call, stream)
            case e.SendCancel(call_id=call_id):
                self._srs.cancel(call_id)
            case e.SendBye():
                self._srs.bye(file.call, stream)
            case e.DropLateAnswer(answer=answer):
                self._srs.drop_late(stream, answer)
            case e.RaiseAlert():
                raise TypeError("alerts are saved, not carried out")


def _log_transition(before: object, event: object, after: object) -> None:
    """Log one line: call, stream, old state, event, new state."""
    old = getattr(before, "state", "-") if event is not None else "-"
    name = type(event).__name__ if event is not None else "Started"
    call_sid, sid = getattr(after, "call_sid", ""), getattr(after, "sid", "")
    ksr.log("info", f"{call_sid} {sid} {old} {name} {getattr(after, 'state', '')}")
