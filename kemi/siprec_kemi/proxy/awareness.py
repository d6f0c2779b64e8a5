"""What `a=record` says in SDP that passes (RFC 7866 §7.1.2), and what `a=recordpref` asks for.

A proxy sends no request of its own into a call, so each SDP that passes says how it is then.
Who is aware is kept in memory that all workers share (htable), by Call-ID and tag, with what the
endpoint was told last.
"""

from collections.abc import Callable, Sequence
from time import sleep

from siprec.awareness import (
    WISHED,
    Indication,
    Preference,
    indication_of,
    is_aware,
    order,
    orders_of,
    preference_in,
    strongest,
)
from siprec.inbox import Entry
from siprec.keys import ShardKeys
from siprec.model import Stream
from siprec.record import RecordError, from_json
from siprec.settings import AwarenessSettings, OnPreference, RedisSettings, ToldTo
from siprec.sids import make_stream_sid, shard_of_sid
from siprec.store import StoreUnavailable, redis_errors
from siprec_kemi import ksr, ksr_proxy
from siprec_kemi.clock import monotonic_s
from siprec_kemi.proxy.breaker import Breaker
from siprec_kemi.proxy.invitation import Invitation
from siprec_kemi.proxy.lookups import connect_for_lookups

# What a message may wait for the controller to take in what the one before it said.
SETTLE_S = 0.04
_PAUSE_S = 0.004

_WISH = "$avp(siprec_wish)"
_CALLER_IS_AWARE = "$avp(siprec_aware)"
# What endpoints that are aware were told last.
_AWARE = ksr_proxy.SharedTable("aware")

Put = Callable[[str, Entry], None]


