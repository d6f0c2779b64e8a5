"""The life of a leg: what each event does in each state.

`TABLE` names a handler for every (state, event) pair; docs/states.md is drawn from it. A handler
is pure: leg, event, place and time in, leg and commands out. `siprec.step` runs it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from siprec import events as e
from siprec import leg_dialog as dialog
from siprec import leg_end as end
from siprec import leg_gate as gate
from siprec import leg_growth as growth
from siprec import leg_setup as setup
from siprec.leg_end import At, LegOutcome
from siprec.model import Leg, StreamState

S = StreamState

# The event's class is fixed by the table, so each handler names the one it takes.
Handler = Callable[[Leg, Any, At], LegOutcome]


@dataclass(frozen=True, slots=True)
class Transition:
    """A handler, and the states that it may lead to."""

    handler: Handler
    to: tuple[StreamState, ...]

    def apply(self, leg: Leg, event: e.LegEvent, at: At) -> LegOutcome:
        """Let the handler do its work; while there is media, what is wished of it comes next."""
        moved, commands = self.handler(leg, event, at)
        if moved.state not in (S.CONNECTING, S.RECORDING):
            return LegOutcome(moved, commands)
        further = dialog.converge(moved, at)
        # The same may follow from both.
        return LegOutcome(further.leg, tuple(dict.fromkeys((*commands, *further.commands))))


IGNORED = Transition(end.ignore, ())
LATE = Transition(end.drop_late, ())


def _row(**handled: Transition) -> Mapping[type[e.LegEvent], Transition]:
    """Complete a row: an event that is not named is ignored, a late answer is hung up."""
    row: dict[type[e.LegEvent], Transition] = dict.fromkeys(e.LegEvent.__args__, IGNORED)
    row[e.SrsAnswered] = LATE
    row |= {getattr(e, name): transition for name, transition in handled.items()}
    return row


# No leg is in `paused`: what a stream in it has are legs that record.
TABLE: Mapping[StreamState, Mapping[type[e.LegEvent], Transition]] = {
    S.FORKING: _row(
        ForkOffered=Transition(setup.offer_to_srs, (S.INVITING, S.STOPPING)),
        ForkRefused=Transition(setup.retry_or_give_up_fork, (S.FORKING, S.STOPPING)),
        DeadlinePassed=Transition(setup.fork_deadline, (S.FORKING, S.STOPPING)),
        Stopped=Transition(end.stop_before_invite, (S.STOPPING,)),
        CallOver=Transition(end.stop_before_invite, (S.STOPPING,)),
        OwnerChanged=Transition(setup.start_over, (S.FORKING,)),
    ),
    S.INVITING: _row(
        SrsAnswered=Transition(setup.take_answer, (S.CONNECTING, S.STOPPING)),
        SrsRefused=Transition(setup.refused, (S.INVITING, S.STOPPING)),
        SrsUnreachable=Transition(setup.unreachable, (S.STOPPING,)),
        DeadlinePassed=Transition(setup.no_answer, (S.STOPPING,)),
        Stopped=Transition(end.cancel, (S.CANCELLING,)),
        CallOver=Transition(end.cancel, (S.CANCELLING,)),
        OwnerChanged=Transition(setup.abandon_and_start_over, (S.FORKING,)),
    ),
    S.CONNECTING: _row(
        ForkOffered=Transition(growth.fork_grown, ()),
        ForkRefused=Transition(growth.fork_not_grown, ()),
        ForkAnswered=Transition(setup.record, (S.RECORDING,)),
        ForkAnswerRefused=Transition(setup.answer_refused, (S.STOPPING,)),
        SrsReanswered=Transition(setup.reanswered, (S.CONNECTING, S.STOPPING)),
        SrsHungUp=Transition(end.hung_up, (S.STOPPING,)),
        SrsDied=Transition(end.died, (S.STOPPING,)),
        SrsOptionsAnswered=Transition(end.options_answered, (S.STOPPING,)),
        SrsAnswered=Transition(dialog.agreed, (S.STOPPING,)),
        SrsRefused=Transition(dialog.refused, (S.STOPPING,)),
        Paused=Transition(dialog.wish, ()),
        Resumed=Transition(dialog.wish, ()),
        Pictured=Transition(dialog.wish, ()),
        OfferGiven=Transition(dialog.offered, ()),
        SrsRefreshed=Transition(dialog.refreshed, ()),
        SnapshotRequested=Transition(dialog.give_snapshot, ()),
        DeadlinePassed=Transition(setup.connect_deadline, (S.STOPPING,)),
        Stopped=Transition(end.stop, (S.STOPPING,)),
        CallOver=Transition(end.stop, (S.STOPPING,)),
        CallReoffered=Transition(setup.answer_again, ()),
        OwnerChanged=Transition(setup.connect_again, ()),
    ),
    S.RECORDING: _row(
        SrsReanswered=Transition(setup.reanswered, (S.CONNECTING, S.STOPPING)),
        SrsHungUp=Transition(end.hung_up, (S.STOPPING,)),
        SrsDied=Transition(end.died, (S.STOPPING,)),
        SrsOptionsAnswered=Transition(end.options_answered, (S.STOPPING,)),
        SrsAnswered=Transition(dialog.agreed, (S.STOPPING,)),
        SrsRefused=Transition(dialog.refused, (S.STOPPING,)),
        ForkOffered=Transition(growth.fork_grown, ()),
        ForkRefused=Transition(growth.fork_not_grown, ()),
        ForkAnswered=Transition(gate.gate_set, ()),
        Paused=Transition(dialog.wish, ()),
        Resumed=Transition(dialog.wish, ()),
        Pictured=Transition(dialog.wish, ()),
        OfferGiven=Transition(dialog.offered, ()),
        SrsRefreshed=Transition(dialog.refreshed, ()),
        SnapshotRequested=Transition(dialog.give_snapshot, ()),
        ForkLost=Transition(setup.fork_lost, (S.STOPPING,)),
        ForkAnswerRefused=Transition(setup.answer_refused, (S.STOPPING,)),
        DeadlinePassed=Transition(dialog.due, (S.STOPPING,)),
        Stopped=Transition(end.stop, (S.STOPPING,)),
        CallOver=Transition(end.stop, (S.STOPPING,)),
        CallReoffered=Transition(setup.answer_again, ()),
        OwnerChanged=Transition(gate.gate_again, ()),
    ),
    S.CANCELLING: _row(
        SrsAnswered=Transition(end.answered_while_cancelling, (S.STOPPING,)),
        SrsRefused=Transition(end.cancelled, (S.STOPPING, S.STOPPED)),
        SrsUnreachable=Transition(end.cancelled, (S.STOPPING, S.STOPPED)),
        ForkReleased=Transition(end.fork_released_early, ()),
        DeadlinePassed=Transition(end.give_up_waiting, (S.STOPPED,)),
        OwnerChanged=Transition(end.cancel, (S.CANCELLING,)),
    ),
    S.STOPPING: _row(
        SrsByeAnswered=Transition(end.bye_answered, (S.STOPPING, S.STOPPED, S.FAILED)),
        SrsHungUp=Transition(end.bye_done, (S.STOPPING, S.STOPPED, S.FAILED)),
        ForkReleased=Transition(end.fork_released, (S.STOPPING, S.STOPPED, S.FAILED)),
        DeadlinePassed=Transition(end.give_up_waiting, (S.STOPPED, S.FAILED)),
        OwnerChanged=Transition(end.finish_again, (S.STOPPING,)),
    ),
    S.STOPPED: _row(),
    S.FAILED: _row(),
}
