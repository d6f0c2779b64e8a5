"""Offers and answers of a call as its ends wrote them: whose audio is sent after them.

What belongs to one transaction travels in its AVPs: the answer may come to another worker. What
outlives it is kept in memory that all workers share (htable), by Call-ID and tags: the offer in a
reply, which PRACK or ACK answers, and what was agreed before the first INVITE had its 2xx.
"""

from dataclasses import dataclass

from siprec.call_media import Flow, flow_from, flow_of, quiet_sides
from siprec.model import Side
from siprec_kemi import ksr, ksr_proxy

_OFFER = "$avp(siprec_offer_flow)"
_QUIET = "$avp(siprec_quiet)"
_KEPT = ksr_proxy.SharedTable("negotiated")

# What cannot be read is taken for what audio is without a word.
_UNREAD = Flow(sends=True, receives=True)


@dataclass(frozen=True, slots=True)
class Agreed:
    """What an offer and its answer have led to."""

    quiet: tuple[Side, ...]
    is_srtp: bool


# In the transaction of the offer


def note_offer() -> None:
    """Keep what the offer in the message at hand says."""
    ksr.set_text(_OFFER, str(flow_of(ksr_proxy.sdp()) or ""))


def note_answer(offerer: Side) -> None:
    """Keep who is quiet by the answer in the reply at hand, to the offer of this transaction.

    Each of several early dialogs has an answer of its own.
    """
    before = [each for each in ksr.text(_QUIET).split() if not each.startswith(_entry())]
    sides = _quiet(offerer, flow_from(ksr.text(_OFFER)))
    ksr.set_text(_QUIET, " ".join([*before, _entry() + ",".join(sides)]))


def answered() -> tuple[Side, ...] | None:
    """Give who is quiet by the answer of who sent the reply at hand; None when it gave none."""
    entries = ksr.text(_QUIET).split()
    found = next((each for each in entries if each.startswith(_entry())), None)
    return None if found is None else _sides(found.removeprefix(_entry()))


# An offer in a reply to an INVITE without one


def note_late_offer() -> None:
    """Keep the offer in the reply at hand until PRACK or ACK brings its answer."""
    _KEPT.put(_late_key(), str(flow_of(ksr_proxy.sdp()) or _UNREAD))


def is_late_answer() -> bool:
    """Tell whether the PRACK at hand answers the offer of a reply, and is no offer itself."""
    return bool(_KEPT.get(_late_key()))


def take_late_answer(offerer: Side) -> tuple[Side, ...]:
    """Give who is quiet by the answer in the PRACK or ACK at hand."""
    offer = flow_from(_KEPT.get(_late_key()))
    _KEPT.forget(_late_key())
    return _quiet(offerer, offer)


# Before the 2xx of the first INVITE


def keep_early(callee_tag: str, agreed: Agreed) -> None:
    """Keep what PRACK or UPDATE led to: the 2xx of the INVITE may be still to come."""
    written = f"{agreed.is_srtp:d}{','.join(agreed.quiet)}"
    _KEPT.put(_early_key(callee_tag), written)


def take_early(callee_tag: str) -> Agreed | None:
    """Give what PRACK or UPDATE led to before this callee has answered; None when nothing did."""
    written = _KEPT.get(_early_key(callee_tag))
    if not written:
        return None
    _KEPT.forget(_early_key(callee_tag))
    return Agreed(_sides(written[1:]), written.startswith("1"))


def _quiet(offerer: Side, offer: Flow | None) -> tuple[Side, ...]:
    answer = flow_of(ksr_proxy.sdp())
    return () if answer is None else quiet_sides(offerer, offer, answer)


def _sides(written: str) -> tuple[Side, ...]:
    return tuple(Side(side) for side in written.split(",") if side)


def _entry() -> str:
    return f"{ksr.text('$tt')}="


def _late_key() -> str:
    return f"{ksr.text('$ci')} {ksr.text('$ft')} {ksr.text('$tt')}"


def _early_key(callee_tag: str) -> str:
    return f"{ksr.text('$ci')} {callee_tag}"
