"""What is appended to the action Stream of a node: what its proxy role is to do.

An entry has two fields: `t`, the kind, and `d`, the JSON of the record below. It is carried out
at once or not at all: readers pass over entries that are too old to be wanted still.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from siprec.model import Call
from siprec.record import RecordError, from_json, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCall:
    """A call is to be ended: by BYE to both parties, by CANCEL while it rings.

    `sip_call_id`, `from_tag` (the caller's) and `to_tag` (the callee's) name its dialog. Before
    the answer nobody knows which callee it will be: `to_tag` is "", and any is meant. `reason`
    says why, for people. `is_ordered`: somebody asked for it; else the recording is lost.
    """

    call_sid: str
    account_sid: str
    sip_call_id: str
    from_tag: str
    to_tag: str
    reason: str
    is_ordered: bool = False


Action = EndCall


def end_of(call: Call, reason: str, *, is_ordered: bool) -> EndCall:
    """Make the action that ends a call."""
    return EndCall(
        call_sid=call.sid,
        account_sid=call.account_sid,
        sip_call_id=call.sip_call_id,
        from_tag=call.caller.tag,
        to_tag="" if call.answered_ms is None else call.callee.tag,
        reason=reason,
        is_ordered=is_ordered,
    )


_KINDS: Mapping[str, type[Action]] = {"end-call": EndCall}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_fields(action: Action) -> dict[str, str]:
    """Give the fields of the entry, for XADD."""
    return {"t": _NAMES[type(action)], "d": to_json(action)}


def from_fields(fields: Mapping[str, str]) -> Action:
    """Decode an entry.

    Raises:
        RecordError: unknown kind, or the data does not fit it.
    """
    kind = _KINDS.get(fields.get("t", ""))
    if kind is None:
        raise RecordError("t", f"{fields.get('t')!r} is no kind of action")
    return from_json(kind, fields.get("d", ""))
