"""Ending a call that goes on: from a program's request, or by a document it follows."""

from siprec.actions import end_of
from siprec.model import Call
from siprec.store import Store


class NotOurs(Exception):
    """The call cannot be ended here; its text says why, for people."""


def hang_up(store: Store, call: Call, reason: str) -> None:
    """Let the proxy of a call end it; `reason` says why, for people. Twice does no harm.

    Raises:
        NotOurs: an operator's own proxy carries the call.
        StoreUnavailable.
    """
    if call.is_plugged_in:
        raise NotOurs(f"Call {call.sid} is carried by a proxy that only reports")
    store.orders.action(call.node, end_of(call, reason, is_ordered=True))
