"""Streams with several SRSs, and what happens to them one after the other."""

from collections.abc import Iterable
from dataclasses import replace

from siprec import events as e
from siprec.model import Plan, Stream, StreamState
from siprec.step import Outcome
from tests.siprec.streams import FORK_OFFERED, PATHS, begun, follow, on_leg, refused, stream_in

S = StreamState
A, B, C = "sip:a.example", "sip:b.example", "sip:c.example"
FAILOVER = Plan(srs=(A, B, C), total_ms=30_000)
PARALLEL = replace(FAILOVER, is_parallel=True)
REQUIRED = replace(FAILOVER, end_call_ms=20_000)
RECORDS = PATHS[S.RECORDING]
REFUSED = (FORK_OFFERED, refused(503))
HUNG_UP = e.SrsHungUp(reason="SIP;cause=503", is_error=True)


def srs_of(stream: Stream) -> list[tuple[str, StreamState]]:
    """Give the SRS and the state of each leg."""
    return [(leg.srs, leg.state) for leg in stream.legs]


def tried(plan: Plan, events: Iterable[e.LegEvent]) -> Outcome:
    """Let the same happen to each leg in turn, until no further one comes."""
    events = tuple(events)
    outcome, number = begun(plan=plan), 1
    while outcome.stream.leg(number) is not None:
        outcome = follow(outcome.stream, on_leg(number, *events))
        number += 1
    return outcome


def recording(plan: Plan = FAILOVER) -> Stream:
    """Give a stream whose first leg records."""
    return stream_in(S.RECORDING, plan)