class Awareness:
    """One per SIP worker. `put(call_sid, entry)` throws an entry into the outbox.

    Each method that gives an indication gives None when the SDP is to pass as it is. None of
    them raises: the media of a call does not depend on it.
    """

    def __init__(
        self,
        settings: AwarenessSettings,
        redis: RedisSettings,
        breaker: Breaker,
        put: Put,
    ) -> None:
        self._told_to = settings.attribute
        self._honours = settings.preference is OnPreference.HONOUR
        self._is_idle = self._told_to is ToldTo.NONE and not self._honours
        self._redis = connect_for_lookups(redis)
        self._prefix = redis.prefix
        self._breaker = breaker
        self._put = put

    # The first INVITE

    def invited(self, invitation: Invitation) -> Indication | None:
        """Look at the first INVITE; give what its offer tells the callee.

        Nobody knows yet whether the callee is aware.
        """
        return self._guarded(lambda: self._invited(invitation))

    def answering(self, invitation: Invitation) -> Indication | None:
        """Look at a reply with SDP to the first INVITE; give what it tells the caller."""
        return self._guarded(lambda: self._answering(invitation))

    def answered(self, invitation: Invitation) -> None:
        """Honour what the parties wished before the answer. The answer has been reported."""
        self._guarded(lambda: self._answered(invitation))

    def _invited(self, invitation: Invitation) -> Indication | None:
        # It is noted when there is an answer: most calls that fail leave nothing to forget.
        if self._told_to is ToldTo.AWARE and is_aware(ksr.headers("Supported")):
            ksr.set_text(_CALLER_IS_AWARE, "1")
        self._note_wish()
        return _planned(invitation) if self._told_to is ToldTo.ALL else None

    def _answering(self, invitation: Invitation) -> Indication | None:
        self._note_wish()
        told = _planned(invitation)
        if told is Indication.ON and (wish := _wish()):
            told = WISHED.get(wish, told)
        self._note_sender(ksr.text("$tt"), told)
        if self._told_to is ToldTo.ALL or ksr.is_set(_CALLER_IS_AWARE):
            _AWARE.put(_key(ksr.text("$ft")), told.value)
            return told
        return None

    def _answered(self, invitation: Invitation) -> None:
        # An answer without SDP, after a reliable 183, says that the callee is aware as well.
        self._note_sender(ksr.text("$tt"), _planned(invitation))
        wish = _wish()
        if wish is None or wish not in (Preference.OFF, Preference.PAUSE):
            return
        call_sid = invitation.call.sid
        for ordinal, _ in enumerate(invitation.orders, start=1):
            self._put(call_sid, order(wish, make_stream_sid(call_sid, ordinal)))

    # Later

    def requested(self, call_sid: str) -> Indication | None:
        """Look at a request with SDP in a dialog; give what it tells its receiver."""
        return self._guarded(lambda: self._passed(call_sid, ksr.text("$ft"), ksr.text("$tt")))

    def replied(self, call_sid: str) -> Indication | None:
        """Look at a reply with SDP in a dialog; give what it tells who sent the request."""
        return self._guarded(lambda: self._passed(call_sid, ksr.text("$tt"), ksr.text("$ft")))

    def over(self) -> None:
        """Forget who was aware in the dialog of the message at hand."""
        self._guarded(self._forget)

    def _passed(self, call_sid: str, sender: str, receiver: str) -> Indication | None:
        """Look at SDP from the one to the other; tell the latter how it is."""
        self._note_sender(sender, None)
        self._honour(call_sid)
        return self._tell(receiver, lambda known: self._indication(call_sid, known))

    def _forget(self) -> None:
        if not self._is_idle:
            for tag in (ksr.text("$ft"), ksr.text("$tt")):
                _AWARE.forget(_key(tag))

    def _guarded(self, look: Callable[[], Indication | None]) -> Indication | None:
        if self._is_idle:
            return None
        try:
            return look()
        except Exception as error:
            ksr.log("error", f"a=record: {type(error).__name__}: {error}")
            return None

    # Who is aware

    def _note_sender(self, tag: str, told: Indication | None) -> None:
        """Note that the sender of the message at hand is aware, when it says so."""
        if self._told_to is ToldTo.NONE:
            return
        if self._told_to is ToldTo.AWARE and not is_aware(ksr.headers("Supported")):
            return
        if told is not None or not _AWARE.get(_key(tag)):
            _AWARE.put(_key(tag), (told or Indication.ON).value)

    def _tell(self, tag: str, now: Callable[[Indication], Indication]) -> Indication | None:
        """Give what the endpoint with that tag is told; `now` makes it of what it was told last."""
        if self._told_to is ToldTo.NONE:
            return None
        told = _AWARE.get(_key(tag))
        if not told and self._told_to is ToldTo.AWARE:
            return None
        indication = now(Indication(told) if told else Indication.ON)
        _AWARE.put(_key(tag), indication.value)
        return indication

    # How it is

    def _indication(self, call_sid: str, known: Indication) -> Indication:
        """Give how the call is, by Redis; `known` when the controllers have not seen it yet.

        Without Redis nobody knows better than that it may be recorded.
        """
        wanted = WISHED.get(wish) if (wish := _wish()) else None
        give_up_s = monotonic_s() + SETTLE_S
        while True:
            try:
                streams = self._streams(call_sid)
            except (StoreUnavailable, RecordError) as error:
                ksr.log("warning", f"{call_sid} a=record:on is said, because {error}")
                return Indication.ON
            found = None if streams is None else indication_of(streams)
            is_settled = found is not None and wanted in (None, found)
            if is_settled or monotonic_s() >= give_up_s:
                return known if found is None else found
            sleep(_PAUSE_S)

    def _streams(self, call_sid: str) -> Sequence[Stream] | None:
        """Read the streams of a call; None when it is not known.

        Raises:
            StoreUnavailable, RecordError.
        """
        if self._breaker.is_open():
            raise StoreUnavailable("Redis is away")
        try:
            with redis_errors():
                key = ShardKeys(self._prefix, shard_of_sid(call_sid)).call(call_sid)
                fields: dict[str, str] = self._redis.hgetall(key)
        except StoreUnavailable:
            self._breaker.trip()
            raise
        if "call" not in fields:
            return None
        # SDP and its keys are none of the proxy's business.
        texts = (text for name, text in fields.items() if name != "call")
        return [from_json(Stream, text, lambda sealed: "") for text in texts]

    # What they wish

    def _note_wish(self) -> None:
        """Keep in the transaction what the SDP at hand wishes for."""
        if self._honours and (stated := preference_in(ksr_proxy.sdp())) is not None:
            kept = strongest(stated, _wish())
            ksr.set_text(_WISH, (kept or stated).value)

    def _honour(self, call_sid: str) -> None:
        """Order what the SDP at hand wishes for."""
        if not self._honours:
            return
        stated = preference_in(ksr_proxy.sdp())
        if stated is None or stated is Preference.NONE:
            return
        try:
            orders = orders_of(stated, self._streams(call_sid) or ())
        except (StoreUnavailable, RecordError) as error:
            ksr.log("warning", f"{call_sid} a=recordpref:{stated} is not honoured: {error}")
            return
        for each in orders:
            self._put(call_sid, each)
        if orders:
            ksr.set_text(_WISH, stated.value)


def _planned(invitation: Invitation) -> Indication:
    return Indication.ON if invitation.orders else Indication.OFF


def _wish() -> Preference | None:
    stored = ksr.text(_WISH)
    return Preference(stored) if stored else None


def _key(tag: str) -> str:
    return f"{ksr.text('$ci')} {tag}"
