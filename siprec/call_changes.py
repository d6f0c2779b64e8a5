"""What becomes of a call that changes: who is quiet, who came, who went. Pure."""

from dataclasses import replace

from siprec.inbox import CallChanged
from siprec.model import Call, Former, Party, Picture, Side
from siprec.sip_uri import aor

MAX_FORMERS = 50
"""So many are remembered of a call, in the order in which they went."""


def changed_call(call: Call, change: CallChanged) -> Call:
    """Give the call after a change that its proxy saw."""
    if change.is_srtp is not None:
        call = replace(call, is_srtp=change.is_srtp)
    if change.quiet is not None:
        call = replace(call, quiet=tuple(side for side in Side if side in change.quiet))
    if change.has_video is not None:
        call = replace(call, has_video=change.has_video)
    for side, named in ((Side.CALLER, change.caller), (Side.CALLEE, change.callee)):
        if named is not None:
            call = _identified(call, side, named, change.at_ms)
    if change.session_id and change.session_id != call.session_id:
        call = replace(call, session_id=change.session_id, revision=call.revision + 1)
    return call


def answered_call(early: Call, answered: Call) -> Call:
    """Give a call that rang, now that it is answered."""
    is_news = answered.session_id != early.session_id
    revision = early.revision + 1 if is_news else early.revision
    ringing_ms, early_ms = early.ringing_ms, early.early_ms
    return replace(answered, ringing_ms=ringing_ms, early_ms=early_ms, revision=revision)


def rung_call(before: Call | None, rings: Call, *, is_early: bool) -> Call:
    """Give a call that rings, or rings on; `is_early`: its early media is recorded from now on."""
    ringing_ms = rings.early_ms if rings.ringing_ms is None else rings.ringing_ms
    if before is not None:
        ringing_ms = before.ringing_ms
    return replace(rings, ringing_ms=ringing_ms, early_ms=rings.early_ms if is_early else None)


def _identified(call: Call, side: Side, named: Party, at_ms: int) -> Call:
    """Note who an end is now. Another address is another participant (RFC 7865 §6.5)."""
    before = call.party(side)
    if before.dialog_uri and aor(named.uri) == aor(before.dialog_uri):
        # Nothing is asserted this time.
        return call
    now = replace(before, name=named.name, uri=named.uri)
    if aor(named.uri) != aor(before.uri):
        now = replace(now, since_ms=at_ms, dialog_uri="")
        if len(call.former) < MAX_FORMERS:
            former = Former(side=side, party=before, until_ms=at_ms)
            call = replace(call, former=(*call.former, former))
    elif named.name in ("", before.name):
        return call
    revision = call.revision + 1
    if side is Side.CALLER:
        return replace(call, caller=now, revision=revision)
    return replace(call, callee=now, revision=revision)


def picture_of(call: Call) -> Picture:
    """Give what the metadata of the call's streams has to say now."""
    return Picture(
        quiet=tuple(side.label for side in call.quiet),
        revision=call.revision,
        formers=len(call.former),
        has_video=call.has_video,
    )
