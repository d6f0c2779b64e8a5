"""A model of rtpengine and the SRS: carries commands out, and answers as it is told to.

It knows which forks exist and which dialogs are up, so that a test can ask what is left over.
"""

from collections.abc import Callable

from siprec import events as e
from siprec.model import Stream
from siprec.sids import parse_leg_call_id
from siprec.step import step
from tests.siprec.streams import FORK_OFFERED, NOW_MS, answered, begun, refused

# How often something else may happen before the test lets the stream come to its end.
PATIENCE = 20

Choose = Callable[[str, int], int]


class ModelWorld:
    """One stream and its peers. `choose(what, n)` picks one of n behaviours."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self.now_ms = NOW_MS
        self.forks: set[str] = set()
        self.dialogs: set[int] = set()
        self._replies: list[e.Event] = []
        self._sent: tuple[e.Command, ...] = ()
        begin = begun()
        self.stream: Stream = begin.stream
        self._carry_out(begin.commands)

    # What happens

    def happen(self, event: e.Event) -> None:
        """Apply an event, save, and carry the commands out."""
        self.now_ms += 10
        self.stream, commands = step(self.stream, event, self.now_ms)
        self._carry_out(commands)

    def reply(self) -> None:
        """Let the oldest or the newest reply on its way arrive."""
        if self._replies:
            self.happen(self._replies.pop(-self._choose("order", 2)))

    def crash(self, event: e.Event) -> None:
        """Let the owner fall between save and sending; another takes over.

        Replies on their way reach nobody. A 2xx among them leaves a dialog that nobody can
        know of: the session timer of the SRS ends it, so it is not counted here.
        """
        self.stream, commands = step(self.stream, event, self.now_ms)
        lost = [*self._replies, event]
        lost += [c.answer for c in commands if isinstance(c, e.DropLateAnswer)]
        for each in lost:
            if isinstance(each, e.SrsAnswered) and self.stream.leg.to_tag != each.to_tag:
                self.dialogs.discard(each.attempt)
        self._replies.clear()
        self.happen(e.OwnerChanged())

    def take_over(self) -> None:
        """Take the stream over while the replies to what was sent still come."""
        self.happen(e.OwnerChanged())

    def send_again(self) -> None:
        """Carry the last commands out a second time, as after a crash between two saves."""
        self._carry_out(self._sent)

    def srs_hangs_up(self) -> None:
        """Let the SRS send BYE in the dialog in force."""
        if self.stream.leg.attempt in self.dialogs and self.stream.leg.to_tag:
            self.dialogs.discard(self.stream.leg.attempt)
            self.happen(e.SrsHungUp())

    def pass_deadline(self) -> None:
        """Let the deadline come, if there is one."""
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

    # What commands do

    def _carry_out(self, commands: tuple[e.Command, ...]) -> None:
        self._sent = commands
        for command in commands:
            match command:
                case e.RequestFork():
                    self._request_fork()
                case e.AnswerFork():
                    answers = (e.ForkAnswered(), e.ForkAnswerRefused(text="no"))
                    self._answer("answer", *answers)
                case e.ReleaseFork(fork_tag=tag):
                    self.forks.discard(tag)
                    if tag == self.stream.leg.fork_tag:
                        self._answer("release", e.ForkReleased())
                case e.SendInvite():
                    self._invite()
                case e.SendCancel(call_id=call_id):
                    leg = parse_leg_call_id(call_id)
                    attempt = leg[1] if leg is not None else 0
                    if attempt not in self.dialogs:
                        self._answer("cancel", refused(487, attempt=attempt))
                case e.SendBye():
                    attempt = self.stream.leg.attempt
                    self.dialogs.discard(attempt)
                    self._answer("bye", e.SrsByeAnswered(attempt=attempt, status=200))
                case e.DropLateAnswer(answer=answer):
                    self.dialogs.discard(answer.attempt)

    def _request_fork(self) -> None:
        refusal = e.ForkRefused(text="no such call")
        not_yet = e.ForkRefused(text="not yet", retryable=True)
        if not self._choose("fork", 4):
            self._replies.append((refusal, not_yet)[self._choose("fork refusal", 2)])
            return
        self.forks.add(self.stream.leg.fork_tag)
        self._answer("fork", FORK_OFFERED)

    def _invite(self) -> None:
        attempt = self.stream.leg.attempt
        match self._choose("invite", 6):
            case 0:
                self._replies.append(refused(486, attempt=attempt))
            case 1:
                self._replies.append(refused(302, attempt=attempt, contact="sip:b.example"))
            case 2:
                self._replies.append(e.SrsUnreachable(attempt=attempt, text="no such name"))
            case 3:
                pass
            case 4:
                self.dialogs.add(attempt)
                self._replies.append(answered(attempt, sdp=None))
            case _:
                self.dialogs.add(attempt)
                self._replies.append(answered(attempt))

    def _answer(self, what: str, *events: e.Event) -> None:
        """Answer with one of the events, or be silent."""
        choice = self._choose(what, len(events) + 1)
        if choice < len(events):
            self._replies.append(events[choice])
