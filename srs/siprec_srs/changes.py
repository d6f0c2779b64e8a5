"""Re-INVITEs and UPDATEs of the SRC: judged, answered, refused as the switches say."""

import time
from collections.abc import Callable
from typing import Protocol

from siprec_srs.agreement import Agreement
from siprec_srs.answering import Answering
from siprec_srs.behaviour import Behaviour, Refusal
from siprec_srs.checks import Findings, examine_change, warning_headers
from siprec_srs.dialog import ALLOW, Dialog
from siprec_srs.media import Media
from siprec_srs.message import Header, Request
from siprec_srs.offers import Wish
from siprec_srs.outgoing import Outgoing
from siprec_srs.own_requests import OwnRequests
from siprec_srs.session_timer import SessionTimer
from siprec_srs.summary import Summary
from siprec_srs.transaction import ServerTransaction

# RFC 3261 §14.1: who owns the Call-ID tries again 2.1 to 4 s after a 491.
_GLARE_S = 2.1
_EARLY_S = 0.1
# §14.2: a random number from 0 to 10.
_SOON: tuple[Header, ...] = (("Retry-After", "1"),)


class Host(Protocol):
    """What the session does for us."""

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run something later, unless the session ends before."""

    def write(self) -> None:
        """Write the summary."""


class Changes:
    """Takes the requests that change a session. `take` is called in the order of CSeq."""

    def __init__(
        self,
        host: Host,
        *,
        behaviour: Behaviour,
        dialog: Dialog,
        summary: Summary,
        media: Media,
        agreement: Agreement,
        outgoing: Outgoing,
        timer: SessionTimer,
        answering: Answering,
        own: OwnRequests,
    ) -> None:
        self._host = host
        self._behaviour = behaviour
        self._policy = behaviour.mid_call
        self._dialog = dialog
        self._summary = summary
        self._media = media
        self._agreement = agreement
        self._outgoing = outgoing
        self._timer = timer
        self._answering = answering
        self._own = own
        self._pending: ServerTransaction | None = None
        self._offered: set[int] = set()
        self._refused = {"INVITE": 0, "UPDATE": 0}
        self._has_glared = False
        self._patience: dict[str, tuple[float, str]] = {}

    @property
    def is_pending(self) -> bool:
        """Tell whether a re-INVITE waits for its final response."""
        return self._pending is not None

    # ------------------------------------------------------------- before they are judged

    def take(self, transaction: ServerTransaction) -> None:
        """Answer a re-INVITE or an UPDATE."""
        request = transaction.request
        method = request.method
        found = self._examine(request)
        self._check_patience(method)
        too_small = self._timer.too_small(request)
        if method == "INVITE" and self._policy.silent_reinvite:
            self._agreement.reject(found)
        elif self._pending is not None and (method == "INVITE" or found.offer is not None):
            self._summary.note(f"{method} before the re-INVITE had its final response")
            self._refuse(transaction, found, 500, "Server Internal Error", _SOON)
        elif self._collides(method, found):
            self._refuse(transaction, found, 491, "Request Pending")
        elif (refusal := self._refusal(method)) is not None:
            extra = self._behaviour.retry_after + _allowed(refusal, method)
            self._refuse(transaction, found, refusal.status, refusal.reason, extra)
        elif self._policy.glare and found.offer is not None and not self._has_glared:
            self._glare(transaction, found)
        elif too_small:
            self._refuse(transaction, found, 422, "Session Interval Too Small", too_small)
        elif method == "INVITE" and self._policy.delay_reinvite_s > 0:
            self._pending = transaction
            self._answering.respond(transaction, 100, "Trying")
            self._host.later(self._policy.delay_reinvite_s, self._answer_pending)
        else:
            self._judge(transaction, found)
        self._host.write()

    def _collides(self, method: str, found: Findings) -> bool:
        """Tell whether both sides ask at once (RFC 3261 §14.2, RFC 3311 §5.2)."""
        outgoing = self._outgoing
        offers = found.offer is not None
        return (method == "INVITE" and outgoing.is_inviting) or (offers and outgoing.is_offering)

    def _refusal(self, method: str) -> Refusal | None:
        policy = self._policy
        refusal = policy.refuse_reinvite if method == "INVITE" else policy.refuse_update
        if refusal is None or 0 < refusal.times <= self._refused[method]:
            return None
        self._refused[method] += 1
        return refusal

    def _glare(self, transaction: ServerTransaction, found: Findings) -> None:
        self._has_glared = True
        if self._policy.glare == "cross":
            self._own.offer("INVITE", Wish(), is_glare=True)
        self._refuse(transaction, found, 491, "Request Pending")

    def _refuse(
        self,
        transaction: ServerTransaction,
        found: Findings,
        status: int,
        reason: str,
        extra: tuple[Header, ...] = (),
    ) -> None:
        self._agreement.reject(found)
        self._agreement.keep(found, transaction.request.method, is_refused=True)
        self._answering.respond(transaction, status, reason, extra)
        told = next((int(value) for name, value in extra if name == "Retry-After"), None)
        if status == 491:
            self._be_patient(transaction.request.method, _GLARE_S, "491")
        elif told is not None:
            self._be_patient(transaction.request.method, told, f"Retry-After: {told}")

    def _be_patient(self, method: str, delay_s: float, why: str) -> None:
        self._patience[method] = time.monotonic() + delay_s - _EARLY_S, why

    def _check_patience(self, method: str) -> None:
        until, why = self._patience.pop(method, (0.0, ""))
        if time.monotonic() < until:
            self._summary.note(f"{method} again too soon after {why}")

    # ------------------------------------------------------------- a delayed answer

    def _answer_pending(self) -> None:
        transaction, self._pending = self._pending, None
        if transaction is not None:
            self._judge(transaction, self._examine(transaction.request))
            self._host.write()

    def cancel(self, cancel: ServerTransaction, invite: ServerTransaction) -> None:
        """Answer the CANCEL of a re-INVITE; the session goes on as it was (RFC 3261 §9.2)."""
        if self._policy.silent_reinvite:
            return
        self._answering.respond(cancel, 200, "OK")
        if invite is not self._pending:
            return
        if self._behaviour.late_200_after_cancel:
            self._answer_pending()
        else:
            self._pending = None
            found = self._examine(invite.request)
            self._refuse(invite, found, 487, "Request Terminated")
            self._host.write()

    def end(self) -> None:
        """Answer what is pending: the session is over (RFC 3261 §15.1.2)."""
        transaction, self._pending = self._pending, None
        if transaction is not None:
            self._answering.respond(transaction, 487, "Request Terminated")

    # ------------------------------------------------------------- the judgement

    def _judge(self, transaction: ServerTransaction, found: Findings) -> None:
        request = transaction.request
        self._agreement.compare(found)
        if found.errors:
            extra = warning_headers(found.errors)
            self._refuse(transaction, found, 400, "Bad Request", extra)
            return
        body = self._answer(request, found)
        if body is None:
            self._refuse(transaction, found, 488, "Not Acceptable Here")
            return
        self._agreement.keep(found, request.method)
        self._dialog.refresh_target(request)
        if self._policy.moved_contact:
            self._dialog.move_contact()
        headers = self._timer.answer(request)
        if request.method == "INVITE":
            self._answering.accept(transaction, body, headers)
        else:
            contact = (("Contact", self._dialog.contact),)
            self._answering.respond(transaction, 200, "OK", (*contact, *headers), body)
            self._media.start()

    def _answer(self, request: Request, found: Findings) -> bytes | None:
        if found.offer is not None:
            return self._media.answer(found.offer)
        if request.method != "INVITE":
            return b""
        # Without an offer our 200 to an INVITE makes one (RFC 3261 §14.2).
        self._offered.add(request.cseq[0])
        return self._media.offer(Wish())

    def acknowledge(self, ack: Request) -> None:
        """Take the ACK of a 200 of ours, which answers an offer in it."""
        if ack.cseq[0] in self._offered:
            self._offered.discard(ack.cseq[0])
            self._own.take_ack(self._examine(ack))

    def _examine(self, request: Request) -> Findings:
        return examine_change(request, self._agreement.known, self._agreement.labels)


def _allowed(refusal: Refusal, method: str) -> tuple[Header, ...]:
    # RFC 3261 §21.4.6.
    allow = ", ".join(one for one in ALLOW.split(", ") if one != method)
    return (("Allow", allow),) if refusal.status == 405 else ()
