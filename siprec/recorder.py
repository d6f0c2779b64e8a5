"""All calls of the shards that one controller owns, and what becomes of them. No I/O.

The controller feeds inbox entries, events and time; it takes `Changes`, saves them, and only
then carries the commands out.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from siprec import events as e
from siprec import inbox as i
from siprec.changes import CallFile, Changes, Order
from siprec.errors import OrderError
from siprec.leg_end import UNREACHABLE
from siprec.model import (
    Alert,
    AlertLevel,
    Call,
    Connector,
    Delivery,
    Leg,
    OnSecureCall,
    Plan,
    Stream,
    StreamOrder,
)
from siprec.orders import check_order
from siprec.sessions import Sessions
from siprec.settings import LimitSettings
from siprec.sids import SidError, call_sid_of, make_stream_sid
from siprec.srs_uri import parse_srs_uri
from siprec.step import RUNNING, begin, step
from siprec.tls_profile import tls_profile
from siprec.verdict import Verdict

UNKNOWN_CONNECTOR = 31940
TOO_MANY_TRACKS = 31960
DUPLICATE_NAME = 20001
NO_SUCH_STREAM = 31952
NOT_IN_PROGRESS = 21220
REPORTS_LOST = 20503

NOT_SECURE = 32209
UNRECORDED = "unrecorded"

EARLY_ENDS_KEPT = 1_000
DEADLINES_SWEPT = 1_000


class Choice(NamedTuple):
    """A connector, and the URIs of its SRSs that may record now, best first."""

    connector: Connector
    srs: tuple[str, ...]


Choose = Callable[[str, str], Choice | None]


class Recorder:
    """The calls and streams of a controller. `new_hex(n)` gives n random hex digits."""

    def __init__(self, limits: LimitSettings, new_hex: Callable[[int], str]) -> None:
        self._limits = limits
        self._new_hex = new_hex
        self._files: dict[str, CallFile] = {}
        self._deadlines: list[tuple[int, str]] = []
        self._sweep_above = DEADLINES_SWEPT
        self._early_ends: dict[str, i.ByeAnswered] = {}
        self._sessions = Sessions()
        self._changes = Changes()

    # Shards come and go

    def adopt(self, shard: int, calls: Iterable[tuple[Call, list[Stream]]], now_ms: int) -> None:
        """Take over the live calls of a shard: replies to what was sent may be lost."""
        for call, streams in calls:
            file = CallFile(shard, call, {stream.sid: stream for stream in streams})
            self._files[call.sid] = file
            self._watch(call)
            for stream in streams:
                self._sessions.changed(None, stream)
            for stream in streams:
                self.happen(stream.sid, e.OwnerChanged(), now_ms)
            if not call.is_live:
                for stream in streams:
                    self.happen(stream.sid, e.CallOver(reason=call.end_reason or ""), now_ms)
                self._retire_if_over(file)

    def drop(self, shard: int) -> None:
        """Forget a shard that is no longer ours, and what changed in it and is not saved."""
        self._changes.drop(shard)
        for sid in [sid for sid, file in self._files.items() if file.shard == shard]:
            for stream in self._files.pop(sid).streams.values():
                self._sessions.changed(stream, None)

    # Reading

    def file_of(self, stream_sid: str) -> CallFile | None:
        """Give the call of a stream, None when it is not here."""
        return self._files.get(call_sid_of(stream_sid))

    def stream(self, stream_sid: str) -> Stream | None:
        """Give a stream of a call that is here."""
        file = self.file_of(stream_sid)
        return None if file is None else file.streams.get(stream_sid)

    def live_calls(self) -> list[CallFile]:
        """List the calls that are here."""
        return list(self._files.values())

    @property
    def sessions(self) -> Mapping[str, int]:
        """Give the live sessions by `siprec.health.srs_key`."""
        return self._sessions.counts

    def next_deadline_ms(self) -> int | None:
        """Tell when `pass_time` has something to do."""
        return self._deadlines[0][0] if self._deadlines else None

    def take_changes(self) -> Changes:
        """Hand over what changed since the last time."""
        changes, self._changes = self._changes, Changes()
        return changes

    # What happens

    def apply(
        self,
        shard: int,
        entry: i.Entry,
        choose: Choose,
        now_ms: int,
    ) -> None:
        """Apply an inbox entry. `choose(account_sid, name)` looks a connector and its SRSs up.

        What that raises comes through, and nothing was changed then.
        """
        match entry:
            case i.CallAnswered():
                self._answered(shard, entry, choose, now_ms)
            case i.CallFailed():
                self._failed(shard, entry, now_ms)
            case i.CallChanged():
                self._changed(entry, now_ms)
            case i.ByeAnswered():
                self._bye_answered(entry, now_ms)
            case i.StartOrdered():
                self._start_ordered(shard, entry, choose, now_ms)
            case i.StopOrdered():
                self._stop_ordered(shard, entry, now_ms)
            case i.CallNotEnded(call_sid=sid, account_sid=account_sid, text=text):
                self._alert(shard, sid, UNREACHABLE, text, now_ms, account_sid=account_sid)
            case i.ReportsDropped(node=node, count=count):
                text = f"the proxy of {node} dropped {count} reports while Redis was away"
                self._alert(shard, "", REPORTS_LOST, text, now_ms)
            case _:
                raise TypeError("messages of the SRS are read by siprec.srs_dialog")

    def happen(self, stream_sid: str, event: e.Event, now_ms: int) -> None:
        """Apply an event to a stream; one that is not here is not ours to change."""
        file = self.file_of(stream_sid)
        if file is None or stream_sid not in file.streams:
            return
        before = file.streams[stream_sid]
        after, commands = step(before, event, now_ms)
        if after is before and not commands:
            return
        self._put(file, after)
        if after.history != before.history:
            self._changes.transitions.append((before, event, after))
        self._command(file, after, commands, now_ms)
        self._retire_if_over(file)

    def happen_to_leg(self, stream_sid: str, leg: int, event: e.LegEvent, now_ms: int) -> None:
        """Apply an event to a leg of a stream."""
        self.happen(stream_sid, e.LegHappened(leg=leg, event=event), now_ms)

    def note_request(self, stream_sid: str, leg: Leg) -> None:
        """Keep a leg whose dialog took a request of the SRS (its CSeq)."""
        file = self.file_of(stream_sid)
        if file is not None:
            stream = file.streams[stream_sid]
            legs = tuple(leg if each.number == leg.number else each for each in stream.legs)
            self._put(file, replace(stream, legs=legs))

    def tell(
        self,
        shard: int,
        account_sid: str,
        connector_name: str,
        code: int,
        text: str,
        level: AlertLevel,
        now_ms: int,
    ) -> None:
        """Raise an alert about a connector, in a shard that is ours."""
        alert = Alert(
            sid=f"NO{shard:02x}{self._new_hex(30)}",
            account_sid=account_sid,
            code=code,
            level=level,
            text=text,
            created_ms=now_ms,
            connector_name=connector_name,
        )
        self._changes.alerts.append((shard, alert))

    def end_call(self, call_sid: str, reason: str, now_ms: int) -> None:
        """End a call and with it its streams; an ended or unknown call is left alone."""
        file = self._files.get(call_sid)
        if file is None or not file.call.is_live:
            return
        file.call = replace(file.call, ended_ms=now_ms, end_reason=reason)
        self._changes.calls[call_sid] = file
        self._for_each_stream(call_sid, e.CallOver(reason=reason), now_ms)
        self._retire_if_over(file)

    def pass_time(self, now_ms: int) -> None:
        """Apply the deadlines that have come."""
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            due_ms, sid = heapq.heappop(self._deadlines)
            if sid.startswith("CA"):
                self.end_call(sid, "too-long", now_ms)
                continue
            stream = self.stream(sid)
            if stream is not None and stream.deadline_ms == due_ms:
                self.happen(sid, e.DeadlinePassed(), now_ms)

    # Entries

    def _answered(
        self,
        shard: int,
        entry: i.CallAnswered,
        choose: Choose,
        now_ms: int,
    ) -> None:
        call = entry.call
        if call.sid in self._files:
            return
        # A look-up may fail, so it comes before anything changes.
        choices = [choose(call.account_sid, o.connector_name) for o in entry.orders]
        file = CallFile(shard, call)
        self._files[call.sid] = file
        self._changes.calls[call.sid] = file
        self._watch(call)
        self._notices(shard, call, entry.notices, now_ms)
        for order, choice in zip(entry.orders, choices, strict=True):
            verdict = self._start(file, order, choice, now_ms)
            if not verdict.accepted:
                self._alert(shard, call.sid, verdict.code or 0, verdict.text, now_ms, order=order)
        early_end = self._early_ends.pop(call.sid, None)
        if early_end is not None:
            self._bye_answered(early_end, now_ms)

    def _changed(self, entry: i.CallChanged, now_ms: int) -> None:
        self._for_each_stream(entry.call_sid, e.CallReoffered(), now_ms)
        file = self._files.get(entry.call_sid)
        if file is None or entry.is_srtp is None or entry.is_srtp == file.call.is_srtp:
            return
        file.call = replace(file.call, is_srtp=entry.is_srtp)
        self._changes.calls[file.call.sid] = file
        for stream in list(file.running) if entry.is_srtp else ():
            policy = stream.plan.on_secure_call
            plain = [leg.srs for leg in stream.legs if leg.state in RUNNING and _is_plain(leg.srs)]
            if plain and policy is not OnSecureCall.ALLOW:
                self._not_secure(file, stream, plain[0], policy, now_ms)

    def _not_secure(
        self, file: CallFile, stream: Stream, srs: str, policy: OnSecureCall, now_ms: int
    ) -> None:
        """RFC 7866 §12: the recording must be as secure as the call."""
        text = f"the call's media is SRTP, that to {srs} is not"
        if policy is OnSecureCall.REFUSE:
            text += ": the recording ends"
        self._alert(
            file.shard,
            file.call.sid,
            NOT_SECURE,
            text,
            now_ms,
            order=stream.order,
            stream_sid=stream.sid,
            level=AlertLevel.ERROR if policy is OnSecureCall.REFUSE else AlertLevel.WARNING,
        )
        if policy is OnSecureCall.REFUSE:
            self.happen(stream.sid, e.Stopped(), now_ms)

    def _failed(self, shard: int, entry: i.CallFailed, now_ms: int) -> None:
        self._changes.retired[entry.call.sid] = CallFile(shard, entry.call)
        self._notices(shard, entry.call, entry.notices, now_ms)
        if not entry.media_released:
            self._changes.orphans.append(entry.call)

    def _bye_answered(self, entry: i.ByeAnswered, now_ms: int) -> None:
        file = self._files.get(entry.call_sid)
        if file is None:
            self._early_ends[entry.call_sid] = entry
            if len(self._early_ends) > EARLY_ENDS_KEPT:
                del self._early_ends[next(iter(self._early_ends))]
            return
        tags = {file.call.caller.tag, file.call.callee.tag}
        if {entry.from_tag, entry.to_tag} != tags:
            return
        self.end_call(entry.call_sid, "bye", now_ms)
        if not entry.media_released:
            # Not at a refused BYE, and not when rtpengine did not answer the proxy.
            self._changes.orphans.append(file.call)

    def _start_ordered(
        self,
        shard: int,
        entry: i.StartOrdered,
        choose: Choose,
        now_ms: int,
    ) -> None:
        file = self._files.get(entry.call_sid)
        if file is None or not file.call.is_live:
            text = f"call {entry.call_sid} is not in progress"
            verdict = Verdict(accepted=False, code=NOT_IN_PROGRESS, text=text)
        else:
            choice = choose(file.call.account_sid, entry.order.connector_name)
            verdict = self._start(file, entry.order, choice, now_ms)
            if not verdict.accepted:
                code = verdict.code or 0
                self._alert(shard, entry.call_sid, code, verdict.text, now_ms, order=entry.order)
        self._changes.verdicts.append((shard, entry.request_id, verdict))

    def _stop_ordered(self, shard: int, entry: i.StopOrdered, now_ms: int) -> None:
        try:
            stream = self.stream(entry.stream_sid)
        except SidError:
            stream = None
        if stream is None:
            text = f"no stream {entry.stream_sid} on a live call"
            verdict = Verdict(accepted=False, code=NO_SUCH_STREAM, text=text)
        else:
            verdict = Verdict(accepted=True, text="stopping", stream_sid=stream.sid)
            self.happen(stream.sid, e.Stopped(), now_ms)
        self._changes.verdicts.append((shard, entry.request_id, verdict))

    def _start(
        self, file: CallFile, order: StreamOrder, choice: Choice | None, now_ms: int
    ) -> Verdict:
        refusal = self._refusal(file, order, choice)
        if refusal is not None or choice is None:
            code, text = refusal or (UNKNOWN_CONNECTOR, "")
            return Verdict(accepted=False, code=code, text=text)
        plan = _plan(choice, file.call)
        begun = begin(
            sid=make_stream_sid(file.call.sid, len(file.streams) + 1),
            call_sid=file.call.sid,
            account_sid=file.call.account_sid,
            order=order,
            plan=plan,
            now_ms=now_ms,
        )
        self._put(file, begun.stream)
        self._changes.transitions.append((begun.stream, None, begun.stream))
        self._command(file, begun.stream, begun.commands, now_ms)
        plain = [leg.srs for leg in begun.stream.legs if _is_plain(leg.srs)]
        if file.call.is_srtp and plain and plan.on_secure_call is OnSecureCall.ALERT:
            self._not_secure(file, begun.stream, plain[0], plan.on_secure_call, now_ms)
        return Verdict(accepted=True, text="accepted", stream_sid=begun.stream.sid)

    def _refusal(
        self, file: CallFile, order: StreamOrder, choice: Choice | None
    ) -> tuple[int, str] | None:
        try:
            check_order(order)
        except OrderError as error:
            return error.code, str(error)
        if choice is None:
            return UNKNOWN_CONNECTOR, f"connectorName: no connector {order.connector_name!r}"
        if order.name and any(s.order.name == order.name for s in file.running):
            return DUPLICATE_NAME, f"name: a stream {order.name!r} runs on this call already"
        taken = sum(len(stream.order.track.sides) for stream in file.running)
        limit = self._limits.tracks_per_call
        if taken + len(order.track.sides) > limit:
            return TOO_MANY_TRACKS, f"track: {taken} of at most {limit} tracks are taken"
        if choice.srs and not _plan(choice, file.call).srs:
            text = f"connectorName: the call's media is SRTP, {order.connector_name!r} has none"
            return NOT_SECURE, text
        return None

    # Book-keeping

    def _for_each_stream(self, call_sid: str, event: e.Event, now_ms: int) -> None:
        file = self._files.get(call_sid)
        for sid in list(file.streams) if file is not None else ():
            self.happen(sid, event, now_ms)

    def _put(self, file: CallFile, stream: Stream) -> None:
        self._sessions.changed(file.streams.get(stream.sid), stream)
        file.streams[stream.sid] = stream
        self._changes.streams[stream.sid] = stream
        if stream.deadline_ms is not None:
            self._remind(stream.deadline_ms, stream.sid)

    def _command(
        self, file: CallFile, stream: Stream, commands: Iterable[e.Command], now_ms: int
    ) -> None:
        for command in commands:
            if isinstance(command, e.ForLeg):
                order = Order(file, stream.sid, command.leg, command.command)
                self._changes.commands.append(order)
            elif isinstance(command, e.EndCall):
                self._end_unrecorded(file, command.text, now_ms)
            else:
                self._alert(
                    file.shard,
                    file.call.sid,
                    command.code,
                    command.text,
                    now_ms,
                    order=stream.order,
                    stream_sid=stream.sid,
                    level=command.level,
                )

    def _end_unrecorded(self, file: CallFile, text: str, now_ms: int) -> None:
        """End a call that must not go on unrecorded; its proxy sends the BYEs."""
        if not file.call.is_live:
            return
        self._alert(file.shard, file.call.sid, UNREACHABLE, f"the call is ended: {text}", now_ms)
        self._changes.to_end.append((file.call, text))
        self.end_call(file.call.sid, UNRECORDED, now_ms)
        self._changes.orphans.append(file.call)

    def _notices(self, shard: int, call: Call, notices: Iterable[i.Notice], now_ms: int) -> None:
        for notice in notices:
            self._alert(
                shard,
                call.sid,
                notice.code,
                notice.text,
                now_ms,
                account_sid=call.account_sid,
            )

    def _alert(
        self,
        shard: int,
        call_sid: str,
        code: int,
        text: str,
        now_ms: int,
        *,
        order: StreamOrder | None = None,
        stream_sid: str | None = None,
        account_sid: str = "",
        level: AlertLevel = AlertLevel.ERROR,
    ) -> None:
        file = self._files.get(call_sid)
        alert = Alert(
            sid=f"NO{shard:02x}{self._new_hex(30)}",
            account_sid=file.call.account_sid if file is not None else account_sid,
            code=code,
            level=level,
            text=text,
            created_ms=now_ms,
            call_sid=call_sid or None,
            stream_sid=stream_sid,
            connector_name=order.connector_name if order is not None else None,
        )
        self._changes.alerts.append((shard, alert))

    def _watch(self, call: Call) -> None:
        if call.answered_ms is not None:
            due_ms = call.answered_ms + self._limits.call_s * 1000
            self._remind(due_ms, call.sid)

    def _remind(self, due_ms: int, sid: str) -> None:
        heapq.heappush(self._deadlines, (due_ms, sid))
        if len(self._deadlines) > self._sweep_above:
            # Most calls end hours before their longest duration.
            self._deadlines = [due for due in self._deadlines if self._is_awaited(*due)]
            heapq.heapify(self._deadlines)
            self._sweep_above = max(DEADLINES_SWEPT, 2 * len(self._deadlines))

    def _is_awaited(self, due_ms: int, sid: str) -> bool:
        if sid.startswith("CA"):
            return sid in self._files
        stream = self.stream(sid)
        return stream is not None and stream.deadline_ms == due_ms

    def _retire_if_over(self, file: CallFile) -> None:
        if file.is_over and self._files.pop(file.call.sid, None) is not None:
            self._changes.calls.pop(file.call.sid, None)
            self._changes.retired[file.call.sid] = file


def _is_plain(srs: str) -> bool:
    return not parse_srs_uri(srs).uses_srtp


def _plan(choice: Choice, call: Call) -> Plan:
    """Keep what a stream needs of its connector, whatever becomes of that."""
    connector, srs = choice
    if call.is_srtp and connector.on_secure_call is OnSecureCall.REFUSE:
        srs = tuple(uri for uri in srs if not _is_plain(uri))
    return Plan(
        srs=srs,
        is_parallel=connector.delivery is Delivery.PARALLEL,
        answer_ms=connector.answer_s * 1000,
        total_ms=connector.total_s * 1000,
        check_ms=connector.options_s * 1000,
        has_digest=bool(connector.digest_user),
        tls_profile=tls_profile(connector).name,
        end_call_ms=None if connector.end_call_s is None else connector.end_call_s * 1000,
        on_secure_call=connector.on_secure_call,
    )
