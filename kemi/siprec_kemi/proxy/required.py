"""Connectors that a call must have: what of a document needs one, and whether it lives."""

from dataclasses import dataclass

from siprec.connector import Connector
from siprec.health import Load, SrsHealth, knows_living_srs
from siprec.model import StreamOrder
from siprec.twiml_run import DialOut, Program, Wait, advance


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorders:
    """What was known of all SRSs at one moment."""

    healths: dict[str, SrsHealth]
    loads: tuple[Load, ...]

    def unmet(self, required: tuple[Connector, ...], now_ms: int) -> Connector | None:
        """Give the first of these connectors of which no SRS lives, as far as anybody knows."""
        for connector in required:
            if not knows_living_srs(connector, self.healths, self.loads, now_ms):
                return connector
        return None


def certain_orders(program: Program) -> tuple[StreamOrder, ...]:
    """Give the streams that start if the first dial is answered; none when nothing is dialled.

    What a document starts after a dial that failed does not count: it may never come to that.
    """
    ahead = advance(program, 0, ())
    while isinstance(ahead.action, Wait):
        ahead = advance(program, ahead.position, ahead.pending)
    return ahead.pending if isinstance(ahead.action, DialOut) else ()


def named_connectors(program: Program) -> tuple[str, ...]:
    """Name the connectors of all streams that the document may start, each once."""
    names = (step.order.connector_name for step in program.steps if step.order is not None)
    return tuple(dict.fromkeys(names))
