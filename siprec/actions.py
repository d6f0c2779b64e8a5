"""What is appended to the action Stream of a node: what its proxy role is to do.

An entry has two fields: `t`, the kind, and `d`, the JSON of the record below. It is carried out
at once or not at all: readers pass over entries that are too old to be wanted still.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from siprec.record import RecordError, from_json, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCall:
    """A call is to be ended by BYE to both parties; `reason` says why, for people.

    `sip_call_id`, `from_tag` (the caller's) and `to_tag` (the callee's) name its dialog.
    """

    call_sid: str
    account_sid: str
    sip_call_id: str
    from_tag: str
    to_tag: str
    reason: str


Action = EndCall

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
