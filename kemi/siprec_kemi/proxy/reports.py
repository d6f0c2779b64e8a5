"""Reports of what happened to a call, thrown into the outbox. They never delay the call."""

from dataclasses import replace

from siprec.inbox import (
    ByeAnswered,
    CallAnswered,
    CallChanged,
    CallFailed,
    CallReferred,
    CallRinging,
    Entry,
    Notice,
)
from siprec.model import Party
from siprec.session_id import session_id_pair
from siprec.settings import RedisSettings
from siprec.shard_store import ShardStore
from siprec.sids import shard_of_sid
from siprec.store import StoreUnavailable
from siprec_kemi import ksr
from siprec_kemi.clock import now_ms
from siprec_kemi.proxy.breaker import Breaker
from siprec_kemi.proxy.invitation import Invitation
from siprec_kemi.proxy.lookups import connect_for_lookups
from siprec_kemi.proxy.negotiation import Answer
from siprec_kemi.proxy.outbox import Outbox, OutboxFull

MEDIA_FAILED = 32014


class Reports:
    """One per SIP worker."""

    def __init__(self, outbox: Outbox, settings: RedisSettings, breaker: Breaker) -> None:
        self._outbox = outbox
        self._direct = ShardStore(connect_for_lookups(settings), settings.prefix, "proxy")
        self._breaker = breaker

    def ringing(self, invitation: Invitation, *, callee_tag: str, is_early: bool) -> None:
        """Report that a call rings; `is_early`: it has early media, which may be recorded."""
        call, now = invitation.call, now_ms()
        callee = replace(call.callee, tag=callee_tag)
        rings = replace(call, callee=callee, ringing_ms=now, early_ms=now if is_early else None)
        orders = invitation.orders if is_early else ()
        self._report(call.sid, CallRinging(call=rings, orders=orders))

    def answered(
        self,
        invitation: Invitation,
        *,
        callee_tag: str,
        session_id: str,
        answer: Answer,
        asserted: Party | None,
    ) -> None:
        """Report a call answered; carries all that the offer knew.

        `asserted` is who the 2xx says that has answered.
        """
        call = invitation.call
        notices = invitation.notices
        if not invitation.media:
            text = "rtpengine did not anchor this call: it cannot be recorded"
            notices = (*notices, Notice(code=MEDIA_FAILED, text=text))
        callee = replace(call.callee, tag=callee_tag)
        if asserted is not None and asserted.uri != callee.uri:
            callee = replace(
                callee, name=asserted.name, uri=asserted.uri, dialog_uri=call.callee.uri
            )
        call = replace(
            call,
            callee=callee,
            quiet=answer.quiet,
            has_video=answer.has_video,
            session_id=session_id_pair(call.session_id, session_id),
            answered_ms=now_ms(),
        )
        self._report(call.sid, CallAnswered(call=call, orders=invitation.orders, notices=notices))

    def failed(self, invitation: Invitation, reason: str, *, media_released: bool) -> None:
        """Report a call that ended before an answer."""
        call = replace(invitation.call, ended_ms=now_ms(), end_reason=reason)
        self._report(
            call.sid,
            CallFailed(call=call, notices=invitation.notices, media_released=media_released),
        )

    def changed(self, change: CallChanged) -> None:
        """Report that the media of a call was renegotiated, or who its ends are."""
        self._report(change.call_sid, change)

    def referred(self, referral: CallReferred) -> None:
        """Report that a party of a call was sent to somebody else."""
        self._report(referral.call_sid, referral)

    def bye_answered(
        self, call_sid: str, *, from_tag: str, to_tag: str, status: int, media_released: bool
    ) -> None:
        """Report the final reply to a BYE."""
        self._report(
            call_sid,
            ByeAnswered(
                call_sid=call_sid,
                from_tag=from_tag,
                to_tag=to_tag,
                status=status,
                at_ms=now_ms(),
                media_released=media_released,
            ),
        )

    def order(self, call_sid: str, entry: Entry) -> None:
        """Pass on what a party of the call wishes for, behind what was reported before."""
        self._report(call_sid, entry)

    def _report(self, call_sid: str, entry: Entry) -> None:
        shard = shard_of_sid(call_sid)
        try:
            self._outbox.put(shard, entry)
        except OutboxFull as error:
            self._append(shard, entry, str(error))

    def _append(self, shard: int, entry: Entry, why: str) -> None:
        """Append straight to Redis what the outbox could not take."""
        try:
            if self._breaker.is_open():
                raise StoreUnavailable("Redis is away")
            self._direct.append([(shard, entry)])
        except StoreUnavailable as error:
            ksr.log("error", f"a report is lost: {why}, and {error}")
