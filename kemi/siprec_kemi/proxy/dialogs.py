"""Requests inside a call: relayed along the route, their media renegotiated, and reported."""

from siprec.inbox import CallChanged, CallReferred
from siprec.model import Party, Side
from siprec.record import from_json, to_json
from siprec.session_id import session_id_pair
from siprec_kemi import ksr, ksr_proxy
from siprec_kemi.clock import now_ms
from siprec_kemi.proxy import negotiation
from siprec_kemi.proxy.awareness import Awareness
from siprec_kemi.proxy.identity import asserted_party, party_in
from siprec_kemi.proxy.kinship import referral
from siprec_kemi.proxy.media import Media
from siprec_kemi.proxy.negotiation import Agreed
from siprec_kemi.proxy.policy import Policy
from siprec_kemi.proxy.reports import Reports
from siprec_kemi.proxy.route_parameter import Path, read_parameter
from siprec_kemi.proxy.session_ids import SessionIds

ON_REPLY = "ksr_dialog_reply"
ON_BYE_REPLY = "ksr_bye_reply"
ON_BYE_FAILURE = "ksr_bye_failure"

OFFERS = ("INVITE", "UPDATE")
WITH_MEDIA = ("INVITE", "UPDATE", "ACK", "PRACK")
# What may renegotiate before the first INVITE has its 2xx.
EARLY = ("UPDATE", "PRACK")
CHALLENGES = (401, 407)
NO_MATCH = 481
TRYING = 100

_PATH = "$avp(siprec_path)"
_OFFERED = "$avp(siprec_offered)"
_SRTP, _PLAIN = "srtp", "plain"
_SENDER = "$avp(siprec_sender)"
_SESSION_ID = "$avp(siprec_session_id)"
_REFERRAL = "$avp(siprec_referral)"

_OTHER = {Side.CALLER: Side.CALLEE, Side.CALLEE: Side.CALLER}


