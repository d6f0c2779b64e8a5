"""Ending a call that goes on: from a program's request, or by a document it follows."""

from siprec.actions import EndCall
from siprec.model import Call
from siprec.store import Store


def hang_up(store: Store, call: Call, reason: str) -> None:
    """Let the proxy of a call end it; `reason` says why, for people. Twice does no harm.

    Raises:
        StoreUnavailable.
    """
    action = EndCall(
        call_sid=call.sid,
        account_sid=call.account_sid,
        sip_call_id=call.sip_call_id,
        from_tag=call.caller.tag,
        to_tag=call.callee.tag,
        reason=reason,
    )
    store.order_action(call.node, action)
