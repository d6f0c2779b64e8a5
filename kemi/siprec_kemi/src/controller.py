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
from siprec.changes import Order
from siprec.connector import Connector
from siprec.errors import SipUriError
from siprec.inbox import (
    CallAnswered,
    CallReferred,
    CallRinging,
    CommandRefused,
    Entry,
    SrsReplied,
    SrsRequested,
    from_fields,
)
from siprec.leg_dialog import request_of
from siprec.leg_target import target_of
from siprec.model import Call, Leg, Stream
from siprec.recorder import Choice, Recorder
from siprec.settings import Runtime
from siprec.shard_store import ShardStore
from siprec.sids import parse_leg_call_id
from siprec.srs_dialog import event_of
from siprec.store import Store, StoreUnavailable, connect
from siprec.vault import Vault
from siprec_kemi import ksr
from siprec_kemi.clock import monotonic_s, now_ms
from siprec_kemi.runtime import boot_id
from siprec_kemi.src.addresses import Addresses, UnknownEdge
from siprec_kemi.src.audit import Audit
from siprec_kemi.src.checks import Checks
from siprec_kemi.src.commands import Commands
from siprec_kemi.src.connectors import Connectors
from siprec_kemi.src.deaths import Deaths
from siprec_kemi.src.doors import Doors, Knock
from siprec_kemi.src.endings import Endings
from siprec_kemi.src.forks import Forks, media_of
from siprec_kemi.src.inbox_reader import InboxReader
from siprec_kemi.src.kin import Kin
from siprec_kemi.src.leases import Leases
from siprec_kemi.src.lessons import Lessons
from siprec_kemi.src.mail import Mailbox
from siprec_kemi.src.owners import Owners
from siprec_kemi.src.pools import Pools
from siprec_kemi.src.probes import Probes
from siprec_kemi.src.reach import Reach
from siprec_kemi.src.resolver import Resolver
from siprec_kemi.src.saver import Saver
from siprec_kemi.src.sender import Sender
from siprec_kemi.src.srs import Srs
from siprec_kemi.src.tls_peers import TlsPeers
from siprec_kemi.src.tones import Tones
from siprec_web.overrides import url_fault

REDIS_TIMEOUT_S = 0.5
RETRY_S = 0.2
BAD_CONFIGURATION = 31942