class Dialogs:
    """Calls after their first INVITE. One per SIP worker."""

    def __init__(
        self,
        route_key: bytes,
        media: Media,
        reports: Reports,
        awareness: Awareness,
        session_ids: SessionIds,
        policy: Policy,
    ) -> None:
        self._route_key = route_key
        self._media = media
        self._reports = reports
        self._awareness = awareness
        self._session_ids = session_ids
        self._policy = policy

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
        path = read_parameter(self._route_key, ksr.text("$ci"), route, ksr.text("$ft"))
        if path is None:
            if method != "ACK":
                ksr.reply_stateless(403, "Not a Dialog of This Proxy")
            return
        if method != "ACK" and not ksr.new_transaction():
            return
        # With a further Route ahead the address is that proxy's to know.
        if not ksr.is_set("$du"):
            ksr_proxy.follow_real_contact()
        self.look(method, path)
        if method == "BYE":
            ksr.on_reply(ON_BYE_REPLY)
            ksr.on_failure(ON_BYE_FAILURE)
        else:
            ksr.on_reply(ON_REPLY)
        if not ksr.relay() and method != "ACK":
            ksr.reply(500, "Server Internal Error")

    def look(self, method: str, path: Path) -> None:
        """Look at a request before it goes on: what is said of the ends, and of media."""
        ksr.set_text(_PATH, f"{path.call_sid}.{path.instance}.{path.is_from_callee:d}")
        session_id = self._session_ids.in_request()
        if method in OFFERS:
            ksr.set_text(_SENDER, to_json(asserted_party(self._policy) or party_in("From")))
            ksr.set_text(_SESSION_ID, session_id)
        elif method == "REFER" and (referred := referral(path.call_sid)) is not None:
            ksr.set_text(_REFERRAL, to_json(referred))
        if method in WITH_MEDIA and ksr_proxy.has_sdp():
            self._renegotiate(method, path)

    def _renegotiate(self, method: str, path: Path) -> None:
        is_srtp = ksr_proxy.has_srtp()
        # The offer was in a reply (RFC 3261 §13.2.1, RFC 3262 §5), this is its answer, of the same
        # profile. After another offer, PRACK may bring the next.
        is_answer = method == "ACK" or (method == "PRACK" and negotiation.is_late_answer())
        if is_answer:
            agreed = Agreed(negotiation.take_late_answer(_OTHER[_sender(path)]), is_srtp)
        else:
            ksr.set_text(_OFFERED, _SRTP if is_srtp else _PLAIN)
            negotiation.note_offer()
        record = self._awareness.requested(path.call_sid)
        self._media.renegotiate(path, is_offer=not is_answer, record=record)
        if is_answer:
            self._agreed(path, method, agreed)
            self._reports.changed(
                CallChanged(
                    call_sid=path.call_sid,
                    at_ms=now_ms(),
                    is_srtp=is_srtp,
                    quiet=agreed.answer.quiet,
                    has_video=agreed.answer.has_video,
                )
            )

    def replied(self) -> None:
        """Look at a reply inside a dialog before it goes on."""
        path = _path()
        if path is None:
            return
        session_id = self._session_ids.in_reply() if ksr.number("$rs") > TRYING else ""
        method = ksr.text("$rm")
        if method in WITH_MEDIA and ksr_proxy.has_sdp():
            self._take_reply(path)
        is_success = 200 <= ksr.number("$rs") < 300
        if is_success and ksr.is_set(_REFERRAL):
            self._reports.referred(from_json(CallReferred, ksr.text(_REFERRAL)))
        if is_success and method in WITH_MEDIA:
            answer = negotiation.answered()
            agreed = None if answer is None else Agreed(answer, ksr.text(_OFFERED) == _SRTP)
            self._agreed(path, method, agreed)
            if agreed is not None or method in OFFERS:
                self._changed(path, session_id, agreed)

    def _take_reply(self, path: Path) -> None:
        """Take the SDP of a reply: the answer, or an offer if the INVITE had none."""
        is_answer = ksr.is_set(_OFFERED)
        if is_answer:
            negotiation.note_answer(_sender(path))
            if ksr_proxy.has_srtp():
                ksr.set_text(_OFFERED, _SRTP)
        else:
            negotiation.note_late_offer()
        record = self._awareness.replied(path.call_sid)
        self._media.renegotiate(path, is_offer=not is_answer, record=record)

    def _agreed(self, path: Path, method: str, agreed: Agreed | None) -> None:
        """Keep what may have been agreed before the call is answered."""
        if agreed is not None and method in EARLY:
            tag = ksr.text("$ft" if path.is_from_callee else "$tt")
            negotiation.keep_early(tag, agreed)

    def _changed(self, path: Path, session_id: str, agreed: Agreed | None) -> None:
        """Report what a request has changed: media, and who the ends are."""
        sender = from_json(Party, ksr.text(_SENDER)) if ksr.is_set(_SENDER) else None
        parties = {_sender(path): sender, _OTHER[_sender(path)]: asserted_party(self._policy)}
        session_ids = [ksr.text(_SESSION_ID), session_id]
        if path.is_from_callee:
            session_ids.reverse()
        change = CallChanged(
            call_sid=path.call_sid,
            at_ms=now_ms(),
            is_srtp=None if agreed is None else agreed.is_srtp,
            quiet=None if agreed is None else agreed.answer.quiet,
            has_video=None if agreed is None else agreed.answer.has_video,
            caller=parties[Side.CALLER],
            callee=parties[Side.CALLEE],
            session_id=session_id_pair(*session_ids) if all(session_ids) else None,
            has_sdp=agreed is not None,
        )
        self._reports.changed(change)

    def bye_replied(self) -> None:
        """Look at a reply to BYE: a final one ends the call."""
        status = ksr.number("$rs")
        if status > TRYING:
            self._session_ids.in_reply()
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
        released = 200 <= status < 300 and self._media.release_path(path)
        self._awareness.over()
        self._session_ids.over()
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
    call_sid, instance, is_from_callee = stored.split(".")
    return Path(call_sid, int(instance), is_from_callee == "1")


def _sender(path: Path) -> Side:
    """Tell who sent the request of the transaction at hand."""
    return Side.CALLEE if path.is_from_callee else Side.CALLER
