"""A model of a stream's owner and its peers: carries commands out, and answers as it is told to.

The peers know which forks and dialogs there are, so that a test can ask what is left over, and
whether media flows that nobody should get.
"""

from collections.abc import Callable
from dataclasses import replace

from siprec import events as e
from siprec.leg_dialog import request_of
from siprec.leg_growth import fit
from siprec.model import Leg, Picture, Plan, Stream, StreamState
from siprec.sids import parse_leg_call_id
from siprec.srs_dialog import answer_request
from siprec.step import RUNNING, step
from tests.siprec.model_rtpengine import ModelRtpengine, Reply
from tests.siprec.model_srs import ModelSrs, dialog_of
from tests.siprec.streams import (
    FORK_OFFERED,
    NOW_MS,
    PLAN,
    VIDEO_OFFERED,
    begun,
    refused,
)

# How often something else may happen before the test lets the stream come to its end.
PATIENCE = 20

Choose = Callable[[str, int], int]

_WAITING = tuple(state for state in RUNNING if state is not StreamState.RECORDING)


def _is_busy(leg: Leg, picture: Picture) -> bool:
    waits = (leg.asked, leg.question, leg.ack_until_ms, leg.retry_ms)
    is_waiting = leg.is_gating or any(each is not None for each in waits)
    is_outdated = fit(leg, picture) not in (leg.told, leg.untold)
    is_busy = leg.state is StreamState.RECORDING and (is_waiting or is_outdated)
    return leg.state in _WAITING or is_busy


def _is_refused_bye(event: e.LegEvent) -> bool:
    return isinstance(event, e.SrsByeAnswered) and event.status >= 300


