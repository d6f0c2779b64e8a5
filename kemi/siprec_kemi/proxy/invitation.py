"""An INVITE on its way: the call it may become and how far its document has been followed.

It travels in the transaction (an AVP), because the next handler may run in another worker.
"""

from dataclasses import dataclass

from siprec.inbox import Notice
from siprec.model import Call, StreamOrder
from siprec.record import from_json, to_json
from siprec.twiml_run import Program, Source
from siprec_kemi import ksr

_INVITATION = "$avp(siprec)"
_REPORTED = "$avp(siprec_reported)"
_RINGING_REPORTED = "$avp(siprec_ringing_reported)"
_EARLY_REPORTED = "$avp(siprec_early_reported)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """`program` is None when nothing of the document is left; `instance` is rtpengine's.

    `wait_s` is what is left of a `<Pause>`. `dialled` tells that a target was dialled before: we
    are on the path, with media or without. `records_early` tells that early media may be recorded.
    `offered` tells that the INVITE has an offer, so that what has SDP in reply is the answer.
    `sources` are where the number's document may be fetched, and `own` is the one that it has
    itself; `url` is where the one that is followed came from, `fetches` how often one was fetched.
    `is_fetching`: it waits for one.
    """

    call: Call
    instance: int
    program: Program | None = None
    position: int = 0
    orders: tuple[StreamOrder, ...] = ()
    notices: tuple[Notice, ...] = ()
    media: bool = False
    wait_s: int = 0
    records_early: bool = False
    dialled: bool = False
    offered: bool = False
    sources: tuple[Source, ...] = ()
    own: Program | None = None
    url: str = ""
    fetches: int = 0
    is_fetching: bool = False


def keep(invitation: Invitation) -> None:
    """Write the invitation into the transaction."""
    ksr.set_text(_INVITATION, to_json(invitation))


def kept() -> Invitation | None:
    """Read the invitation of the transaction at hand."""
    stored = ksr.text(_INVITATION)
    return from_json(Invitation, stored) if stored else None


def claim_report() -> bool:
    """Tell once per transaction that the outcome is to be reported; 2xx are repeated."""
    return _claim(_REPORTED)


def claim_ringing_report() -> bool:
    """Tell once per transaction that it is to be reported that the call rings."""
    return _claim(_RINGING_REPORTED)


def claim_early_report() -> bool:
    """Tell once per transaction that early media is to be reported."""
    return _claim(_EARLY_REPORTED)


def _claim(mark: str) -> bool:
    if ksr.is_set(mark):
        return False
    ksr.set_text(mark, "1")
    return True
