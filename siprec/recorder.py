"""All calls of the shards that one controller owns, and what becomes of them. No I/O.

The controller feeds inbox entries, events and time; it takes `Changes`, saves them, and only
then carries the commands out.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from siprec import events as e
from siprec import inbox as i
from siprec.alerts import About, AlertLevel
from siprec.call_changes import answered_call, changed_call, picture_of, rung_call
from siprec.call_files import CallFiles
from siprec.changes import CallFile, Changes, Order
from siprec.connector import OnSecureCall
from siprec.early_ends import EarlyEnds
from siprec.leg_end import UNREACHABLE
from siprec.live_orders import judge
from siprec.model import Call, Leg, Stream, StreamOrder
from siprec.plans import (
    NOT_SECURE,
    UNKNOWN_CONNECTOR,
    Choose,
    Chosen,
    Refusal,
    choose_all,
    plain_srs,
    plan_of,
    refusal_of,
    secured,
)
from siprec.plans import Choice as Choice
from siprec.reported_faults import told
from siprec.settings import LimitSettings
from siprec.sids import SidError, make_stream_sid
from siprec.status_urls import StatusUrls, UrlFault
from siprec.step import RUNNING, begin, step
from siprec.verdict import NOT_IN_PROGRESS, Verdict

UNRECORDED = "unrecorded"
HUNG_UP = "hung-up"


class Recorder:
    """The calls and streams of a controller. `new_hex(n)` gives n random hex digits."""

    def __init__(
        self, limits: LimitSettings, new_hex: Callable[[int], str], url_fault: UrlFault
    ) -> None:
        self._limits, self._urls = limits, StatusUrls(url_fault)
        self._files = CallFiles(limits, new_hex)
        self._early_ends = EarlyEnds()

    # Shards come and go

    def adopt(self, shard: int, calls: Iterable[tuple[Call, list[Stream]]], now_ms: int) -> None:
        """Take over the live calls of a shard: replies to what was sent may be lost."""
        for call, streams in calls:
            file = self._files.adopt(shard, call, streams)
            for stream in streams:
                self.happen(stream.sid, e.OwnerChanged(), now_ms)
            if not call.is_live:
                for stream in streams:
                    self.happen(stream.sid, e.CallOver(reason=call.end_reason or ""), now_ms)
                self._files.retire_if_over(file)

    def drop(self, shard: int) -> None:
        """Forget a shard that is no longer ours, and what changed in it and is not saved."""
        self._files.drop(shard)

    # Reading

    def file_of(self, stream_sid: str) -> CallFile | None:
        """Give the call of a stream, None when it is not here."""
        return self._files.of_stream(stream_sid)

    def stream(self, stream_sid: str) -> Stream | None:
        """Give a stream of a call that is here."""
        return self._files.stream(stream_sid)

    def call_file(self, call_sid: str) -> CallFile | None:
        """Give a call that is here."""
        return self._files.get(call_sid)

    def live_calls(self) -> list[CallFile]:
        """List the calls that are here."""
        return list(self._files)

    @property
    def sessions(self) -> Mapping[str, int]:
        """Give the live sessions by `siprec.health.srs_key`."""
        return self._files.session_counts

    def next_deadline_ms(self) -> int | None:
        """Tell when `pass_time` has something to do."""
        return self._files.next_deadline_ms()

    def take_changes(self) -> Changes:
        """Hand over what changed since the last time."""
        return self._files.take_changes()

    # What happens

    def apply(self, shard: int, entry: i.Entry, choose: Choose, now_ms: int) -> None:
        """Apply an inbox entry. `choose(account_sid, name)` looks a connector and its SRSs up.

        What that raises comes through, and nothing was changed then.
        """
        match entry:
            case i.CallRinging():
                self._ringing(shard, entry, choose, now_ms)
            case i.CallAnswered():
                self._answered(shard, entry, choose, now_ms)
            case i.CallFailed():
                self._failed(shard, entry, now_ms)
            case i.CallChanged():
                self._changed(entry, now_ms)
            case i.ByeAnswered():
                self._bye_answered(entry, now_ms)
            case i.CallHungUp():
                self._hung_up(entry, now_ms)
            case i.StartOrdered():
                self._start_ordered(shard, entry, choose, now_ms)
            case i.StopOrdered() | i.PauseOrdered():
                self._ordered(shard, entry, now_ms)
            case i.CallNotEnded() | i.CallbackFailed() | i.DocumentFailed() | i.ReportsDropped():
                self._files.alert(shard, *told(entry), now_ms)
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
        self._files.put(file, after)
        if after.history != before.history:
            self._files.changes.moved(file, before, event, after, now_ms)
        self._command(file, after, commands, now_ms)
        known = {leg.number for leg in before.legs}
        self._check_security(file, file.streams[stream_sid], known, now_ms)
        self._files.retire_if_over(file)

    def happen_to_leg(self, stream_sid: str, leg: int, event: e.LegEvent, now_ms: int) -> None:
        """Apply an event to a leg of a stream."""
        self.happen(stream_sid, e.LegHappened(leg=leg, event=event), now_ms)

    def note_request(self, stream_sid: str, leg: Leg) -> None:
        """Keep a leg whose dialog took a request of the SRS (its CSeq)."""
        file = self.file_of(stream_sid)
        if file is not None:
            stream = file.streams[stream_sid]
            legs = tuple(leg if each.number == leg.number else each for each in stream.legs)
            self._files.put(file, replace(stream, legs=legs))

    def tell(
        self, shard: int, about: About, code: int, text: str, level: AlertLevel, now_ms: int
    ) -> None:
        """Raise an alert about what is no call's, in a shard that is ours."""
        self._files.alert(shard, about, code, text, now_ms, level)

    def end_call(self, call_sid: str, reason: str, now_ms: int) -> None:
        """End a call and with it its streams; an ended or unknown call is left alone."""
        file = self._files.get(call_sid)
        if file is None or not file.call.is_live:
            return
        self._files.change(file, replace(file.call, ended_ms=now_ms, end_reason=reason))
        self._for_each_stream(call_sid, e.CallOver(reason=reason), now_ms)
        self._files.retire_if_over(file)

    def pass_time(self, now_ms: int) -> None:
        """Apply the deadlines that have come."""
        for sid in self._files.due(now_ms):
            if sid.startswith("CA"):
                self.end_call(sid, "too-long", now_ms)
            else:
                self.happen(sid, e.DeadlinePassed(), now_ms)

    # Entries

    def _ringing(self, shard: int, entry: i.CallRinging, choose: Choose, now_ms: int) -> None:
        """Know a call that rings; record its early media where the connector says so."""
        call, early = entry.call, list[Chosen]()
        if call.early_ms is not None:
            chosen = choose_all(call.account_sid, self._urls.mended(entry.orders), choose)
            early = [(o, c) for o, c in chosen if c is not None and c.connector.early_media]
        file = self._files.get(call.sid)
        if self._early_ends.has_failed(call.sid) or (file and (file.call.has_media or not early)):
            return
        call = rung_call(file.call if file else None, call, is_early=bool(early))
        if file is None:
            file = self._files.open(shard, call)
        else:
            self._files.change(file, call)
        self._start_all(file, early, now_ms)

    def _answered(self, shard: int, entry: i.CallAnswered, choose: Choose, now_ms: int) -> None:
        call = entry.call
        file = self._files.get(call.sid)
        if file is not None and file.call.answered_ms is not None:
            return
        # A look-up may fail, so it comes before anything changes.
        chosen = choose_all(call.account_sid, self._urls.mended(entry.orders), choose)
        if file is None:
            file = self._files.open(shard, call)
        else:
            chosen = self._go_on_from_early(file, call, chosen, now_ms)
        notices = (*entry.notices, *self._urls.notices(entry.orders))
        self._files.notices(shard, call, notices, now_ms)
        self._start_all(file, chosen, now_ms)
        match self._early_ends.take(call.sid):
            case i.ByeAnswered() as end:
                self._bye_answered(end, now_ms)
            case i.CallHungUp() as end:
                self._hung_up(end, now_ms)

    def _start_all(self, file: CallFile, chosen: Iterable[Chosen], now_ms: int) -> None:
        for order, choice in chosen:
            # One of them may have ended the call: nobody could record it.
            if file.call.is_live:
                verdict = self._start(file, order, choice, now_ms)
                if not verdict.accepted:
                    self._files.changes.refused(file, order, verdict, now_ms)

    def _go_on_from_early(
        self, file: CallFile, call: Call, chosen: list[Chosen], now_ms: int
    ) -> list[Chosen]:
        """Go on with the streams of early media that are still wished; give what is to start.

        To rtpengine the callee is the same, whichever device has answered.
        """
        self._files.change(file, answered_call(file.call, call))
        for stream in list(file.running):
            started = next((each for each in chosen if each[0] == stream.order), None)
            if started is None:
                self.happen(stream.sid, e.Stopped(), now_ms)
                continue
            chosen.remove(started)
            self.happen(stream.sid, e.CallReoffered(), now_ms)
            self.happen(stream.sid, e.Pictured(picture=picture_of(file.call)), now_ms)
        return chosen

    def _changed(self, entry: i.CallChanged, now_ms: int) -> None:
        if entry.has_sdp:
            self._for_each_stream(entry.call_sid, e.CallReoffered(), now_ms)
        file = self._files.get(entry.call_sid)
        before = file.call if file is not None else None
        if file is None or before is None or (call := changed_call(before, entry)) == before:
            return
        self._files.change(file, call)
        if (picture := picture_of(call)) != picture_of(before):
            self._for_each_stream(call.sid, e.Pictured(picture=picture), now_ms)
        if call.is_srtp and not before.is_srtp:
            self._secure(file, now_ms)

    def _secure(self, file: CallFile, now_ms: int) -> None:
        """Hold the streams of a call whose media has become SRTP to what that demands."""
        for stream in list(file.running):
            # Who takes over later must be secure as well.
            if (plan := secured(stream.plan)) != stream.plan:
                self._files.put(file, replace(stream, plan=plan))
            self._check_security(file, stream, set(), now_ms)

    def _check_security(self, file: CallFile, stream: Stream, known: set[int], now_ms: int) -> None:
        """Tell of legs not known yet that are less secure than the call (RFC 7866 §12)."""
        policy = stream.plan.on_secure_call
        if not file.call.is_srtp or policy is OnSecureCall.ALLOW:
            return
        legs = [leg for leg in stream.legs if leg.state in RUNNING and leg.number not in known]
        plain = plain_srs(legs)
        if not plain:
            return
        text = f"the call's media is SRTP, that to {plain} is not"
        is_refused = policy is OnSecureCall.REFUSE
        text += ": the recording ends" if is_refused else ""
        level = AlertLevel.ERROR if is_refused else AlertLevel.WARNING
        self._files.alert(file.shard, About.stream(stream), NOT_SECURE, text, now_ms, level)
        if is_refused:
            self.happen(stream.sid, e.Stopped(), now_ms)

    def _failed(self, shard: int, entry: i.CallFailed, now_ms: int) -> None:
        if self._files.get(entry.call.sid) is not None:
            self.end_call(entry.call.sid, entry.call.end_reason or "", now_ms)
        else:
            self._early_ends.keep(entry.call.sid, entry)
            self._files.changes.retired[entry.call.sid] = CallFile(shard, entry.call)
        self._files.notices(shard, entry.call, entry.notices, now_ms)
        if not entry.media_released:
            self._files.changes.orphans.append(entry.call)

    def _bye_answered(self, entry: i.ByeAnswered, now_ms: int) -> None:
        file = self._files.get(entry.call_sid)
        if file is None or file.call.answered_ms is None:
            self._early_ends.keep(entry.call_sid, entry)
            return
        tags = {file.call.caller.tag, file.call.callee.tag}
        if {entry.from_tag, entry.to_tag} != tags:
            return
        self.end_call(entry.call_sid, "bye", now_ms)
        if not entry.media_released:
            # Not at a refused BYE, and not when rtpengine did not answer the proxy.
            self._files.changes.orphans.append(file.call)

    def _hung_up(self, entry: i.CallHungUp, now_ms: int) -> None:
        file = self._files.get(entry.call_sid)
        if file is None or file.call.answered_ms is None:
            # Only what was answered is hung up, which we shall hear of.
            self._early_ends.keep(entry.call_sid, entry)
        elif file.call.is_live:
            self.end_call(entry.call_sid, HUNG_UP, now_ms)
            self._files.changes.orphans.append(file.call)

    def _start_ordered(
        self, shard: int, entry: i.StartOrdered, choose: Choose, now_ms: int
    ) -> None:
        file = self._files.get(entry.call_sid)
        if file is None or not (file.call.is_live and file.call.has_media):
            text = f"call {entry.call_sid} is not in progress"
            verdict = Verdict(accepted=False, code=NOT_IN_PROGRESS, text=text)
        else:
            choice = choose(file.call.account_sid, entry.order.connector_name)
            verdict = self._start(file, entry.order, choice, now_ms)
        self._files.changes.verdicts.append((shard, entry.request_id, verdict))

    def _ordered(self, shard: int, entry: i.StopOrdered | i.PauseOrdered, now_ms: int) -> None:
        """Let an order happen to a stream, and say so to who asked."""
        try:
            stream = self.stream(entry.stream_sid)
        except SidError:
            stream = None
        verdict, event = judge(stream, entry)
        if event is not None:
            self.happen(entry.stream_sid, event, now_ms)
        self._files.changes.verdicts.append((shard, entry.request_id, verdict))

    def _start(
        self, file: CallFile, order: StreamOrder, choice: Choice | None, now_ms: int
    ) -> Verdict:
        call = file.call
        refusal = self._urls.refusal(order)
        refusal = refusal or refusal_of(file, order, choice, self._limits.tracks_per_call)
        if refusal is not None or choice is None:
            code, text = refusal or Refusal(UNKNOWN_CONNECTOR, "")
            about = About.call(call, order.connector_name)
            self._files.alert(file.shard, about, code, text, now_ms)
            return Verdict(accepted=False, code=code, text=text)
        stream, commands = begin(
            sid=make_stream_sid(call.sid, len(file.streams) + 1),
            call_sid=call.sid,
            account_sid=call.account_sid,
            order=order,
            plan=plan_of(choice, call),
            picture=picture_of(call),
            now_ms=now_ms,
        )
        self._files.put(file, stream)
        self._files.changes.moved(file, stream, None, stream, now_ms)
        self._command(file, stream, commands, now_ms)
        self._check_security(file, stream, set(), now_ms)
        return Verdict(accepted=True, text="accepted", stream_sid=stream.sid)

    # What follows

    def _for_each_stream(self, call_sid: str, event: e.Event, now_ms: int) -> None:
        file = self._files.get(call_sid)
        for sid in list(file.streams) if file is not None else ():
            self.happen(sid, event, now_ms)

    def _command(
        self, file: CallFile, stream: Stream, commands: Iterable[e.Command], now_ms: int
    ) -> None:
        for command in commands:
            if isinstance(command, e.ForLeg):
                order = Order(file, stream.sid, command.leg, command.command)
                self._files.changes.commands.append(order)
            elif isinstance(command, e.EndCall):
                self._end_unrecorded(file, command.text, now_ms)
            else:
                about = About.srs_of(stream, command.srs, command.sip_status, command.sip_reason)
                code, text = command.code, command.text
                self._files.alert(file.shard, about, code, text, now_ms, command.level)

    def _end_unrecorded(self, file: CallFile, text: str, now_ms: int) -> None:
        """End a call that must not go on unrecorded; its proxy sends the BYEs."""
        if not file.call.is_live:
            return
        about = About.call(file.call)
        self._files.alert(file.shard, about, UNREACHABLE, f"the call is ended: {text}", now_ms)
        self._files.changes.to_end.append((file.call, text))
        self.end_call(file.call.sid, UNRECORDED, now_ms)
        self._files.changes.orphans.append(file.call)
