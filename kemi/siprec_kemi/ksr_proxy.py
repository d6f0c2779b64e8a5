"""Typed façade of what only the proxy role asks of Kamailio: routing, NAT, rtpengine."""

import json
import re
from enum import Enum
from typing import Any

import KSR

from siprec.multipart import sdp_of
from siprec_kemi import ksr

# An m-line in use (port not 0) with a secure profile: RTP/SAVP, RTP/SAVPF, UDP/TLS/RTP/SAVPF.
_SRTP = re.compile(r"^m=\S+ [1-9]\S* \S*RTP/SAVP", re.MULTILINE)

# Where rtpengine's module puts what it makes of the SDP (`write_sdp_pv`). It outlives messages.
_SDP = "$var(siprec_sdp)"

_DELETED = 5


# sanity: SIP version, Via, required headers, CSeq method and value, Content-Length, parse.
SANITY_MESSAGE = 17895
SANITY_URI = 7


def is_sane() -> bool:
    """Check the request as RFC 3261 wants it; an insane one has been answered."""
    return int(KSR.sanity.sanity_check(SANITY_MESSAGE, SANITY_URI)) > 0


def may_travel() -> bool:
    """Count Max-Forwards down; False when there is none left."""
    return int(KSR.maxfwd.process_maxfwd(10)) > 0


def is_flood() -> bool:
    """Tell whether the source sends more than a stranger may."""
    return int(KSR.pike.pike_check_req()) < 0


def has_to_tag() -> bool:
    """Tell whether the request is inside a dialog."""
    return int(KSR.siputils.has_totag()) > 0


def is_to_us() -> bool:
    """Tell whether the Request-URI is one of our own addresses."""
    return int(KSR.is_myself_ruri()) > 0


def follow_route() -> bool:
    """Follow the Route headers (RFC 3261 §16.4); False when there are none of ours."""
    return int(KSR.rr.loose_route()) > 0


def record_route(parameter: str) -> None:
    """Stay on the path of the dialog, with a parameter (`;name=value`) that comes back to us."""
    add_route_parameter(parameter)
    KSR.rr.record_route()


def add_route_parameter(parameter: str) -> None:
    """Add a parameter (`;name=value`) to the Record-Route of the message, made before or after."""
    KSR.rr.add_rr_param(parameter)


def force_rport() -> None:
    """Answer to where the request came from (RFC 3581)."""
    KSR.force_rport()


def is_natted() -> bool:
    """Tell whether Contact or Via differ from the address the message came from."""
    # 1: private Contact, 2: Via differs from source, 16: Via port differs, 64: WebSocket
    return int(KSR.nathelper.nat_uac_test(19)) > 0


def note_real_contact() -> None:
    """Append the real address to the Contact, so that later requests find the way back."""
    KSR.nathelper.set_contact_alias()


def apply_changes() -> None:
    """Make changed headers those of the message; only before there is a transaction.

    The dialog module reads the Contact as it came, without what is still to be changed in it.
    """
    KSR.textopsx.msg_apply_changes()


def follow_real_contact() -> None:
    """Send the request to the real address noted in the Request-URI."""
    KSR.nathelper.handle_ruri_alias()


def offer_media(instance: int, flags: str) -> bool:
    """Let rtpengine take an offer."""
    _choose(instance)
    return int(KSR.rtpengine.rtpengine_offer(flags)) > 0


def answer_media(instance: int, flags: str) -> bool:
    """Let rtpengine take an answer."""
    _choose(instance)
    return int(KSR.rtpengine.rtpengine_answer(flags)) > 0


def _choose(instance: int) -> None:
    KSR.rtpengine.set_rtpengine_set(instance)
    KSR.pv.sets(_SDP, "")


def new_sdp() -> str:
    """Give what rtpengine made of the SDP of the message at hand; "" when it did not."""
    return ksr.text(_SDP)


def put_sdp(text: str) -> None:
    """Replace the SDP of the message at hand, once; other parts of a multipart stay."""
    content_type = ksr.text("$cT")
    if "multipart/" not in content_type:
        done = KSR.textops.set_body(text, content_type)
    else:
        done = KSR.textops.replace_body_str(sdp(), text, "f")
    if int(done) < 0:
        ksr.log("error", "the SDP of rtpengine could not be put in: the media goes past it")


