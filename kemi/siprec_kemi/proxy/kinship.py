"""What an INVITE or a REFER says of transfers. Most say nothing, and cost next to nothing."""

from siprec.errors import SipUriError
from siprec.inbox import CallReferred
from siprec.kinship import parse_replaces
from siprec.model import Kinship
from siprec.sip_uri import parse_name_addr
from siprec_kemi import ksr


def kinship_of_invite() -> Kinship | None:
    """Read what the INVITE at hand says of a call before it; None when it says nothing."""
    replaces, referred_by = ksr.header("Replaces"), ksr.header("Referred-By")
    if not replaces and not referred_by:
        return None
    call_id, tags = parse_replaces(replaces)
    return Kinship(
        replaces=call_id, tags=tags, referred_by=_uri(referred_by), target=ksr.text("$ru")
    )


def referral(call_sid: str) -> CallReferred | None:
    """Read the REFER at hand: who sends the other one where; None when it cannot be read."""
    target = _uri(ksr.header("Refer-To"))
    by = _uri(ksr.header("Referred-By") or ksr.header("From"))
    return CallReferred(call_sid=call_sid, target=target, referred_by=by) if target else None


def _uri(value: str) -> str:
    try:
        return parse_name_addr(value).uri if value else ""
    except SipUriError:
        return ""
