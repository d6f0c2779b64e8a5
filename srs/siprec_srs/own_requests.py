"""Requests that the SRS makes on its own: offers, refreshes, questions (RFC 7866 §7.2, §9.2)."""

import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from siprec_srs.agreement import Agreement
from siprec_srs.behaviour import Behaviour
from siprec_srs.checks import Findings, examine_change
from siprec_srs.media import Media
from siprec_srs.message import Header, Response
from siprec_srs.offers import Wish
from siprec_srs.outgoing import Order, Outgoing
from siprec_srs.session_timer import SessionTimer
from siprec_srs.summary import Summary

_SNAPSHOT_S = 2.0
_BUSY_S = 0.1
_TRIES_MAX = 5
_AGAIN = (422, 491)
_SNAPSHOT_REQUEST = (
    b'<?xml version="1.0" encoding="UTF-8"?>\r\n'
    b'<requestsnapshot xmlns="urn:ietf:params:xml:ns:recording:1">'
    b"<requestreason>trial</requestreason></requestsnapshot>\r\n"
)
_SNAPSHOT_HEADERS: tuple[Header, ...] = (
    ("Content-Type", "application/rs-metadata+xml"),
    ("Content-Disposition", "recording-session"),
)


class Host(Protocol):
    """What the session does for us."""

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run something later, unless the session ends before."""

    def write(self) -> None:
        """Write the summary."""

    def expire(self) -> None:
        """End the session: its timer has run out."""

    @property
    def is_over(self) -> bool:
        """Tell whether the dialog has ended."""

    @property
    def is_changing(self) -> bool:
        """Tell whether a re-INVITE of the SRC has no answer, or its answer no ACK."""


class OwnRequests:
    """Sends what the switches ask for. The session calls `plan` when it has the first ACK."""

    def __init__(
        self,
        host: Host,
        *,
        behaviour: Behaviour,
        summary: Summary,
        media: Media,
        agreement: Agreement,
        outgoing: Outgoing,
        timer: SessionTimer,
    ) -> None:
        self._host = host
        self._behaviour = behaviour
        self._policy = behaviour.mid_call
        self._summary = summary
        self._media = media
        self._agreement = agreement
        self._outgoing = outgoing
        self._timer = timer
        self._refresh_by = self._policy.timer.refresh_by
        self._snapshot: tuple[float, dict[str, Any]] | None = None

    def plan(self) -> None:
        """Send each request when its time has come."""
        behaviour, policy, later = self._behaviour, self._policy, self._host.later
        offers = (
            ("INVITE", behaviour.reinvite_after_s, policy.reinvite_offers),
            ("UPDATE", policy.update_after_s, policy.update_offers),
        )
        for method, delay_s, wishes in offers:
            for number, wish in enumerate(wishes, 1):
                if delay_s is not None:
                    later(delay_s * number, partial(self.offer, method, wish))
        questions: tuple[tuple[float | None, Callable[[], None]], ...] = (
            (behaviour.options_after_s, lambda: self._ask("OPTIONS")),
            (policy.info_after_s, lambda: self._ask("INFO")),
            (policy.snapshot_request_after_s, self._request_snapshot),
        )
        for delay_s, action in questions:
            if delay_s is not None:
                later(delay_s, action)

    def _ask(self, method: str) -> None:
        self._outgoing.send(Order(method=method, done=lambda _: self._host.write()))

    # ------------------------------------------------------------- snapshots

    def _request_snapshot(self) -> None:
        def done(response: Response | None) -> None:
            if response is not None and response.status < 300:
                self._host.later(_SNAPSHOT_S, self._miss_snapshot)
            self._host.write()

        order = Order(
            method="UPDATE",
            body=_SNAPSHOT_REQUEST,
            extra=_SNAPSHOT_HEADERS,
            done=done,
            tells=(("snapshot_after_s", None),),
        )
        self._snapshot = time.monotonic(), self._outgoing.send(order)

    def _miss_snapshot(self) -> None:
        if self._snapshot is not None:
            self._snapshot = None
            self._summary.note(f"no snapshot within {_SNAPSHOT_S:g} s of our request")
            self._host.write()

    def take_complete(self) -> None:
        """Take a complete document: it may be what was asked for."""
        if self._snapshot is not None:
            asked_at, entry = self._snapshot
            entry["snapshot_after_s"] = round(time.monotonic() - asked_at, 3)
            self._snapshot = None

    # ------------------------------------------------------------- offers

    def refresh(self) -> None:
        """Refresh the session, without any change."""
        wish = Wish(is_absent=self._refresh_by == "UPDATE")
        self.offer(self._refresh_by, wish, is_refresh=True)

    def offer(
        self,
        method: str,
        wish: Wish,
        *,
        is_refresh: bool = False,
        is_glare: bool = False,
        tries: int = 1,
    ) -> None:
        """Send an INVITE or UPDATE, as soon as there is no other; again after 491 and 422."""
        if self._host.is_over:
            return
        again = partial(self.offer, method, wish, is_refresh=is_refresh)
        outgoing = self._outgoing
        is_busy = outgoing.is_inviting or outgoing.is_offering or self._host.is_changing
        if is_busy and not is_glare:
            self._host.later(_BUSY_S, partial(again, tries=tries))
            return

        def done(response: Response | None) -> None:
            if not self._host.is_over:
                self._settle(method, wish, response, is_refresh=is_refresh)
            if not self._host.is_over and response is not None and response.status in _AGAIN:
                self._try_again(response, partial(again, tries=tries + 1), tries)
            elif not self._host.is_over and is_refresh:
                self._judge_refresh(response)
            self._host.write()

        outgoing.send(self._order(method, wish, done))

    def _order(self, method: str, wish: Wish, done: Callable[[Response | None], None]) -> Order:
        is_invite = method == "INVITE"
        body = b"" if wish.is_absent else self._media.offer(wish)
        return Order(
            method=method,
            body=body,
            extra=(("Require", "siprec"), *self._timer.offer()),
            done=done,
            tells=(("offer", str(wish)),) if body or is_invite else (),
            answers=self._answer if wish.is_absent and is_invite else None,
            cancels=is_invite and self._policy.cancel_reinvite,
            offers=bool(body),
        )

    def _judge_refresh(self, response: Response | None) -> None:
        # RFC 4028 §10.
        if response is None or response.status in (408, 481):
            self._host.expire()
        elif self._refresh_by == "UPDATE" and response.status in (405, 501):
            self._refresh_by = "INVITE"
            self._host.later(0, self.refresh)

    def _try_again(self, response: Response, again: Callable[[], None], tries: int) -> None:
        if tries >= _TRIES_MAX:
            self._summary.note(f"{tries} requests of ours were answered {response.status}")
        elif response.status == 491:
            # RFC 3261 §14.1: 0 to 2 s for who does not own the Call-ID.
            self._host.later(random.randrange(200) / 100, again)
        elif self._timer.raise_interval(response):
            again()
        else:
            self._summary.note("a 422 without a Min-SE above ours")

    # ------------------------------------------------------------- answers

    def _settle(
        self, method: str, wish: Wish, response: Response | None, *, is_refresh: bool
    ) -> None:
        """Take what came back, if it is a 2xx; else all stays as it was."""
        if response is None or response.status >= 300:
            self._media.drop_offer()
            return
        self._timer.answered(response, is_refresh=is_refresh)
        if wish.is_absent and method == "INVITE":
            return
        found = self._examine(response)
        if wish.is_absent:
            self._agreement.keep(found, "200")
        elif found.offer is None:
            self._agreement.keep(found, "200")
            self._summary.note(f"the 200 to our {method} has no session description")
            self._media.drop_offer()
        else:
            self._agreement.compare(found)
            self._agreement.keep(found, "200")
            self._take_answer(found, f"the 200 to our {method}")

    def take_ack(self, found: Findings) -> None:
        """Take the answer in the ACK of a 200 of ours that had the offer."""
        self._agreement.compare(found)
        self._agreement.keep(found, "ACK")
        if found.offer is None:
            self._summary.note("the ACK of a 200 with our offer has no session description")
            self._media.drop_offer()
        else:
            self._take_answer(found, "the ACK")

    def _take_answer(self, found: Findings, where: str) -> None:
        if found.offer is not None:
            for problem in self._media.take_answer(found.offer):
                self._summary.note(f"{where}: {problem}")
            self._media.start()

    def _answer(self, response: Response) -> bytes:
        """Answer, in our ACK, what the SRC offers in its 200 (RFC 3261 §14.1)."""
        found = self._examine(response)
        self._agreement.compare(found)
        self._agreement.keep(found, "200")
        if found.offer is None:
            self._summary.note("the 200 to our INVITE without an offer has no offer")
            return b""
        body = self._media.answer(found.offer)
        self._media.start()
        return body if body is not None else self._media.sdp

    def _examine(self, response: Response) -> Findings:
        return examine_change(response, self._agreement.known, self._agreement.labels)
