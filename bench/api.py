"""Hold call set-up beside what the API does: idle, dead, hung, and at its rate limit.

Of a call's set-up that is measured which the proxy adds: to the INVITE and to the 200, rtpengine
included, in a capture. The rounds alternate, so that what else happens on the machine meets all
alike. All calls are recorded. Exit code 0 unless the run itself failed; the ratios are printed,
not enforced.
"""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from statistics import median

from bench.capture import Capture
from bench.cpu import groups
from bench.hammer import Client, hammering
from bench.latency import Latencies, Spread
from bench.load import Sipp, caller
from bench.stack import HOST, RTP_PORTS, BenchError, Stack

NUMBER = "2000"
KEYS = 4
# A client that asks a little more often than it may gets all that it may, and 429 besides.
ABOVE_LIMIT = 1.2
BACK_S = 30.0
LOOK_S = 0.05
_API = "siprec_control.rest"


class Api(StrEnum):
    """What the API does during a round."""

    IDLE = "idle"
    DEAD = "dead"
    HUNG = "hung"
    LIMIT = "limit"


@dataclass(slots=True, kw_only=True)
class Rounds:
    """Set-up times (ms) of each round of one kind, calls that failed, answers of the API."""

    setups: list[Spread] = field(default_factory=list)
    failed: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def p50_ms(self) -> float:
        """Give the median of the rounds' medians."""
        return median(each.p50 for each in self.setups)

    @property
    def p99_ms(self) -> float:
        """Give the median of the rounds' 99th percentiles."""
        return median(each.p99 for each in self.setups)

    @property
    def between_rounds_ms(self) -> float:
        """Give how far apart the medians of equal rounds are."""
        return max(each.p50 for each in self.setups) - min(each.p50 for each in self.setups)


def compare(
    folder: Path,
    *,
    rate: int,
    seconds: int,
    times: int,
    rtp_ports: tuple[int, int] = RTP_PORTS,
) -> dict[Api, Rounds]:
    """Measure `times` rounds of each kind, `rate` calls per second for `seconds` each.

    `rtp_ports` are the first and the last port of rtpengine.

    Raises:
        BenchError: the run itself failed.
    """
    found = {api: Rounds() for api in Api}
    with ExitStack() as opened:
        stack = opened.enter_context(Stack(folder, rtp_ports))
        srs = opened.enter_context(Sipp("srs", folder, "-t", "t1"))
        callee = opened.enter_context(Sipp("callee", folder))
        _configure(stack, folder, srs_port=srs.port, callee_port=callee.port)
        _await_api(stack)
        clients = _clients(stack)
        # The first calls of a stack compile documents and open connections.
        _round(stack, folder / "first", rate, 2)
        for number in range(times):
            # Each order once before and once after each other.
            for api in list(Api) if number % 2 == 0 else list(Api)[::-1]:
                with _during(api, stack, clients, found[api]):
                    setup, failed = _round(stack, folder / f"{api}-{number}", rate, seconds)
                found[api].setups.append(setup)
                found[api].failed += failed
    return found


def _configure(stack: Stack, folder: Path, *, srs_port: int, callee_port: int) -> None:
    stack.siprec("connector", "set", "Default", "--srs", f"sip:{HOST}:{srs_port};transport=tcp")
    path = folder / "document.xml"
    start = '<Start><Siprec name="load"/></Start>'
    dial = f"<Dial><Sip>sip:2001@{HOST}:{callee_port}</Sip></Dial>"
    path.write_text(f"<Response>{start}{dial}</Response>")
    stack.siprec("number", "set", NUMBER, "--twiml", str(path))


def _clients(stack: Stack) -> list[Client]:
    """Make keys. Each looks at what a dashboard would: calls, alerts, numbers, a call."""
    account = stack.json("account", "show")["sid"]
    root = f"/2010-04-01/Accounts/{account}"
    paths = (
        f"{root}/Calls.json?Status=in-progress&PageSize=50",
        f"{root}/Calls/CA00{'0' * 30}.json",
        f"{root}/Numbers/{NUMBER}.json",
        "/v1/Alerts?PageSize=50",
    )
    limit = stack.requests_per_s
    keys = [stack.json("key", "add", f"bench {n}", "--scope", "read") for n in range(KEYS)]
    return [
        Client(
            host=HOST,
            port=stack.api_port,
            name=key["sid"],
            password=key["secret"],
            per_s=limit * ABOVE_LIMIT,
            paths=paths,
        )
        for key in keys
    ]


