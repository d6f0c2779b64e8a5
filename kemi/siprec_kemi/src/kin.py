"""Calls that are transfers of each other: written where others find them, and looked up."""

from dataclasses import replace

from siprec.changes import Changes
from siprec.inbox import CallAnswered, CallReferred, CallRinging
from siprec.kinship import Relative, chosen, names_followed, names_of, refer_name, relative_of
from siprec.model import Call
from siprec.record import RecordError
from siprec.recorder import Recorder
from siprec.settings import LimitSettings
from siprec.shard_store import ShardStore
from siprec.store import StoreUnavailable
from siprec_kemi import ksr
from siprec_kemi.clock import now_ms

# How long a call can be followed after its end, and after a REFER.
AFTER_END_S = 300
AFTER_REFER_S = 180


class Kin:
    """The relatives of calls. They are not known for longer than what else is kept of a call."""

    def __init__(self, store: ShardStore, recorder: Recorder, limits: LimitSettings) -> None:
        self._store = store
        self._recorder = recorder
        self._live_s = limits.call_s
        self._ended_s = min(AFTER_END_S, limits.history_s)

    def joined(self, entry: CallAnswered | CallRinging) -> CallAnswered | CallRinging:
        """Give the entry with the group of the call that its call goes on with, if there is one."""
        call = entry.call
        file = self._recorder.call_file(call.sid)
        if file is not None and file.call.has_media:
            # Its early media is recorded, and its recorder has been told of a group.
            return replace(entry, call=replace(call, group=file.call.group))
        if not call.has_media or (call.kinship is None and not call.session_id):
            return entry
        try:
            found = self._find(call)
        except (StoreUnavailable, RecordError) as error:
            ksr.log("warning", f"{call.sid} is taken for no transfer: {error}")
            return entry
        if found is None:
            return entry
        ksr.log("info", f"{call.sid} goes on with {found.sid}")
        return replace(entry, call=replace(call, group=found.group))

    def _find(self, call: Call) -> Relative | None:
        now = now_ms()
        for name, tags in names_followed(call):
            relative = chosen(call, tags, self._store.relatives(name, now))
            if relative is not None:
                return relative
        return None

    def referred(self, entry: CallReferred) -> None:
        """Note that a party of a call is sent to somebody else (RFC 3515)."""
        file = self._recorder.call_file(entry.call_sid)
        name = refer_name(entry.referred_by, entry.target)
        if file is not None and name:
            now = now_ms()
            self._put([(name, relative_of(file.call, now + AFTER_REFER_S * 1000))], now)

    def learn(self, changes: Changes) -> None:
        """Write down calls that are recorded, so that others can be known to follow them.

        So is one that goes on with a recorded one: a third may follow it.
        """
        now = now_ms()
        begun = (self._recorder.file_of(s.sid) for _, event, s in changes.transitions if not event)
        files = {file.call.sid: file for file in (*begun, *changes.calls.values()) if file}
        live = [file for file in files.values() if file.call.is_live]
        known: list[tuple[str, Relative]] = []
        for each, seconds in ((live, self._live_s), (changes.retired.values(), self._ended_s)):
            for file in each:
                if file.streams or file.call.group:
                    relative = relative_of(file.call, now + seconds * 1000)
                    known += [(name, relative) for name in names_of(file.call)]
        if known:
            self._put(known, now)

    def _put(self, known: list[tuple[str, Relative]], at_ms: int) -> None:
        try:
            self._store.put_relatives(known, at_ms)
        except StoreUnavailable as error:
            ksr.log("warning", f"transfers will not be known by {len(known)} names: {error}")
