"""What callbacks and requests for TwiML say of a call: the parameters that people expect. Pure."""

import re

from siprec.model import Call
from siprec.sip_uri import UNKNOWN_AOR, aor

API_VERSION = "2010-04-01"
DIRECTION = "inbound"

_PHONE = re.compile(r"\+?[0-9]{2,32}")
_BUSY = ("486", "600")
_NO_ANSWER = ("408", "480")


def call_parameters(call: Call) -> dict[str, str]:
    """Give AccountSid, CallSid, From, To, CallStatus, ApiVersion and Direction of a call."""
    return {
        "AccountSid": call.account_sid,
        "CallSid": call.sid,
        "From": caller_of(call),
        "To": called_of(call),
        "CallStatus": call_status(call),
        "ApiVersion": API_VERSION,
        "Direction": DIRECTION,
    }


def caller_of(call: Call) -> str:
    """Say who calls: a phone number (`+15550001`), else a SIP address; "" when nobody knows."""
    return _end(call.caller.uri)


def called_of(call: Call) -> str:
    """Say who was called: the number as it was dialled, else the callee's address."""
    return call.number or _end(call.callee.uri)


def call_status(call: Call) -> str:
    """Give the CallStatus of a call: `ringing`, `in-progress`, or how it ended.

    An answered call ends as `completed`, whatever ended it.
    """
    if call.ended_ms is None:
        return "ringing" if call.answered_ms is None else "in-progress"
    if call.answered_ms is not None:
        return "completed"
    if call.end_reason == "cancelled":
        return "canceled"
    if call.end_reason in _BUSY:
        return "busy"
    return "no-answer" if call.end_reason in _NO_ANSWER else "failed"


def _end(uri: str) -> str:
    address = aor(uri)
    if address == UNKNOWN_AOR:
        return ""
    user = _user(address)
    return user if _PHONE.fullmatch(user) else address


def _user(address: str) -> str:
    scheme, _, rest = address.partition(":")
    return rest.partition(";")[0] if scheme == "tel" else rest.partition("@")[0]
