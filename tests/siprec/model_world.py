"""A model of rtpengine and the SRSs: carries commands out, and answers as it is told to.

It knows which forks exist and which dialogs are up, so that a test can ask what is left over.
"""

from collections import Counter
from collections.abc import Callable

from siprec import events as e
from siprec.leg_end import FLOW_FAILED, FLOW_TRIES
from siprec.model import Leg, Plan, Stream, StreamState
from siprec.sids import parse_leg_call_id
from siprec.step import RUNNING, step
from tests.siprec.streams import (
    ANSWER_SDP,
    FORK_OFFERED,
    NOW_MS,
    PLAN,
    answered,
    begun,
    refused,
)

# How often something else may happen before the test lets the stream come to its end.
PATIENCE = 20

Choose = Callable[[str, int], int]
# Leg, attempt, tag of the SRS.
Dialog = tuple[int, int, str]


_WAITING = tuple(state for state in RUNNING if state is not StreamState.RECORDING)


def _dialog(leg: Leg) -> Dialog:
    return leg.number, leg.attempt, leg.to_tag


def _is_refused_bye(event: e.LegEvent) -> bool:
    return isinstance(event, e.SrsByeAnswered) and event.status >= 300


class ModelWorld:
    """One stream and its peers. `choose(what, n)` picks one of n behaviours, 0 being the best."""

    def __init__(self, choose: Choose, plan: Plan = PLAN) -> None:
        self._choose = choose
        self.now_ms = NOW_MS
        self.forks: set[str] = set()
        self.dialogs: set[Dialog] = set()
        self.calls_ended = 0
        self._accepted = 0
        # What is on its way, with the fork that it is about, if it is about one.
        self._replies: list[tuple[e.LegHappened, str]] = []
        self._sent: tuple[e.Command, ...] = ()
        self._challenged: dict[Dialog, int] = {}
        self._flows_failed: Counter[Dialog] = Counter()
        begin = begun(plan=plan)
        self.stream: Stream = begin.stream
        self._carry_out(self._end_call(begin.commands))

    # What happens

    def happen(self, event: e.Event) -> None:
        """Apply an event, save, and carry the commands out."""
        self._carry_out(self._save(event))

    def reply(self) -> None:
        """Let the oldest or the newest reply on its way arrive."""
        if self._replies:
            event, fork_tag = self._replies.pop(-self._choose("order", 2))
            leg = self.stream.leg(event.leg)
            if not fork_tag or (leg is not None and leg.fork_tag == fork_tag):
                self.happen(event)

    def crash(self, event: e.Event) -> None:
        """Let the owner fall between save and sending; another takes over.

        Replies on their way reach nobody. A 2xx among them leaves a dialog that nobody can
        know of: the session timer of the SRS ends it, so it is not counted here.
        """
        if isinstance(event, e.DeadlinePassed):
            self._let_byes_return()
        commands = self._save(event)
        for reply, _ in self._replies:
            if isinstance(reply.event, e.SrsAnswered):
                self._forget_unless_known(reply.leg, reply.event)
        for command in commands:
            if isinstance(command, e.ForLeg) and isinstance(command.command, e.DropLateAnswer):
                self._forget_unless_known(command.leg, command.command.answer)
        self._replies.clear()
        self.happen(e.OwnerChanged())

    def take_over(self) -> None:
        """Take the stream over while the replies to what was sent still come."""
        self.happen(e.OwnerChanged())

    def send_again(self) -> None:
        """Carry the last commands out a second time, as after a crash between two saves."""
        self._carry_out(self._sent)

    def srs_hangs_up(self) -> None:
        """Let an SRS send BYE in the dialog in force."""
        up = [leg for leg in self.stream.legs if leg.to_tag and _dialog(leg) in self.dialogs]
        if up:
            leg = up[self._choose("who hangs up", len(up))]
            self.dialogs.discard(_dialog(leg))
            is_error = bool(self._choose("error", 2))
            self.happen(e.LegHappened(leg=leg.number, event=e.SrsHungUp(is_error=is_error)))

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
            self.forks.discard(leg.fork_tag)
            self.happen(e.LegHappened(leg=leg.number, event=e.ForkLost()))

    def pass_deadline(self) -> None:
        """Let the deadline come, if there is one."""
        self._let_byes_return()
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

    # What the owner does at once

    def _let_byes_return(self) -> None:
        """Let BYEs that are to be sent again be so: a round trip is shorter than any deadline."""
        while refused_byes := [each for each in self._replies if _is_refused_bye(each[0].event)]:
            self._replies.remove(refused_byes[0])
            self.happen(refused_byes[0][0])

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
            self.dialogs.discard((number, answer.attempt, answer.to_tag))

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
                self.dialogs.discard((number, answer.attempt, answer.to_tag))
            elif leg is not None:
                self._carry_out_for(leg, command)

    def _carry_out_for(self, leg: Leg, command: e.LegCommand) -> None:
        match command:
            case e.RequestFork():
                self._request_fork(leg)
            case e.AnswerFork():
                answers = (e.ForkAnswered(), e.ForkAnswerRefused(text="no"))
                self._answer("answer", leg, answers, leg.fork_tag)
            case e.ReleaseFork(fork_tag=tag):
                self.forks.discard(tag)
                self._answer("release", leg, (e.ForkReleased(),), tag)
            case e.SendInvite():
                self._invite(leg)
            case e.SendCancel(call_id=call_id):
                named = parse_leg_call_id(call_id)
                if named is not None and named[1:] not in {up[:2] for up in self.dialogs}:
                    self._answer("cancel", leg, (refused(487, attempt=named.attempt),))
            case e.SendBye():
                self._take_bye(leg)
            case e.SendOptions():
                self._take_options(leg)

    def _request_fork(self, leg: Leg) -> None:
        refusal = e.ForkRefused(text="no such call")
        not_yet = e.ForkRefused(text="not yet", retryable=True)
        no_edge = e.ForkRefused(text="no such edge", code=31942)
        if self._choose("fork", 4) == 3:
            refused_so = (refusal, not_yet, no_edge)[self._choose("fork refusal", 3)]
            self._reply(leg, refused_so, leg.fork_tag)
            return
        self.forks.add(leg.fork_tag)
        self._answer("fork answer", leg, (FORK_OFFERED,), leg.fork_tag)

    def _invite(self, leg: Leg) -> None:
        attempt = leg.attempt
        match self._choose("invite", 11):
            case 0 | 1 | 2:
                self._accept(leg, ANSWER_SDP)
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
            case _:
                # It does not answer.
                pass

    def _accept(self, leg: Leg, sdp: str | None) -> None:
        """Answer 2xx; an INVITE that comes twice makes two dialogs, as behind a forking proxy."""
        self._accepted += 1
        tag = f"srs{self._accepted}"
        self.dialogs.add((leg.number, leg.attempt, tag))
        self._reply(leg, answered(leg.attempt, leg=leg.number, sdp=sdp, to_tag=tag))

    def _take_bye(self, leg: Leg) -> None:
        """Take a BYE; one that is to authenticate, or that did not arrive, ends nothing."""
        dialog = _dialog(leg)
        about = e.Challenge(lines=("WWW-Authenticate: Digest",), cseq=leg.cseq)
        match self._choose("bye", 4):
            case _ if self._challenged.get(dialog, 0) >= leg.cseq:
                status = 401
            case 2 if self.stream.plan.has_digest and dialog not in self._challenged:
                self._challenged[dialog] = leg.cseq
                status = 401
            case 3 if self._flows_failed[dialog] < FLOW_TRIES:
                self._flows_failed[dialog] += 1
                status = FLOW_FAILED
            case _:
                self.dialogs.discard(dialog)
                bye = e.SrsByeAnswered(attempt=leg.attempt, status=200)
                self._answer("bye answer", leg, (bye,))
                return
        event = e.SrsByeAnswered(attempt=leg.attempt, status=status, challenge=about)
        self._reply(leg, event)

    def _take_options(self, leg: Leg) -> None:
        """Answer in the dialog; an SRS that lost it says so."""
        statuses = (200, 481, 408)
        status = statuses[self._choose("options", len(statuses))]
        if status == 481:
            self.dialogs.discard(_dialog(leg))
        self._reply(leg, e.SrsOptionsAnswered(attempt=leg.attempt, status=status))

    def _answer(
        self, what: str, leg: Leg, events: tuple[e.LegEvent, ...], fork_tag: str = ""
    ) -> None:
        """Answer with one of the events, or be silent."""
        choice = self._choose(what, len(events) + 1)
        if choice < len(events):
            self._reply(leg, events[choice], fork_tag)

    def _reply(self, leg: Leg, event: e.LegEvent, fork_tag: str = "") -> None:
        self._replies.append((e.LegHappened(leg=leg.number, event=event), fork_tag))
