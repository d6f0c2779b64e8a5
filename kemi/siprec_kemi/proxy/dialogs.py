"""Requests inside a call: relayed along the route, their media renegotiated, and reported."""

from siprec_kemi import ksr, ksr_proxy
from siprec_kemi.proxy.awareness import Awareness
from siprec_kemi.proxy.media import Media
from siprec_kemi.proxy.reports import Reports
from siprec_kemi.proxy.route_parameter import Path, read_parameter

ON_REPLY = "ksr_dialog_reply"
ON_BYE_REPLY = "ksr_bye_reply"
ON_BYE_FAILURE = "ksr_bye_failure"

OFFERS = ("INVITE", "UPDATE")
WITH_MEDIA = ("INVITE", "UPDATE", "ACK", "PRACK")
CHALLENGES = (401, 407)
NO_MATCH = 481

_PATH = "$avp(siprec_path)"
_OFFERED = "$avp(siprec_offered)"
_SRTP, _PLAIN = "srtp", "plain"


class Dialogs:
    """Calls after their first INVITE. One per SIP worker."""

    def __init__(
        self, route_key: bytes, media: Media, reports: Reports, awareness: Awareness
    ) -> None:
        self._route_key = route_key
        self._media = media
        self._reports = reports
        self._awareness = awareness

    def request(self, method: str) -> None:
        """Relay a request that has a To tag; only on a path that we made ourselves."""
        if ksr_proxy.is_natted():
            ksr_proxy.note_real_contact()
            if method == "INVITE":
                ksr_proxy.apply_changes()
        route = ksr.header("Route").partition(">")[0]
        if not ksr_proxy.follow_route():
            self._without_route(method)
            return
        path = read_parameter(self._route_key, ksr.text("$ci"), route)
        if path is None:
            if method != "ACK":
                ksr.reply_stateless(403, "Not a Dialog of This Proxy")
            return
        if method != "ACK" and not ksr.new_transaction():
            return
        ksr.set_text(_PATH, f"{path.call_sid}.{path.instance}")
        # With a further Route ahead the address is that proxy's to know.
        if not ksr.is_set("$du"):
            ksr_proxy.follow_real_contact()
        if method in WITH_MEDIA and ksr_proxy.has_sdp():
            self._renegotiate(method, path)
        if method == "BYE":
            ksr.on_reply(ON_BYE_REPLY)
            ksr.on_failure(ON_BYE_FAILURE)
        else:
            ksr.on_reply(ON_REPLY)
        if not ksr.relay() and method != "ACK":
            ksr.reply(500, "Server Internal Error")

    def _renegotiate(self, method: str, path: Path) -> None:
        is_srtp = ksr_proxy.has_srtp()
        record = self._awareness.requested(path.call_sid)
        self._media.renegotiate(path.instance, is_offer=method in OFFERS, record=record)
        if method in OFFERS:
            ksr.set_text(_OFFERED, _SRTP if is_srtp else _PLAIN)
        elif method == "ACK":
            # The offer was in the 2xx, this is its answer (RFC 3261 §13.2.1), of the same profile.
            self._reports.changed(path.call_sid, is_srtp=is_srtp)

    def replied(self) -> None:
        """Look at a reply inside a dialog before it goes on."""
        path = _path()
        if path is None:
            return
        if not ksr_proxy.has_sdp():
            return
        is_srtp = ksr_proxy.has_srtp() or ksr.text(_OFFERED) == _SRTP
        record = self._awareness.replied(path.call_sid)
        self._media.renegotiate(path.instance, record=record)
        if 200 <= ksr.number("$rs") < 300 and ksr.is_set(_OFFERED):
            self._reports.changed(path.call_sid, is_srtp=is_srtp)

    def bye_replied(self) -> None:
        """Look at a reply to BYE: a final one ends the call."""
        status = ksr.number("$rs")
        if 200 <= status < 300:
            self._bye_over(status)

    def bye_failed(self) -> None:
        """BYE was refused or not answered: that ends the call as well (RFC 3261 §15.1.1)."""
        self._bye_over(ksr.failure_status())

    def _bye_over(self, status: int) -> None:
        path = _path()
        if path is None or status in CHALLENGES:
            return
        # Only who shares the dialog answers a BYE with 2xx. After another final reply the
        # controller, which knows the tags, releases the media: rtpengine deletes the call
        # for any From tag as long as the To tag is right.
        released = 200 <= status < 300 and self._media.release(path.instance)
        self._awareness.over()
        self._reports.bye_answered(
            path.call_sid,
            from_tag=ksr.text("$ft"),
            to_tag=ksr.text("$tt"),
            status=status,
            media_released=released,
        )

    def _without_route(self, method: str) -> None:
        if method == "ACK":
            if ksr.is_known_transaction():
                ksr.relay()
            return
        ksr.reply_stateless(NO_MATCH, "Call/Transaction Does Not Exist")


def _path() -> Path | None:
    stored = ksr.text(_PATH)
    if not stored:
        return None
    call_sid, _, instance = stored.partition(".")
    return Path(call_sid, int(instance))