class ModelWorld:
    """One stream and its peers. `choose(what, n)` picks one of n behaviours, 0 being the best."""

    def __init__(self, choose: Choose, plan: Plan = PLAN) -> None:
        self._choose = choose
        self.now_ms = NOW_MS
        self.rtpengine = ModelRtpengine(choose)
        self.calls_ended = 0
        self._replies: list[Reply] = []
        self.srs = ModelSrs(choose, self._replies, has_digest=plan.has_digest)
        self._sent: tuple[e.Command, ...] = ()
        begin = begun(plan=plan)
        self.stream: Stream = begin.stream
        self._carry_out(self._end_call(begin.commands))

    # What happens

    def happen(self, event: e.Event) -> None:
        """Apply an event, save, and carry the commands out."""
        self._carry_out(self._save(event))

    def happen_in_one_turn(self, *events: e.Event) -> None:
        """Apply events, save all, and only then carry the commands out, as a controller does."""
        self._carry_out(tuple(command for event in events for command in self._save(event)))

    def reply(self) -> None:
        """Let the oldest or the newest reply on its way arrive."""
        if self._replies:
            self._deliver(self._replies[-self._choose("order", 2)])

    def crash(self, event: e.Event) -> None:
        """Let the owner fall between save and sending; another takes over.

        Replies on their way reach nobody. A 2xx among them leaves a dialog that nobody can
        know of: the session timer of the SRS ends it, so it is not counted here.
        """
        if isinstance(event, e.DeadlinePassed):
            self._let_replies_return()
        commands = self._save(event)
        for reply in self._replies:
            if isinstance(reply.event, e.SrsAnswered):
                self._forget_unless_known(reply.leg, reply.event)
        for command in commands:
            if isinstance(command, e.ForLeg) and isinstance(command.command, e.DropLateAnswer):
                self._forget_unless_known(command.leg, command.command.answer)
        self._replies.clear()
        self.rtpengine.lose_requests()
        self.srs.lose_requests()
        self.happen(e.OwnerChanged())

    def take_over(self) -> None:
        """Take the stream over while the replies to what was sent still come."""
        self.happen(e.OwnerChanged())

    def send_again(self) -> None:
        """Carry the last commands out a second time, as after a crash between two saves."""
        self._carry_out(self._sent)

    def srs_hangs_up(self) -> None:
        """Let an SRS send BYE in the dialog in force."""
        up = [leg for leg in self.stream.legs if self.srs.has(leg)]
        if up:
            leg = up[self._choose("who hangs up", len(up))]
            self.srs.dialogs.discard(dialog_of(leg))
            is_error = bool(self._choose("error", 2))
            self.happen(e.LegHappened(leg=leg.number, event=e.SrsHungUp(is_error=is_error)))

    def srs_reinvites(self) -> None:
        """Let an SRS send a re-INVITE or UPDATE: it moves its media, or holds it."""
        up = [leg for leg in self.stream.legs if self.srs.has(leg)]
        if not up:
            return
        leg = up[self._choose("who re-INVITEs", len(up))]
        answer = answer_request(self.stream, self.srs.make_offer(leg))
        noted = answer.leg
        if noted is None:
            return
        legs = tuple(noted if each.number == leg.number else each for each in self.stream.legs)
        self.stream = replace(self.stream, legs=legs)
        if answer.status == 200:
            self.srs.silent[dialog_of(leg)] = set(leg.muted)
        for event in answer.events:
            if isinstance(event, e.OfferGiven):
                self.srs.take_offer(noted)
            self.happen(e.LegHappened(leg=leg.number, event=event))

    def srs_asks(self) -> None:
        """Let an SRS ask for a snapshot."""
        leg = self._any_leg()
        if leg is not None and self.srs.has(leg):
            self.happen(e.LegHappened(leg=leg.number, event=e.SnapshotRequested()))

    def call_changes(self) -> None:
        """Let the call be held, or taken off hold, or have video or not, or another party come."""
        before = self.stream.picture
        if self._choose("change", 2):
            quiet = (("1",), ("2",), ("1", "2"), ())[self._choose("quiet", 4)]
            picture = replace(before, quiet=quiet)
        elif self._choose("video", 2):
            picture = replace(before, has_video=not before.has_video)
        else:
            picture = replace(before, revision=before.revision + 1, formers=before.formers + 1)
        self.happen(e.Pictured(picture=picture))

    def srs_seems_dead(self) -> None:
        """Let health checks say that the SRS of a leg is dead."""
        leg = self._any_leg()
        if leg is not None:
            died = e.SrsDied(text="dead", since_ms=self.now_ms - 5)
            self.happen(e.LegHappened(leg=leg.number, event=died))

    def lose_fork(self) -> None:
        """Let rtpengine forget the fork of a leg, as an audit of legs that record shows."""
        leg = self._any_leg()
        if leg is not None and leg.state is StreamState.RECORDING:
            self.rtpengine.release(leg.fork_tag)
            self.happen(e.LegHappened(leg=leg.number, event=e.ForkLost()))

    def pass_deadline(self) -> None:
        """Let the deadline come, if there is one."""
        self._let_replies_return()
        if self.stream.deadline_ms is not None:
            self.now_ms = max(self.now_ms, self.stream.deadline_ms)
            self.happen(e.DeadlinePassed())

    def come_to_an_end(self) -> None:
        """Stop the stream, and let all replies and deadlines come."""
        self.happen(e.CallOver(reason="bye"))
        for _ in range(PATIENCE):
            while self._replies:
                self.reply()
            if self.stream.state.is_final:
                return
            self.pass_deadline()

    def wait_until_settled(self) -> None:
        """Let nothing come but deadlines, until the stream records or has ended."""
        for _ in range(PATIENCE * len(self.stream.plan.srs) + PATIENCE):
            if not any(leg.state in _WAITING for leg in self.stream.legs):
                return
            self.pass_deadline()

    def come_to_rest(self) -> None:
        """Let peers be at their best, and all that is on its way arrive."""
        self._choose = self.srs.choose = self.rtpengine.choose = lambda what, n: 0
        for _ in range(PATIENCE):
            while self._replies:
                self.reply()
            if not any(_is_busy(leg, self.stream.picture) for leg in self.stream.legs):
                return
            self.pass_deadline()

    @property
    def flowing(self) -> dict[str, frozenset[str]]:
        """Give the labels of what reaches an SRS now, by fork."""
        return self.rtpengine.flows

    # What the owner does at once

    def _deliver(self, reply: Reply) -> None:
        """Let a reply arrive; one about a fork of before is nothing new."""
        self._replies.remove(reply)
        further = reply.arrive() if reply.arrive is not None else None
        if further is not None:
            self._replies.append(further)
            return
        leg = self.stream.leg(reply.leg)
        tags = () if leg is None else (leg.fork_tag, leg.next_fork)
        if not reply.fork_tag or reply.fork_tag in tags:
            self.happen(e.LegHappened(leg=reply.leg, event=reply.event))

    def _let_replies_return(self) -> None:
        """Let come back what surely does before the deadline.

        BYEs that are to be sent again, for a round trip is shorter than any deadline, and
        requests in the dialog, which tm ends before.
        """
        while returning := [each for each in self._replies if self._returns(each)]:
            self._deliver(returning[0])

    def _returns(self, reply: Reply) -> bool:
        leg, due_ms = self.stream.leg(reply.leg), self.stream.deadline_ms or 0
        asked = None if leg is None else leg.asked or leg.question
        until_ms = due_ms + 1 if asked is None else asked.until_ms
        if isinstance(reply.event, e.SrsReanswered) and leg is not None:
            until_ms = leg.ack_until_ms or until_ms
        return _is_refused_bye(reply.event) or (reply.is_bounded and until_ms <= due_ms)

    def _save(self, event: e.Event) -> tuple[e.Command, ...]:
        self.now_ms += 10
        self.stream, commands = step(self.stream, event, self.now_ms)
        return self._end_call(commands)

    def _end_call(self, commands: tuple[e.Command, ...]) -> tuple[e.Command, ...]:
        """End the call in the same save in which the stream demands it."""
        if any(isinstance(command, e.EndCall) for command in commands):
            self.calls_ended += 1
            over = e.CallOver(reason="unrecorded")
            self.stream, more = step(self.stream, over, self.now_ms)
            return (*commands, *more)
        return commands

    def _any_leg(self) -> Leg | None:
        legs = self.stream.legs
        return legs[self._choose("leg", len(legs))] if legs else None

    def _forget_unless_known(self, number: int, answer: e.SrsAnswered) -> None:
        leg = self.stream.leg(number)
        if leg is None or (leg.attempt, leg.to_tag) != (answer.attempt, answer.to_tag):
            self.srs.dialogs.discard((number, answer.attempt, answer.to_tag))

    # What commands do

    def _carry_out(self, commands: tuple[e.Command, ...]) -> None:
        self._sent = commands
        for addressed in commands:
            if not isinstance(addressed, e.ForLeg):
                continue
            number, command = addressed.leg, addressed.command
            leg = self.stream.leg(number)
            if isinstance(command, e.DropLateAnswer):
                answer = command.answer
                self.srs.dialogs.discard((number, answer.attempt, answer.to_tag))
            elif leg is not None:
                self._carry_out_for(leg, command)

    def _carry_out_for(self, leg: Leg, command: e.LegCommand) -> None:
        match command:
            case e.RequestFork():
                self._request_fork(leg)
            case e.AnswerFork():
                reply = self.rtpengine.answer(leg)
                self._replies += [] if reply is None else [reply]
            case e.ReleaseFork(fork_tag=tag):
                self.rtpengine.release(tag)
                self._answer("release", leg, (e.ForkReleased(),), tag)
            case e.SendInvite():
                self.srs.invite(leg)
            case e.SendAsked():
                if (asking := request_of(leg, command)) is not None:
                    self.srs.take_request(asking)
            case e.SendCancel(call_id=call_id):
                named = parse_leg_call_id(call_id)
                if named is not None and named[1:] not in {up[:2] for up in self.srs.dialogs}:
                    self._answer("cancel", leg, (refused(487, attempt=named.attempt),))
            case e.SendBye():
                self.srs.take_bye(leg)
            case e.SendOptions():
                if (asking := request_of(leg, command)) is not None:
                    self.srs.take_options(asking)

    def _request_fork(self, leg: Leg) -> None:
        refusal = e.ForkRefused(text="no such call")
        not_yet = e.ForkRefused(text="not yet", retryable=True)
        no_edge = e.ForkRefused(text="no such edge", code=31942)
        tag = leg.next_fork or leg.fork_tag
        if self._choose("fork", 4) == 3:
            refused_so = (refusal, not_yet, no_edge)[self._choose("fork refusal", 3)]
            self._reply(leg, refused_so, tag)
            return
        self.rtpengine.forks.add(tag)
        # A party may have no video although the call has.
        has_video = self.stream.picture.has_video and self._choose("dead video", 4) != 3
        offered = VIDEO_OFFERED if has_video else FORK_OFFERED
        if leg.next_fork:
            # rtpengine answers, or is given up: siprec_kemi tells of either.
            self._reply(leg, offered, tag)
        else:
            self._answer("fork answer", leg, (offered,), tag)

    def _answer(
        self, what: str, leg: Leg, events: tuple[e.LegEvent, ...], fork_tag: str = ""
    ) -> None:
        """Answer with one of the events, or be silent."""
        choice = self._choose(what, len(events) + 1)
        if choice < len(events):
            self._reply(leg, events[choice], fork_tag)

    def _reply(self, leg: Leg, event: e.LegEvent, fork_tag: str = "") -> None:
        self._replies.append(Reply(leg.number, event, fork_tag))
