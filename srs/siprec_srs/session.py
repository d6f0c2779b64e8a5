"""One recording session: from the INVITE of an SRC to the last byte of its files."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from siprec_srs.address import parse_name_addr
from siprec_srs.agreement import Agreement
from siprec_srs.answering import Answering
from siprec_srs.behaviour import Behaviour
from siprec_srs.changes import Changes
from siprec_srs.checks import examine_change, examine_invite, warning_headers
from siprec_srs.dialog import ACCEPT, ALLOW, Dialog, contact_of
from siprec_srs.environment import Environment
from siprec_srs.fork import Fork
from siprec_srs.media import Media
from siprec_srs.message import Header, Request, Response
from siprec_srs.outgoing import Order, Outgoing
from siprec_srs.own_requests import OwnRequests
from siprec_srs.sdes import hide_secrets
from siprec_srs.session_timer import SessionTimer
from siprec_srs.summary import Summary, iso
from siprec_srs.transaction import ServerTransaction, Timer

_TICK_S = 0.5
_AFTER_BYE_S = 0.5
_EXPIRED = 'SIP;cause=408;text="Session timer expired"'
_GARBAGE = b"this is no session description\r\n\0\xff\xfe=:;\r\nm=audio\r\n"


class _Shared(TypedDict):
    behaviour: Behaviour
    summary: Summary
    media: Media
    agreement: Agreement
    outgoing: Outgoing
    timer: SessionTimer


class Session:
    """Made by the server for an INVITE without To tag; the server then calls `begin`.

    on_over: called once when the files are complete and nothing of ours is outstanding.
    hidden: headers, in lower case, whose values are secrets. proof: how the SRC proved itself.
    """

    def __init__(
        self,
        *,
        environment: Environment,
        folder: Path,
        transaction: ServerTransaction,
        on_over: Callable[["Session"], None],
        hidden: frozenset[str] = frozenset(),
        proof: str | None = None,
    ) -> None:
        invite = transaction.request
        flow = transaction.flow
        self._environment = environment
        self._behaviour: Behaviour = environment.behaviour
        self.invite = transaction
        self._on_over = on_over
        self.dialog = Dialog.of(
            invite, contact_of(flow, environment.endpoint.port_of(flow.transport))
        )
        self.summary = Summary.of(folder, invite, hidden)
        self.summary.verify(flow, proof)
        self.media = Media(
            folder=folder,
            behaviour=self._behaviour,
            ports=environment.ports,
            host=flow.local_host,
            note=self.summary.note,
        )
        self.outgoing = Outgoing(environment, self.dialog, self.summary)
        self.outgoing.use_when_unreachable(flow)
        self._timer = self._session_timer()
        self._agreement = Agreement(self.summary, lambda: self.own.take_complete())
        self._answering = Answering(environment, self.dialog, self.summary, self._give_up)
        self.own, self._changes = self._mid_call()
        self.fork = Fork.of(environment, self.dialog)
        self._timers: list[Timer] = []
        self._has_media = self._is_recording = self._is_over = self._told_over = False
        self._pending_bye = False
        self._secured: list[str] = []
        self._final_state = "ended"

    def _session_timer(self) -> SessionTimer:
        return SessionTimer(
            self._environment.schedule,
            self._behaviour.mid_call.timer,
            refresh=lambda: self.own.refresh(),
            expire=self.expire,
            note=self.summary.note,
        )

    def _mid_call(self) -> tuple[OwnRequests, Changes]:
        shared: _Shared = {
            "behaviour": self._behaviour,
            "summary": self.summary,
            "media": self.media,
            "agreement": self._agreement,
            "outgoing": self.outgoing,
            "timer": self._timer,
        }
        own = OwnRequests(self, **shared)
        answering, dialog = self._answering, self.dialog
        return own, Changes(self, dialog=dialog, answering=answering, own=own, **shared)

    # ------------------------------------------------------------- the first INVITE

    def begin(self) -> None:
        """Judge the INVITE and do with it what the switches say."""
        request = self.invite.request
        found = examine_invite(request)
        self._agreement.keep(found, "INVITE")
        too_small = self._timer.too_small(request)
        folder, labels = str(self.summary.folder), self._agreement.labels
        self._environment.tell("invite", self.dialog.call_id, folder=folder, labels=labels)
        if self._behaviour.silent:
            self.summary.write()
        elif found.errors:
            self.refuse(400, "Bad Request", warning_headers(found.errors))
        elif too_small:
            self.refuse(422, "Session Interval Too Small", too_small)
        else:
            self._proceed()

    def _proceed(self) -> None:
        behaviour = self._behaviour
        if behaviour.ring_only or behaviour.delay_s > 0:
            self._respond(self.invite, 100, "Trying")
        if behaviour.ring_only or behaviour.ringing:
            self._respond(self.invite, 180, "Ringing", (("Contact", self.dialog.contact),))
        if behaviour.ring_only or behaviour.delay_s > 0:
            self.summary.write()
        if behaviour.delay_s > 0 and not behaviour.ring_only:
            self.later(behaviour.delay_s, self._decide)
        elif not behaviour.ring_only:
            self._decide()

    def _decide(self) -> None:
        if self.invite.status >= 200:
            return
        if self._behaviour.redirect:
            contact = (("Contact", f"<{self._behaviour.redirect}>"),)
            self.refuse(302, "Moved Temporarily", contact)
        elif self._behaviour.refuse:
            self.refuse(*self._behaviour.refuse, self._behaviour.retry_after)
        else:
            self._answer()

    def refuse(self, status: int, reason: str, extra: tuple[Header, ...] = ()) -> None:
        """End the session before it began."""
        self._respond(self.invite, status, reason, extra)
        for name, value in extra:
            if name == "Warning":
                self.summary.note(value)
        self.summary.refused_with = status
        self._end("refused", state="refused")

    def _answer(self) -> None:
        offer = self._agreement.offer
        body = self.media.answer(offer) if offer is not None else None
        if body is None:
            self.refuse(488, "Not Acceptable Here", warning_headers(["no usable m-line"]))
            return
        (self.summary.folder / "sdp-answer.sdp").write_bytes(hide_secrets(body))
        if self._behaviour.garbage:
            body = _GARBAGE
        elif self._behaviour.no_sdp:
            body = b""
        self.media.mark_answer()
        self._answering.accept(self.invite, body, self._timer.answer(self.invite.request))
        if self.fork is not None:
            self.fork.answer(self.invite, body)
        self._is_recording = True
        self.summary.state = "recording"
        self.summary.answered = iso(time.time())
        self.write()
        self._environment.tell("answered", self.dialog.call_id)
        if not self._behaviour.no_media:
            self.later(_TICK_S, self._tick)
        if self._behaviour.die_after_s is not None:
            self.later(self._behaviour.die_after_s, self._environment.die)

    def _give_up(self, number: int) -> None:
        if not self._is_over:
            self.summary.note(f"no ACK for the INVITE with CSeq {number}")
            self.hang_up("timeout")

    def cancel(self, transaction: ServerTransaction, invite: ServerTransaction) -> None:
        """Answer a CANCEL of an INVITE, the first or a later one (RFC 3261 §9.2)."""
        if invite is not self.invite:
            self._changes.cancel(transaction, invite)
            return
        if self._behaviour.silent:
            return
        self._respond(transaction, 200, "OK")
        if self.invite.status >= 200:
            self.summary.note("CANCEL after the final response")
        elif self._behaviour.late_200_after_cancel:
            self._answer()
        else:
            self.summary.bye_reason = transaction.request.get("Reason") or None
            self._respond(self.invite, 487, "Request Terminated")
            self._end("cancel")

    # ------------------------------------------------------------- inside the dialog

    def acknowledge(self, ack: Request) -> None:
        """Take the ACK of a 200."""
        if self.fork is not None and parse_name_addr(ack.need("To")).tag == self.fork.tag:
            self.fork.acknowledge()
            return
        if not self._answering.acknowledge(ack):
            return
        self._check_target(ack)
        if self._is_over:
            return
        self._changes.acknowledge(ack)
        self.media.start()
        if self.summary.acknowledged is None:
            self.summary.acknowledged = iso(time.time())
            self.own.plan()
            if self._behaviour.hang_up_after_s is not None:
                self.later(self._behaviour.hang_up_after_s, lambda: self.hang_up("srs-bye"))
        self.write()

    def _check_target(self, request: Request) -> None:
        if not self.dialog.is_ours(request):
            self.summary.note(f"the Request-URI of {request.method} is not our Contact")

    def request(self, transaction: ServerTransaction) -> None:
        """Answer a request inside the dialog; the server has checked Require."""
        request = transaction.request
        number, method = request.cseq
        if self.fork is not None and parse_name_addr(request.need("To")).tag == self.fork.tag:
            self.fork.request(transaction)
            return
        self._answering.note_request(transaction)
        if number <= self.dialog.remote_cseq:
            # RFC 3261 §12.2.2: out of order.
            self._respond(transaction, 500, "Server Internal Error")
            self.summary.note(f"{method} with CSeq {number} after {self.dialog.remote_cseq}")
            return
        self.dialog.remote_cseq = number
        self._check_target(request)
        self.outgoing.use_when_unreachable(transaction.flow)
        if method == "BYE":
            self._bye(transaction)
        elif self._is_over:
            self._respond(transaction, 481, "Call/Transaction Does Not Exist")
        elif method in ("INVITE", "UPDATE") and self.invite.status < 200:
            self._respond(transaction, 491, "Request Pending")
        elif method in ("INVITE", "UPDATE"):
            self._changes.take(transaction)
        elif method in ("OPTIONS", "INFO"):
            self._respond(transaction, 200, "OK", (("Allow", ALLOW), ("Accept", ACCEPT)))
        else:
            self._respond(transaction, 405, "Method Not Allowed", (("Allow", ALLOW),))

    def _bye(self, transaction: ServerTransaction) -> None:
        self.media.mark_bye()
        self._respond(transaction, 200, "OK")
        if self._is_over:
            return
        if self.invite.status < 200:
            self._respond(self.invite, 487, "Request Terminated")
        self.summary.bye_reason = transaction.request.get("Reason") or None
        known, labels = self._agreement.known, self._agreement.labels
        self._agreement.keep(examine_change(transaction.request, known, labels), "BYE")
        self._end("src-bye")

    # ------------------------------------------------------------- the end

    def expire(self) -> None:
        """End the session: nobody refreshed it in time (RFC 4028 §10)."""
        self.hang_up("timeout", _EXPIRED)

    def hang_up(self, ended_by: str, reason: str = "") -> None:
        """Send BYE and end."""
        if self._is_over:
            return
        self.media.mark_bye()
        self._pending_bye = True

        def done(_: Response | None) -> None:
            self._pending_bye = False
            if self.summary.state == "ended":
                self.write()
            self._tell_over()

        if ended_by == "srs-bye":
            reason = self._behaviour.hang_up_reason
        extra = (("Reason", reason),) if reason else ()
        self.outgoing.send(Order(method="BYE", extra=extra, done=done))
        self._end(ended_by)

    def _end(self, ended_by: str, state: str = "ended") -> None:
        self._is_over = True
        self._changes.end()
        self._stop_timers()
        self.summary.ended = iso(time.time())
        self.summary.ended_by = ended_by
        self._final_state = state
        # Packets that come although the session is over are counted for a while.
        self._environment.schedule(_AFTER_BYE_S if self._is_recording else 0.0, self.finish)

    def finish(self, ended_by: str = "") -> None:
        """Close the files and write the last summary; `ended_by` only when it ends here."""
        self._stop_timers()
        if self._told_over or self.summary.state in ("ended", "refused"):
            return
        if self.summary.ended is None:
            self.summary.ended, self.summary.ended_by = iso(time.time()), ended_by
        self._is_over = True
        self.media.close()
        self._first_media()
        self.summary.state = self._final_state
        for problem in self.fork.problems if self.fork is not None and self._is_recording else ():
            self.summary.note(problem)
        self.write()
        self._environment.tell(
            "ended", self.dialog.call_id, by=self.summary.ended_by, problems=self.summary.problems
        )
        self._tell_over()

    def _tell_over(self) -> None:
        if not self._told_over and not self._pending_bye and self.summary.state != "recording":
            self._told_over = True
            self._on_over(self)

    # ------------------------------------------------------------- small things

    def _tick(self) -> None:
        self.media.tick()
        self._first_media()
        self._new_keys()
        self.later(_TICK_S, self._tick)

    def _first_media(self) -> None:
        at = self.media.first_packet_at
        if at is not None and not self._has_media:
            self._has_media = True
            self._environment.tell("first-media", self.dialog.call_id, first_packet=iso(at))
            self.write()

    def _new_keys(self) -> None:
        if self._secured != self.media.secured:
            self._secured = self.media.secured
            self._environment.tell("secured", self.dialog.call_id, labels=self._secured)
            self.write()

    def write(self) -> None:
        """Write the summary with the counters as they are."""
        agreed = self._agreement
        self.summary.labels = self.media.describe(agreed.participant, agreed.attribute)
        self.summary.session_timer = self._timer.describe()
        self.summary.forked = self.fork.describe() if self.fork is not None else None
        self.summary.write()

    def _respond(
        self,
        transaction: ServerTransaction,
        status: int,
        reason: str,
        extra: tuple[Header, ...] = (),
    ) -> None:
        self._answering.respond(transaction, status, reason, extra)

    @property
    def is_over(self) -> bool:
        """Tell whether the dialog has ended, or never began."""
        return self._is_over

    @property
    def is_changing(self) -> bool:
        """Tell whether a re-INVITE of the SRC has no answer, or its answer no ACK."""
        return self._changes.is_pending or self._answering.awaits_ack

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run something later, unless the session ends before."""
        self._timers.append(self._environment.schedule(delay_s, action))

    def _stop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._answering.stop()
        if self.fork is not None:
            self.fork.stop()
        self._timer.stop()
