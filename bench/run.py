"""Load the stack with calls, unrecorded and then recorded, and print a table.

What passed through which process is measured from outside: CPU time from /proc, latencies
from a capture. Exit code 0 unless the run itself failed; the goals are printed, not enforced.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.capture import Capture
from bench.cpu import busy_ms, cpu_ms, ours_ms
from bench.latency import Latencies
from bench.load import CALL_MS, Sipp, Tally, caller
from bench.sampling import Profile
from bench.stack import HOST, BenchError, Stack, wait_for_exit
from bench.table import Result, render
from siprec.model import StreamState

UNRECORDED, RECORDED = "1000", "2000"
# After the last call: streams end within milliseconds, unless something is wrong.
SETTLE_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says."""

    rate: int
    seconds: int
    cpu_profile: Path | None
    keep: Path | None


def main() -> int:
    """Run the benchmark."""
    options = _options()
    try:
        with tempfile.TemporaryDirectory(prefix="siprec-bench-") as folder:
            results = _bench(Path(folder), options)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(render(results, options.rate, options.seconds))
    return 0


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__)
    parser.add_argument("--rate", type=int, default=100, metavar="N", help="calls per second")
    parser.add_argument("--seconds", type=int, default=20, metavar="S", help="of placing calls")
    parser.add_argument(
        "--cpu-profile",
        type=Path,
        metavar="FOLDER",
        help="sample all Python of the recorded run with py-spy; collapsed stacks go there",
    )
    parser.add_argument("--keep-log", type=Path, metavar="FILE", help="keep the stack's log")
    read = parser.parse_args()
    return Options(
        rate=read.rate, seconds=read.seconds, cpu_profile=read.cpu_profile, keep=read.keep_log
    )


def _bench(folder: Path, options: Options) -> list[Result]:
    with ExitStack() as opened:
        stack = opened.enter_context(Stack(folder))
        srs = opened.enter_context(Sipp("srs", folder, "-t", "t1"))
        callee = opened.enter_context(Sipp("callee", folder))
        _configure(stack, folder, srs_port=srs.port, callee_port=callee.port)
        idle = _idle_ms_per_s(stack)
        results = [
            _measure(stack, srs, folder, options, number=number)
            for number in (UNRECORDED, RECORDED)
        ]
        if options.keep is not None:
            options.keep.write_bytes(stack.log.read_bytes())
        errors = stack.error_lines()
    for line in errors[:10]:
        print(f"bench: error in the log: {line}", file=sys.stderr)
    print("idle, CPU ms per second: ", ", ".join(f"{k} {v:.0f}" for k, v in idle.items()))
    return results


def _configure(stack: Stack, folder: Path, *, srs_port: int, callee_port: int) -> None:
    stack.siprec("connector", "set", "Default", "--srs", f"sip:{HOST}:{srs_port};transport=tcp")
    dial = f"<Dial><Sip>sip:2001@{HOST}:{callee_port}</Sip></Dial>"
    for number, start in ((UNRECORDED, ""), (RECORDED, '<Start><Siprec name="load"/></Start>')):
        path = folder / f"{number}.xml"
        path.write_text(f"<Response>{start}{dial}</Response>")
        stack.siprec("number", "set", number, "--twiml", str(path))


def _idle_ms_per_s(stack: Stack, seconds: float = 3.0) -> dict[str, float]:
    before = cpu_ms(stack.pid)
    if wait_for_exit(stack.pid, seconds):
        raise BenchError("the stack ended by itself")
    return {name: used / seconds for name, used in (cpu_ms(stack.pid) - before).items()}


def _measure(stack: Stack, srs: Sipp, folder: Path, options: Options, *, number: str) -> Result:
    calls = options.rate * options.seconds
    profiled = options.cpu_profile if number == RECORDED else None
    ports = (stack.proxy_port, srs.port)
    capture = Capture(folder / f"{number}.pcap", ports)
    before_srs, before = srs.tally(), cpu_ms(stack.pid)
    began_s, others_ms = time.monotonic(), busy_ms() - ours_ms()
    with capture, Profile(stack.pid, profiled):
        tally = _place(stack, folder, number=number, rate=options.rate, calls=calls)
        # The last calls' streams end now; what they cost belongs to the run.
        _settle(stack)
        used = cpu_ms(stack.pid)
        others_ms = busy_ms() - ours_ms() - others_ms
        others_cores = others_ms / 1000 / (time.monotonic() - began_s)
    latencies = Latencies(proxy_port=stack.proxy_port, srs_port=srs.port)
    latencies.take(capture.messages())
    return Result(
        is_recorded=number == RECORDED,
        tally=tally,
        recorded=_recorded(stack) if number == RECORDED else 0,
        srs_dialogs=_srs_dialogs(srs, before_srs),
        cpu_ms=Counter(used) - before,
        others_cores=max(0.0, others_cores),
        latencies=latencies,
        why_no_capture=capture.why_not,
    )


def _place(stack: Stack, folder: Path, *, number: str, rate: int, calls: int) -> Tally:
    sipp = caller(folder, number=number, proxy_port=stack.proxy_port, rate=rate, calls=calls)
    with sipp:
        sipp.wait(calls / rate + CALL_MS / 1000 + 60)
        return sipp.tally()


def _settle(stack: Stack) -> None:
    deadline_s = time.monotonic() + SETTLE_S
    while stack.live_calls() and time.monotonic() < deadline_s:
        wait_for_exit(stack.pid, 0.2)


def _recorded(stack: Stack) -> int:
    return sum(
        stream.state is StreamState.STOPPED and stream.recording_ms is not None
        for stream in stack.streams()
    )


def _srs_dialogs(srs: Sipp, before: Tally) -> int:
    # SIPp writes its counters once a second.
    time.sleep(1.1)
    return srs.tally().calls - before.calls


if __name__ == "__main__":
    sys.exit(main())
