"""The table that `make bench` prints."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.cpu import REST
from bench.latency import ANSWER, BYE, INVITE, SIPREC, Latencies, Spread
from bench.load import Tally

GOAL_CPU_MS = 2.0
GOAL_SIPREC_MS = 3.0
WIDTH = 44


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one run measured. `cpu_ms` is by group of processes, for the whole run.

    `others_cores` is how many cores worked for what has nothing to do with the benchmark.
    """

    is_recorded: bool
    tally: Tally
    recorded: int
    srs_dialogs: int
    cpu_ms: dict[str, int]
    others_cores: float
    latencies: Latencies
    why_no_capture: str

    def per_call(self, *groups: str) -> float:
        """Give the CPU time (ms) of these groups per call."""
        return sum(self.cpu_ms.get(group, 0) for group in groups) / max(1, self.tally.calls)


def render(results: Sequence[Result], rate: int, seconds: int) -> str:
    """Write the table, and whether the goals are met."""
    lines = [f"{rate} calls per second for {seconds} s, calls of 1 s, no RTP", ""]
    lines.append(_row("", ["recorded" if r.is_recorded else "unrecorded" for r in results]))
    lines.append(_row("calls", [str(r.tally.calls) for r in results]))
    lines.append(_row("failed", [str(r.tally.failed) for r in results]))
    lines.append(_row("recorded, then stopped", [str(r.recorded) for r in results]))
    lines.append(_row("dialogs at the SRS", [str(r.srs_dialogs) for r in results]))
    for title, groups in (
        ("CPU ms per call: Kamailio, proxy role", ["proxy"]),
        ("CPU ms per call: Kamailio, SRC role", ["src"]),
        ("CPU ms per call: Redis", ["redis"]),
        ("CPU ms per call: both Kamailios and Redis", ["proxy", "src", "redis"]),
        ("CPU ms per call: rtpengine", ["rtpengine"]),
        ("CPU ms per call: siprec run (logs)", [REST]),
    ):
        lines.append(_row(title, [f"{r.per_call(*groups):.2f}" for r in results]))
    cores = os.cpu_count() or 1
    title = f"cores of {cores} that other programs used"
    lines.append(_row(title, [f"{r.others_cores:.2f}" for r in results]))
    lines += _latency_rows(results)
    return "\n".join([*lines, "", *_goals(results)])


def _latency_rows(results: Sequence[Result]) -> list[str]:
    why_not = next((r.why_no_capture for r in results if r.why_no_capture), "")
    if why_not:
        return [f"no latencies: {why_not}"]
    lines = [_row("ms through the proxy: mean / p50 / p95 / p99", [])]
    for kind in (INVITE, ANSWER, BYE):
        spreads = [r.latencies.through_proxy(kind) for r in results]
        lines.append(_row(f"  {kind}", [_spread(s) for s in spreads]))
    spreads = [r.latencies.to_siprec_invite() for r in results]
    return [*lines, _row(f"ms from the {SIPREC}", [_spread(s) for s in spreads])]


def _goals(results: Sequence[Result]) -> Iterable[str]:
    failed = sum(r.tally.failed for r in results)
    yield f"{_verdict(failed == 0)}  no call fails: {failed}"
    for result in results:
        if not result.is_recorded:
            continue
        missed = max(0, result.tally.calls - result.tally.failed - result.recorded)
        yield f"{_verdict(missed == 0)}  every call is recorded: {missed} are not"
        used = result.per_call("proxy", "src", "redis")
        yield (
            f"{_verdict(used <= GOAL_CPU_MS)}  at most {GOAL_CPU_MS:g} ms of Kamailio and Redis"
            f" CPU per recorded call: {used:.2f}"
        )
        to_invite = result.latencies.to_siprec_invite()
        if to_invite.count:
            yield (
                f"{_verdict(to_invite.mean <= GOAL_SIPREC_MS)}  at most {GOAL_SIPREC_MS:g} ms mean"
                f" from the 200 to the SIPREC INVITE: {to_invite.mean:.2f}"
            )


def _verdict(is_met: bool) -> str:
    return "PASS" if is_met else "over"


def _spread(spread: Spread) -> str:
    if not spread.count:
        return "-"
    return f"{spread.mean:.2f} / {spread.p50:.2f} / {spread.p95:.2f} / {spread.p99:.2f}"


def _row(title: str, cells: Sequence[str]) -> str:
    return f"{title:<{WIDTH}}" + "".join(f"  {cell:>28}" for cell in cells)