class Controller:
    """Owns shards, writes their calls and streams, and talks to rtpengine and the SRS."""

    def __init__(self, runtime: Runtime, owners: Owners, sender: Sender, index: int) -> None:
        settings = runtime.settings
        url, prefix = settings.redis.url or "", settings.redis.prefix
        self._name = f"{runtime.node}/{boot_id()}/{index}/{os.getpid()}"
        self._owners = owners
        client = connect(url, timeout_s=REDIS_TIMEOUT_S)
        self._vault = vault = Vault.from_runtime(runtime)
        self._shards = ShardStore(client, prefix, self._name, vault)
        self._leases = Leases(self._shards)
        self._store = Store(client, prefix, vault)
        self._connectors = Connectors(self._store)
        # The reader blocks on purpose; its replies come at the latest after BLOCK_MS.
        self._inboxes = InboxReader(connect(url, timeout_s=5.0), prefix)
        self._recorder = Recorder(settings.limits, lambda n: secrets.token_hex(n)[:n], url_fault)
        self._selector = selectors.DefaultSelector()
        self._commands = Commands(url, prefix, client, self._selector, self._recorder)
        self._mailbox = Mailbox()
        self._selector.register(self._mailbox, selectors.EVENT_READ, self._mailbox)
        self._pools = Pools(self._store, self._name, lambda: self._recorder.sessions)
        self._addresses = Addresses(runtime)
        self._resolver = Resolver(self._mailbox.wake, self._addresses)
        self._forks = Forks(
            stream_of=self._recorder.stream,
            happen=self._happen_to_leg,
            end_call=self._end_call,
            register=self._watch_fork_socket,
        )
        self._doors = Doors(self._selector)
        self._probes = Probes(
            addresses=self._addresses,
            resolver=self._resolver,
            doors=self._doors,
            sender=sender,
            port=self._mailbox.port,
        )
        self._tls = TlsPeers(
            addresses=self._addresses, probes=self._probes, loaded=runtime.tls_loaded
        )
        self._srs = Srs(
            node=runtime.node,
            reach=Reach(self._addresses, self._resolver, self._doors, self._tls),
            sender=sender,
            recorder=self._recorder,
            connector_of=self._connector_of,
        )
        self._saver = Saver(self._shards, self._leases, settings.limits.history_s)
        self._audit = Audit(self._forks, self._recorder)
        self._deaths = Deaths(self._pools, self._recorder, self._forks)
        checks = Checks(self._probes, self._tls, self._recorder)
        self._watch = checks.watch(self._store, lambda shard: self._leases.epoch(shard) is not None)
        self._lessons = Lessons(self._pools, self._watch, self._connector_of)
        self._endings = Endings(self._store)
        self._kin = Kin(self._shards, self._recorder, settings.limits)
        self._tones = Tones(
            settings.awareness,
            file_of=self._recorder.file_of,
            register=self._watch_fork_socket,
        )
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
            elif key.data is self._commands.reader:
                key.data.take()
            elif isinstance(key.data, Knock):
                self._doors.take(key.data)
            else:
                outcomes = key.data.receive()
                self._forks.take(outcomes)
                self._tones.take(outcomes)
        self._care()
        self._settle()

    # What happens

    def _happen_to_leg(self, stream_sid: str, leg: int, event: e.LegEvent) -> None:
        self._recorder.happen_to_leg(stream_sid, leg, event, now_ms())

    def _end_call(self, call_sid: str, reason: str) -> None:
        self._recorder.end_call(call_sid, reason, now_ms())

    def _connector_of(self, account_sid: str, name: str) -> Connector | None:
        return self._connectors.find(account_sid, name)

    def _choose(self, account_sid: str, name: str) -> Choice | None:
        connector = self._connectors.find(account_sid, name)
        if connector is None:
            return None
        return Choice(connector, self._pools.candidates(connector, now_ms()))

    def _watch_fork_socket(self, socket: NgSocket) -> None:
        self._selector.register(socket, selectors.EVENT_READ, socket)

    def _read_mail(self) -> None:
        for reply in self._mailbox.receive():
            self._take_reply(reply)

    def _take_reply(self, reply: SrsReplied) -> None:
        if self._probes.take(reply):
            return
        event, named = event_of(reply), parse_leg_call_id(reply.call_id)
        if event is None or named is None:
            return
        stream = self._recorder.stream(named.stream_sid)
        if stream is not None:
            self._srs.flow_failed(reply, stream)
            self._happen_to_leg(named.stream_sid, named.leg, event)
        elif isinstance(event, e.SrsAnswered):
            self._srs.drop_stranger(reply.call_id, event)

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
            self._apply(shard, from_fields(fields, self._vault.unseal))
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
            case CallReferred():
                self._kin.referred(entry)
            case CommandRefused():
                self._commands.refused(shard, entry)
            case CallAnswered() | CallRinging():
                self._recorder.apply(shard, self._kin.joined(entry), self._choose, now_ms())
            case _:
                self._recorder.apply(shard, self._commands.named(entry), self._choose, now_ms())

    # Time

    def _wait_s(self) -> float:
        now = monotonic_s()
        due = [each.due_s - now for each in (self._audit, self._deaths, self._leases)]
        due.append(self._watch.next_due_s() - now)
        others = (
            self._forks,
            self._doors,
            self._probes,
            self._tls,
            self._tones,
            self._commands.reader,
        )
        waits = [each.next_due_s() for each in others]
        due += [due_s - now for due_s in waits if due_s is not None]
        if not self._inboxes.is_reading and self._inboxes.after:
            due.append(self._retry_s - now)
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
        self._pools.care(now_ms())
        connections = (self._doors, self._probes, self._tls, self._tones)
        for each in (self._audit, self._deaths, *connections, self._watch):
            each.care()
        self._commands.care(self._leases)
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
            self._tones.adopt(self._recorder.live_calls())
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
            self._commands.tell(changes)
            self._lessons.learn(changes)
            self._tones.learn(changes.streams.values())
            self._kin.learn(changes)
            for call in changes.orphans:
                self._forks.release_call(call)
            self._endings.order(changes.to_end)
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
            for order in commands:
                self._carry_out(order)
            self._srs.send_answers()

    def _carry_out(self, order: Order) -> None:
        file, stream_sid, number, command = order
        stream = file.streams.get(stream_sid)
        leg = None if stream is None else stream.leg(number)
        if stream is None or self._leases.epoch(file.shard) is None:
            return
        if isinstance(command, e.DropLateAnswer):
            self._srs.drop_late(stream, leg or Leg(number=number), command.answer)
            return
        if leg is None:
            return
        match command:
            case e.RequestFork():
                self._request_fork(file.call, stream, leg)
            case e.AnswerFork():
                self._forks.answer(file.call, stream, leg)
            case e.ReleaseFork(fork_tag=fork_tag):
                self._forks.release(file.call, stream_sid, number, fork_tag)
            case e.SendInvite():
                self._srs.invite(file.call, stream, leg)
            case e.SendAsked():
                if (asking := request_of(leg, command)) is not None:
                    self._srs.ask(file.call, stream, asking)
            case e.SendCancel(call_id=call_id, cseq=cseq):
                self._srs.cancel(call_id, cseq)
            case e.SendBye():
                self._srs.bye(file.call, stream, leg)
            case e.SendOptions():
                if (asking := request_of(leg, command)) is not None:
                    self._srs.options(stream, asking)
            case e.RaiseAlert():
                raise TypeError("alerts are saved, not carried out")

    def _request_fork(self, call: Call, stream: Stream, leg: Leg) -> None:
        """Ask for a fork as the connector and the edge want it."""
        name = stream.order.connector_name
        try:
            connector = self._connector_of(call.account_sid, name)
            target = target_of(leg)
            interface = self._addresses.interface_of(target.edge)
        except UnknownEdge as error:
            refused = e.ForkRefused(text=str(error), code=BAD_CONFIGURATION)
        except (StoreUnavailable, SipUriError) as error:
            refused = e.ForkRefused(text=str(error))
        else:
            if connector is not None:
                media = media_of(connector, target, interface)
                self._forks.request(call, stream, leg, media)
                return
            refused = e.ForkRefused(text=f"the connector {name!r} was deleted")
        self._happen_to_leg(stream.sid, leg.number, refused)
