"""INVITEs that a program cancels: known to all workers, which then dial nobody else."""

from siprec_kemi import ksr, ksr_proxy
from siprec_kemi.ksr_proxy import SharedTable

_TABLE = SharedTable("cancelled")


def cancel(sip_call_id: str, from_tag: str, cseq: str) -> None:
    """Cancel an INVITE with that CSeq number: whoever rings gets CANCEL. Twice does no harm."""
    _TABLE.put(_key(sip_call_id, from_tag), cseq)
    ksr_proxy.cancel_branches(sip_call_id, cseq)


def is_cancelled() -> bool:
    """Tell whether the INVITE at hand is cancelled, by its caller or a program."""
    return ksr.is_cancelled() or is_cancelled_by_program()


def is_cancelled_by_program() -> bool:
    """Tell whether a program has cancelled the INVITE of the INVITE or CANCEL at hand."""
    cseq = _TABLE.get(_key(ksr.text("$ci"), ksr.text("$ft")))
    return bool(cseq) and cseq == ksr.text("$cs")


def _key(sip_call_id: str, from_tag: str) -> str:
    return f"{sip_call_id} {from_tag}"
