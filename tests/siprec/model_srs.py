"""A model of the SRSs of a stream: which dialogs are up, and what was agreed in them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from siprec import events as e
from siprec.inbox import SrsRequested
from siprec.leg_end import FLOW_FAILED, FLOW_TRIES
from siprec.leg_growth import offer_of
from siprec.model import Ask, Leg, Picture
from siprec.sdp import Offer
from tests.siprec.model_rtpengine import Reply
from tests.siprec.streams import answer_sdp, answer_to, answered, refused

_TIMERS = ("", "90;refresher=uac", "90;refresher=uas", "90", "soon")
# What a request of ours may be refused with. The first three are lost, with their answers or not.
_REFUSALS = (408, 408, 408, 488, 491, 481, 401, FLOW_FAILED, 500, 405, 422, 503)

# Leg, attempt, tag of the SRS.
Dialog = tuple[int, int, str]


def dialog_of(leg: Leg) -> Dialog:
    """Name the dialog in force of a leg."""
    return leg.number, leg.attempt, leg.to_tag


class ModelSrs:
    """All SRSs. What they answer goes to `replies`.

    `silent` is what the SRS of a dialog took for inactive when we said so, by label, and
    `knows` what it knows of the call, `lines` the labels that it was offered last.
    """

    def __init__(
        self, choose: Callable[[str, int], int], replies: list[Reply], *, has_digest: bool
    ) -> None:
        self.choose = choose
        self.dialogs: set[Dialog] = set()
        self.silent: dict[Dialog, set[str]] = {}
        self.knows: dict[Dialog, Picture | None] = {}
        self.lines: dict[Dialog, tuple[str, ...]] = {}
        self._has_digest = has_digest
        self._replies = replies
        self._open: dict[Dialog, int] = {}
        self._last: dict[Dialog, int] = {}
        # Where the ACK to a 200 with an offer has yet to come.
        self._unanswered: set[Dialog] = set()
        self._accepted = 0
        self._challenged: dict[Dialog, int] = {}
        self._flows_failed: Counter[Dialog] = Counter()

    def lose_requests(self) -> None:
        """Let nobody wait for answers any more."""
        self._open.clear()
        self._unanswered.clear()

    def has(self, leg: Leg) -> bool:
        """Tell whether the dialog of a leg is up."""
        return bool(leg.to_tag) and dialog_of(leg) in self.dialogs

    def make_offer(self, leg: Leg) -> SrsRequested:
        """Write a re-INVITE or UPDATE: the SRS moves its media, holds it, or refreshes."""
        kinds = [] if leg.offer is None else [media.kind for media in leg.offer.media]
        lines = range(len(kinds))
        ports = [5000 + 4 * self.choose("port", 3) + 2 * n for n in lines]
        directions = [("recvonly", "inactive")[self.choose("direction", 2)] for _ in lines]
        has_offer = self.choose("offer", 3) != 2
        return SrsRequested(
            node="n",
            boot="b",
            index=1,
            label=1,
            method=("INVITE", "UPDATE")[self.choose("method", 2)],
            call_id=leg.call_id,
            from_tag=leg.to_tag,
            to_tag=leg.from_tag,
            cseq=leg.remote_cseq + 1,
            supported="timer",
            session_expires=_TIMERS[self.choose("timer", len(_TIMERS))],
            content_type="application/sdp",
            body=answer_sdp(*ports, directions=directions, kinds=kinds) if has_offer else "",
        )

    def take_offer(self, leg: Leg) -> None:
        """Take the 200 with our offer; its ACK is lost sometimes."""
        if leg.offer is None or self.choose("ACK", 3) == 2:
            return
        dialog = dialog_of(leg)
        self._unanswered.add(dialog)
        answer = e.SrsReanswered(sdp=answer_to(leg.offer))
        arrive = partial(self._unanswered.discard, dialog)
        self._replies.append(Reply(leg.number, answer, arrive=arrive, is_bounded=True))

    def invite(self, leg: Leg) -> None:
        """Take an INVITE."""
        attempt = leg.attempt
        match self.choose("invite", 12):
            case 0 | 1 | 2:
                self._accept(leg, None if leg.offer is None else answer_to(leg.offer))
            case 3:
                self._accept(leg, None)
            case 4:
                self._reply(leg, refused(486, attempt=attempt))
            case 5:
                self._reply(leg, refused(302, attempt=attempt, contact="sip:b.example"))
            case 6:
                self._reply(leg, e.SrsUnreachable(attempt=attempt, text="no such name"))
            case 7:
                self._reply(leg, refused(401, attempt=attempt, cseq=leg.cseq))
            case 8:
                self._reply(leg, refused(FLOW_FAILED, attempt=attempt))
            case 9:
                self._reply(leg, refused(400, attempt=attempt))
            case 10:
                self._reply(leg, replace(refused(422, attempt=attempt), min_se_s=900))
            case _:
                # It does not answer.
                pass

    def _accept(self, leg: Leg, sdp: str | None) -> None:
        """Answer 2xx; an INVITE that comes twice makes two dialogs, as behind a forking proxy."""
        self._accepted += 1
        tag = f"srs{self._accepted}"
        dialog = (leg.number, leg.attempt, tag)
        self.dialogs.add(dialog)
        self.knows[dialog] = leg.told
        ok = answered(leg.attempt, leg=leg.number, sdp=sdp, to_tag=tag)
        self._reply(leg, replace(ok, session_expires=self._timer()))

    def _timer(self) -> str:
        return _TIMERS[self.choose("timer", len(_TIMERS))]

    def take_request(self, leg: Leg) -> None:
        """Take a re-INVITE or UPDATE of ours. tm sees to it that there always is an end to it."""
        dialog, asked, offer = dialog_of(leg), leg.asked, offer_of(leg)
        if asked is None or offer is None or not self._is_new(leg):
            return
        if dialog not in self.dialogs:
            self._end_request(leg, refused(481, attempt=leg.attempt, cseq=asked.cseq))
            return
        choice = self.choose("re-INVITE", 3 + len(_REFUSALS))
        if choice in (0, 1, 2, 3, 4):
            # The last two: its answer, or all of it, is lost.
            self._note(dialog, asked, offer)
        if choice < 3:
            sdp = None if asked.by_update else (answer_to(offer), None, "garbage")[choice]
            ok = answered(leg.attempt, leg=leg.number, sdp=sdp, to_tag=leg.to_tag)
            self._end_request(leg, replace(ok, cseq=asked.cseq, session_expires=self._timer()))
            return
        status = _REFUSALS[choice - 3]
        if status == 481:
            self.dialogs.discard(dialog)
        said = refused(status, attempt=leg.attempt, cseq=asked.cseq)
        more = {422: {"min_se_s": 900}, 503: {"retry_after_s": 5}}.get(status, {})
        self._end_request(leg, replace(said, **more))  # type: ignore[arg-type]

    def _is_new(self, leg: Leg) -> bool:
        """Note a request that is not carried out twice."""
        dialog = dialog_of(leg)
        if self._open.get(dialog) == leg.cseq:
            return False
        assert dialog not in self._open, "two requests at a time"
        assert dialog not in self._unanswered, "two offers at a time"
        assert leg.cseq > self._last.get(dialog, 1)
        self._open[dialog] = self._last[dialog] = leg.cseq
        return True

    def _note(self, dialog: Dialog, asked: Ask, offer: Offer) -> None:
        """Do what is asked. A partial document needs one before that it follows from.

        No m-line may go (RFC 3264 §8).
        """
        if not asked.by_update:
            self.silent[dialog] = set(asked.muted)
            assert self.lines.get(dialog, ()) == offer.labels[: len(self.lines.get(dialog, ()))]
            self.lines[dialog] = offer.labels
        if asked.picture is not None:
            assert asked.is_full or self.knows.get(dialog) is not None
            self.knows[dialog] = asked.picture

    def _end_request(self, leg: Leg, event: e.LegEvent) -> None:
        dialog = dialog_of(leg)

        def arrive() -> None:
            self._open.pop(dialog, None)

        self._replies.append(Reply(leg.number, event, arrive=arrive, is_bounded=True))

    def take_bye(self, leg: Leg) -> None:
        """Take a BYE; one that is to authenticate, or that did not arrive, ends nothing."""
        dialog = dialog_of(leg)
        assert leg.cseq > self._last.get(dialog, 1)
        about = e.Challenge(lines=("WWW-Authenticate: Digest",), cseq=leg.cseq)
        match self.choose("bye", 4):
            case _ if self._challenged.get(dialog, 0) >= leg.cseq:
                status = 401
            case 2 if self._has_digest and dialog not in self._challenged:
                self._challenged[dialog] = leg.cseq
                status = 401
            case 3 if self._flows_failed[dialog] < FLOW_TRIES:
                self._flows_failed[dialog] += 1
                status = FLOW_FAILED
            case _:
                self.dialogs.discard(dialog)
                bye = e.SrsByeAnswered(attempt=leg.attempt, status=200)
                if self.choose("bye answer", 2) == 0:
                    self._reply(leg, bye)
                return
        event = e.SrsByeAnswered(attempt=leg.attempt, status=status, challenge=about)
        self._reply(leg, event)

    def take_options(self, leg: Leg) -> None:
        """Answer in the dialog; an SRS that lost it says so."""
        if not self._is_new(leg):
            return
        statuses = (200, 481, 408)
        status = statuses[self.choose("options", len(statuses))]
        if status == 481:
            self.dialogs.discard(dialog_of(leg))
        self._end_request(leg, e.SrsOptionsAnswered(attempt=leg.attempt, status=status))

    def _reply(self, leg: Leg, event: e.LegEvent) -> None:
        self._replies.append(Reply(leg.number, event))
