"""Offers and answers of a call as its ends wrote them: whose audio is sent after them.

What the offer said travels in the transaction (AVPs): its answer may come to another worker.
"""

from siprec.call_media import flow_from, flow_of, quiet_sides
from siprec.model import Side
from siprec_kemi import ksr, ksr_proxy

_OFFER = "$avp(siprec_offer_flow)"
_QUIET = "$avp(siprec_quiet)"


def note_offer() -> None:
    """Keep what the offer in the message at hand says."""
    ksr.set_text(_OFFER, str(flow_of(ksr_proxy.sdp()) or ""))


def note_answer(offerer: Side) -> None:
    """Keep who is quiet by the answer in the message at hand, to the offer of this transaction."""
    if (answer := flow_of(ksr_proxy.sdp())) is None:
        return
    sides = quiet_sides(offerer, flow_from(ksr.text(_OFFER)), answer)
    ksr.set_text(_QUIET, ",".join(sides))


def quiet() -> tuple[Side, ...]:
    """Give who is quiet by what was noted in this transaction."""
    return tuple(Side(side) for side in ksr.text(_QUIET).split(",") if side)