def release_media(instance: int, flags: str) -> bool:
    """Let rtpengine forget the call; False when it did not answer."""
    KSR.rtpengine.set_rtpengine_set(instance)
    return int(KSR.rtpengine.rtpengine_delete(flags)) > 0


def has_sdp() -> bool:
    """Tell whether the message at hand has an SDP body, alone or in a multipart."""
    return int(KSR.textops.has_body_type("application/sdp")) > 0 or (
        int(KSR.textops.has_body()) > 0 and "multipart/" in str(KSR.pv.get("$cT") or "")
    )


def sdp() -> str:
    """Give the SDP of the message at hand as it came, alone or in a multipart; "" without."""
    content_type = ksr.text("$cT")
    if "multipart/" not in content_type:
        return ksr.text("$rb")
    return sdp_of(content_type, ksr.octets("rb")) or ""


def has_srtp() -> bool:
    """Tell whether the SDP of the message at hand offers or takes SRTP."""
    return _SRTP.search(ksr.text("$rb")) is not None


def has_fingerprint() -> bool:
    """Tell whether the SDP of the message at hand has what DTLS-SRTP needs (RFC 5763)."""
    return "\na=fingerprint:" in ksr.text("$rb")


def track_dialog() -> bool:
    """Let Kamailio follow the dialog that this INVITE begins, so that we can end it."""
    return int(KSR.dialog.dlg_manage()) > 0


class DialogState(Enum):
    """How far a dialog has come."""

    EARLY = "early"
    ANSWERED = "answered"
    OVER = "over"


# Not replied to, replied to provisionally, answered, answered and acknowledged, over.
_STATES = {
    1: DialogState.EARLY,
    2: DialogState.EARLY,
    3: DialogState.ANSWERED,
    4: DialogState.ANSWERED,
    _DELETED: DialogState.OVER,
}


def tracked_dialog(
    sip_call_id: str, from_tag: str, to_tag: str
) -> tuple[DialogState, dict[str, Any]] | None:
    """Give what is known of a dialog that is tracked, as the RPC `dlg.list_match` tells it.

    With `to_tag` "" that of any callee, and one that goes on before one that is over: an INVITE
    that was challenged comes again with the same Call-ID and From tag. One that is over stays known
    for a while; None when none is known.
    """
    listed = _result("dlg.list_match", "callid", "eq", sip_call_id)
    found = [
        (_STATES[each["state"]], each)
        for each in (listed if isinstance(listed, list) else [listed])
        if isinstance(each, dict)
        and each.get("state") in _STATES
        and each["caller"]["tag"] == from_tag
        and to_tag in ("", each["callee"]["tag"])
    ]
    found.sort(key=lambda item: item[0] is DialogState.OVER)
    return found[0] if found else None


def cancel_branches(sip_call_id: str, cseq: str) -> None:
    """Send CANCEL to whoever was sent that INVITE and has not answered; there may be nobody."""
    _result("tm.cancel", sip_call_id, cseq)


def forget_dialog(sip_call_id: str, from_tag: str, to_tag: str) -> None:
    """Let the dialog be over for Kamailio, without a BYE of its own."""
    _result("dlg.set_state", sip_call_id, from_tag, to_tag, _DELETED)


def _result(method: str, *parameters: str | int) -> Any:
    request = {"jsonrpc": "2.0", "method": method, "params": parameters, "id": 1}
    return json.loads(ksr.rpc(json.dumps(request))).get("result")


class SharedTable:
    """An htable of kamailio.cfg: texts by key, for all workers. What is old is forgotten."""

    def __init__(self, name: str) -> None:
        self._name = name

    def put(self, key: str, text: str) -> None:
        """Keep a text."""
        KSR.htable.sht_sets(self._name, key, text)

    def get(self, key: str) -> str:
        """Give what was kept; "" when nothing was."""
        return str(KSR.htable.sht_get(self._name, key) or "")

    def forget(self, key: str) -> None:
        """Forget what was kept."""
        KSR.htable.sht_rm(self._name, key)
