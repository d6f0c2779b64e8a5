"""A model of rtpengine, and of who talks to it: which forks there are, and what flows by them."""

from collections.abc import Callable
from dataclasses import dataclass

from siprec import events as e
from siprec.model import Leg
from siprec.sdp import gated_answer
from siprec.sdp.session import parse


@dataclass(eq=False, slots=True)
class Reply:
    """Something on its way to a leg, and the fork that it is about, if it is about one.

    `arrive` tells its sender; if that gives another reply, it comes instead of this one.
    """

    leg: int
    event: e.LegEvent
    fork_tag: str = ""
    arrive: "Callable[[], Reply | None] | None" = None
    is_bounded: bool = False


class ModelRtpengine:
    """Takes one answer of a fork at a time, as siprec_kemi.src.forks gives them."""

    def __init__(self, choose: Callable[[str, int], int]) -> None:
        self.choose = choose
        self.forks: set[str] = set()
        self.flows: dict[str, frozenset[str]] = {}
        self._answering: dict[str, Leg | None] = {}

    def answer(self, leg: Leg) -> Reply | None:
        """Take the answer in force of a leg; None when it has to wait."""
        if leg.fork_tag in self._answering:
            self._answering[leg.fork_tag] = leg
            return None
        return self._take(leg)

    def release(self, fork_tag: str) -> None:
        """Forget a fork."""
        self.forks.discard(fork_tag)
        self.flows.pop(fork_tag, None)
        if fork_tag in self._answering:
            self._answering[fork_tag] = None

    def lose_requests(self) -> None:
        """Lose what is on its way: its sender fell."""
        self._answering.clear()

    def _take(self, leg: Leg) -> Reply:
        """Take it at once, or when it is sent again, or not at all."""
        tag, choice = leg.fork_tag, self.choose("answer", 4)
        self._answering[tag] = None
        if choice in (0, 2):
            self._let_flow(leg)

        def arrive() -> Reply | None:
            if choice == 1:
                self._let_flow(leg)
            following = self._answering.pop(tag, None)
            return None if following is None else self._take(following)

        is_taken = choice in (0, 1)
        event = e.ForkAnswered() if is_taken else e.ForkAnswerRefused(text="no")
        return Reply(leg.number, event, tag, arrive)

    def _let_flow(self, leg: Leg) -> None:
        """Send what the answer has a port and an address for."""
        if leg.fork_tag not in self.forks or leg.offer is None:
            return
        media = parse(gated_answer(leg.offer, leg.answer, leg.gated)).media
        is_open = [each.port > 0 and each.connection != "0.0.0.0" for each in media]
        flowing = (each.label for each in leg.offer.media if is_open[each.fork_index])
        self.flows[leg.fork_tag] = frozenset(flowing)
