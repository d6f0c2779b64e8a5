"""Offers and answers of a call as its ends wrote them: whose audio is sent after them, and video.

What belongs to one transaction travels in its AVPs: the answer may come to another worker. What
outlives it is kept in memory that all workers share (htable), by Call-ID and tags: the offer in a
reply, which PRACK or ACK answers, and what was agreed before the first INVITE had its 2xx.
"""

from dataclasses import dataclass
from typing import NamedTuple

from siprec.call_media import Flow, flow_from, flow_of, has_video, quiet_sides
from siprec.model import Side
from siprec_kemi import ksr, ksr_proxy

_OFFER = "$avp(siprec_offer_flow)"
_ANSWERS = "$avp(siprec_answers)"
_KEPT = ksr_proxy.SharedTable("negotiated")

# What cannot be read is taken for what audio is without a word.
_UNREAD = Flow(sends=True, receives=True)


class Answer(NamedTuple):
    """What the answer to an offer has led to: who is quiet, and whether there is video."""

    quiet: tuple[Side, ...] = ()
    has_video: bool = False


@dataclass(frozen=True, slots=True)
class Agreed:
    """What an offer and its answer have led to, and in which profile."""

    answer: Answer
    is_srtp: bool


# In the transaction of the offer


def note_offer() -> None:
    """Keep what the offer in the message at hand says."""
    ksr.set_text(_OFFER, str(flow_of(ksr_proxy.sdp()) or ""))


def note_answer(offerer: Side) -> None:
    """Keep what the answer in the reply at hand leads to, to the offer of this transaction.

    Each of several early dialogs has an answer of its own.
    """
    before = [each for each in ksr.text(_ANSWERS).split() if not each.startswith(_entry())]
    answer = _answer(offerer, flow_from(ksr.text(_OFFER)))
    ksr.set_text(_ANSWERS, " ".join([*before, _entry() + _written(answer)]))


def answered() -> Answer | None:
    """Give what the answer of who sent the reply at hand led to; None when it gave none."""
    entries = ksr.text(_ANSWERS).split()
    found = next((each for each in entries if each.startswith(_entry())), None)
    return None if found is None else _read(found.removeprefix(_entry()))


# An offer in a reply to an INVITE without one


def note_late_offer() -> None:
    """Keep the offer in the reply at hand until PRACK or ACK brings its answer."""
    _KEPT.put(_late_key(), str(flow_of(ksr_proxy.sdp()) or _UNREAD))


def is_late_answer() -> bool:
    """Tell whether the PRACK at hand answers the offer of a reply, and is no offer itself."""
    return bool(_KEPT.get(_late_key()))


def take_late_answer(offerer: Side) -> Answer:
    """Give what the answer in the PRACK or ACK at hand leads to."""
    offer = flow_from(_KEPT.get(_late_key()))
    _KEPT.forget(_late_key())
    return _answer(offerer, offer)


# Before the 2xx of the first INVITE


def keep_early(callee_tag: str, agreed: Agreed) -> None:
    """Keep what PRACK or UPDATE led to: the 2xx of the INVITE may be still to come."""
    _KEPT.put(_early_key(callee_tag), f"{agreed.is_srtp:d}{_written(agreed.answer)}")


def take_early(callee_tag: str) -> Agreed | None:
    """Give what PRACK or UPDATE led to before this callee has answered; None when nothing did."""
    written = _KEPT.get(_early_key(callee_tag))
    if not written:
        return None
    _KEPT.forget(_early_key(callee_tag))
    return Agreed(_read(written[1:]), written.startswith("1"))


def _answer(offerer: Side, offer: Flow | None) -> Answer:
    sdp = ksr_proxy.sdp()
    flow = flow_of(sdp)
    quiet = () if flow is None else quiet_sides(offerer, offer, flow)
    return Answer(quiet, has_video(sdp))


def _written(answer: Answer) -> str:
    return f"{answer.has_video:d}{','.join(answer.quiet)}"


def _read(written: str) -> Answer:
    sides = tuple(Side(side) for side in written[1:].split(",") if side)
    return Answer(sides, written.startswith("1"))


def _entry() -> str:
    return f"{ksr.text('$tt')}="


def _late_key() -> str:
    return f"{ksr.text('$ci')} {ksr.text('$ft')} {ksr.text('$tt')}"


def _early_key(callee_tag: str) -> str:
    return f"{ksr.text('$ci')} {callee_tag}"