def _round(stack: Stack, folder: Path, rate: int, seconds: int) -> tuple[Spread, int]:
    """Place calls; give their set-up times, and how many failed."""
    folder.mkdir()
    calls = rate * seconds
    capture = Capture(folder / "calls.pcap", [stack.proxy_port])
    with (
        capture,
        caller(folder, number=NUMBER, proxy_port=stack.proxy_port, rate=rate, calls=calls) as sipp,
    ):
        sipp.wait(seconds + 60)
        failed = sipp.tally().failed
    if capture.why_not:
        raise BenchError(f"cannot measure: {capture.why_not}")
    latencies = Latencies(proxy_port=stack.proxy_port, srs_port=0)
    latencies.take(capture.messages())
    setup = latencies.setup()
    if setup.count < calls - failed:
        raise BenchError(f"{setup.count} of {calls} calls were measured")
    return setup, failed


# What the API does meanwhile


@contextmanager
def _during(api: Api, stack: Stack, clients: Sequence[Client], found: Rounds) -> Iterator[None]:
    with ExitStack() as opened:
        if api is Api.LIMIT:
            answers = opened.enter_context(hammering(clients))
        elif api is Api.DEAD:
            opened.enter_context(_kept_dead(stack))
        elif api is Api.HUNG:
            opened.enter_context(_hung(stack))
        yield
    if api is Api.LIMIT:
        found.answers.update(answers)


def _api_pids(stack: Stack) -> list[int]:
    below = [pid for pids in groups(stack.pid).values() for pid in pids]
    return [pid for pid in below if _API in _command(pid)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


@contextmanager
def _kept_dead(stack: Stack) -> Iterator[None]:
    """Kill the API, and whatever the supervisor starts in its place, until the block ends."""
    over = threading.Event()

    def kill() -> None:
        while not over.is_set():
            for pid in _api_pids(stack):
                os.kill(pid, signal.SIGKILL)
            over.wait(LOOK_S)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    _await_api(stack)


@contextmanager
def _hung(stack: Stack) -> Iterator[None]:
    """Stop the API as a debugger does: it takes connections and says nothing."""
    (pid,) = _api_pids(stack)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
    _await_api(stack)


def _await_api(stack: Stack) -> None:
    deadline_s = time.monotonic() + BACK_S
    while not stack.is_api_there():
        if time.monotonic() > deadline_s:
            raise BenchError("the API did not come back")
        time.sleep(LOOK_S)


def render(found: dict[Api, Rounds]) -> str:
    """Write the table: each kind of round, and how it compares to the idle ones."""
    idle = found[Api.IDLE]
    lines = [f"{'API':<8}{'calls':>7}{'failed':>8}{'p50 ms':>9}{'p99 ms':>9}{'p50':>8}{'p99':>8}"]
    for api, rounds in found.items():
        calls = sum(each.count for each in rounds.setups)
        against = (rounds.p50_ms / idle.p50_ms, rounds.p99_ms / idle.p99_ms)
        lines.append(
            f"{api:<8}{calls:>7}{rounds.failed:>8}{rounds.p50_ms:>9.2f}{rounds.p99_ms:>9.2f}"
            + "".join(f"{ratio:>7.2f}x" for ratio in against)
        )
    lines.append("")
    for api, rounds in found.items():
        each = ", ".join(f"{s.p50:.2f} / {s.p99:.2f}" for s in rounds.setups)
        lines.append(f"{api:<8}p50 / p99 ms of each round: {each}")
    answers = sorted(found[Api.LIMIT].answers.items())
    lines.append("answers at the limit: " + ", ".join(f"{n} of {name}" for name, n in answers))
    return "\n".join(lines)


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(prog="bench/api.py", description=__doc__)
    parser.add_argument("--rate", type=int, default=25, metavar="N", help="calls per second")
    parser.add_argument("--seconds", type=int, default=15, metavar="S", help="of each round")
    parser.add_argument("--rounds", type=int, default=4, metavar="N", help="of each kind")
    read = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="siprec-bench-") as folder:
            found = compare(Path(folder), rate=read.rate, seconds=read.seconds, times=read.rounds)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"{read.rate} recorded calls per second, {read.rounds} rounds of {read.seconds} s each\n")
    print(render(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
