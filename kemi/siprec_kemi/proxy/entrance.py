"""Every request of the proxy role comes in here: checked, sorted, handed on."""

from siprec_kemi import ksr, ksr_proxy
from siprec_kemi.proxy.calls import Calls
from siprec_kemi.proxy.cancelled import is_cancelled_by_program
from siprec_kemi.proxy.dialogs import Dialogs
from siprec_kemi.proxy.inside import Inside
from siprec_kemi.proxy.policy import Policy
from siprec_kemi.proxy.route_parameter import read_parameter

# Relayed outside a dialog like a call, but neither anchored nor recorded.
RELAYED = ("OPTIONS", "INFO", "REFER")
ALLOWED = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER"


class Entrance:
    """The request route. One per SIP worker."""

    def __init__(
        self, route_key: bytes, calls: Calls, dialogs: Dialogs, policy: Policy, inside: Inside
    ) -> None:
        self._route_key = route_key
        self._inside = inside
        self._calls = calls
        self._dialogs = dialogs
        self._policy = policy

    def request(self) -> None:
        """Take a request."""
        is_listed = self._policy.may_call(ksr.text("$si"))
        if not is_listed and ksr_proxy.is_flood():
            return
        if not ksr_proxy.may_travel():
            ksr.reply_stateless(483, "Too Many Hops")
            return
        if not ksr_proxy.is_sane():
            return
        ksr_proxy.force_rport()
        method = ksr.text("$rm")
        if method == "CANCEL":
            if not ksr.is_known_transaction():
                ksr.reply_stateless(481, "Call/Transaction Does Not Exist")
            elif is_cancelled_by_program():
                # With nobody left to cancel tm would answer the INVITE past our handlers.
                ksr.reply_stateless(200, "Canceling")
            else:
                ksr.relay()
            return
        if ksr.is_repeat_absorbed():
            return
        if ksr_proxy.has_to_tag():
            self._dialogs.request(method)
        elif method != "ACK":
            self._outside_dialog(method, is_listed=is_listed)

    def reply(self) -> None:
        """Take a reply, before the handlers of its transaction do."""
        if not ksr_proxy.is_natted():
            return
        ksr_proxy.note_real_contact()
        if ksr.text("$rm") == "INVITE":
            ksr_proxy.apply_changes()

    def _outside_dialog(self, method: str, *, is_listed: bool) -> None:
        if method == "OPTIONS" and ksr_proxy.is_to_us() and not ksr.text("$rU"):
            ksr.append_reply_header(f"Allow: {ALLOWED}\r\n")
            ksr.reply_stateless(200, "OK")
        elif not is_listed:
            ksr.reply_stateless(403, "Forbidden")
        elif self._is_loop():
            ksr.reply_stateless(482, "Loop Detected")
        elif ksr.is_set("$hdr(Route)") and not self._drop_own_route():
            ksr.reply_stateless(403, "Preloaded Route Not Allowed")
        elif method == "INVITE":
            self._inside.leave()
            self._invite()
        elif method in RELAYED:
            self._inside.leave()
            self._relay_plain()
        else:
            ksr.append_reply_header(f"Allow: {ALLOWED}\r\n")
            ksr.reply_stateless(405, "Method Not Allowed")

    def _invite(self) -> None:
        if ksr_proxy.is_natted():
            ksr_proxy.note_real_contact()
            ksr_proxy.apply_changes()
        self._calls.invite()

    def _relay_plain(self) -> None:
        target = self._policy.default_target(
            ksr.text("$ru"), ksr.text("$rU"), is_to_us=ksr_proxy.is_to_us()
        )
        if target is None:
            ksr.reply_stateless(404, "Not Found")
            return
        ksr.set_target(target)
        if not ksr.relay():
            ksr.reply_stateless(500, "Server Internal Error")

    def _is_loop(self) -> bool:
        """Tell whether the request passed us before, by a Record-Route that only we can make."""
        call_id = ksr.text("$ci")
        return any(
            read_parameter(self._route_key, call_id, value.partition(">")[0], "") is not None
            for value in ksr.headers("Record-Route")
        )

    def _drop_own_route(self) -> bool:
        """Drop Routes that name only ourselves (an outbound proxy setting); False if others."""
        ksr_proxy.follow_route()
        return not ksr.is_set("$du") or ksr_proxy.is_to_us()
