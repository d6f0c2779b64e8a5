"""The supervisor over real programs: starts, deaths, restarts, ends."""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.control.processes import Watched, is_alive, wait_until

SLEEPER = ["sh", "-c", "echo pid $$; exec sleep 1000"]
STUBBORN = ["sh", "-c", "trap '' TERM; echo pid $$; while :; do sleep 0.1; done"]
PARENT = ["sh", "-c", "sleep 1000 & echo orphan $!; echo pid $$; wait"]


def stack(folder: Path, *stages: dict[str, list[str]], **more: object) -> Watched:
    plan = json.dumps({"stages": stages, **more})
    script = str(Path(__file__).with_name("small_stack.py"))
    return Watched([sys.executable, script, str(folder), plan])


def number_after(word: str, line: str) -> int:
    found = re.search(rf"{word} (\d+)", line)
    assert found is not None, line
    return int(found[1])


def test_sigterm_ends_every_process_and_the_run_succeeds(tmp_path: Path) -> None:
    with stack(tmp_path, {"redis": SLEEPER}, {"proxy": PARENT}) as run:
        run.wait_for("ready now")
        pids = [number_after("pid", run.wait_for("redis     | pid"))]
        pids += [number_after("pid", run.wait_for("proxy     | pid"))]
        pids += [number_after("orphan", run.wait_for("orphan"))]
        run.signal(signal.SIGTERM)
        assert run.wait_exit() == 0
        assert [pid for pid in pids if is_alive(pid)] == []
        assert "stopping (SIGTERM)" in run.output


def test_sigint_ends_the_run_well(tmp_path: Path) -> None:
    with stack(tmp_path, {"proxy": SLEEPER}) as run:
        run.wait_for("ready now")
        run.signal(signal.SIGINT)
        assert run.wait_exit() == 0


def test_stages_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    def lives(at_once: str) -> list[str]:
        script = f"trap 'echo gone; exit' TERM; {at_once}; while :; do sleep 0.02; done"
        return ["sh", "-c", script]

    redis = lives("sleep 0.2; touch redis.is-ready")
    src = lives("test -e redis.is-ready && echo came after redis")
    with stack(tmp_path, {"redis": redis}, {"src": src}, marks=["redis.is-ready"]) as run:
        run.wait_for("ready now")
        run.wait_for("came after redis")
        run.signal(signal.SIGTERM)
        run.wait_exit()
        assert run.output.index("src       | gone") < run.output.index("redis     | gone")


def test_killed_child_is_named_and_restarted(tmp_path: Path) -> None:
    with stack(tmp_path, {"rtpengine": SLEEPER}) as run:
        first = number_after("pid", run.wait_for("| pid"))
        os.kill(first, signal.SIGKILL)
        run.wait_for("rtpengine died (signal 9); restart 1 in 0.2 s")
        assert number_after("pid", run.wait_for("| pid", times=2)) != first


def test_descendants_of_a_dead_child_are_gone_before_it_restarts(tmp_path: Path) -> None:
    with stack(tmp_path, {"proxy": PARENT}) as run:
        leader = number_after("pid", run.wait_for("| pid"))
        orphan = number_after("orphan", run.wait_for("orphan"))
        os.kill(leader, signal.SIGKILL)
        run.wait_for("restart 1")
        assert not is_alive(orphan)


def test_child_that_dies_three_times_within_a_minute_ends_the_run(tmp_path: Path) -> None:
    crash = ["sh", "-c", "echo last words; exit 3"]
    with stack(tmp_path, {"redis": SLEEPER}, {"src": crash}) as run:
        other = number_after("pid", run.wait_for("| pid"))
        assert run.wait_exit() == 1
        assert run.output.count("last words") == 3
        assert "src died (exit 3); restart 2 in 0.5 s" in run.output
        assert "ended: src died 3 times within a minute, last with exit 3" in run.output
        assert not is_alive(other)


def test_program_that_does_not_exist_ends_the_run(tmp_path: Path) -> None:
    with stack(tmp_path, {"rtpengine": ["/nonexistent/rtpengine"]}) as run:
        assert run.wait_exit() == 1
        assert "/nonexistent/rtpengine: No such file or directory" in run.output


@pytest.mark.alone
def test_child_that_ignores_sigterm_is_killed_within_5_s(tmp_path: Path) -> None:
    with stack(tmp_path, {"redis": STUBBORN, "rtpengine": STUBBORN}, {"proxy": STUBBORN}) as run:
        run.wait_for("| pid", times=3)
        pids = [int(pid) for pid in re.findall(r"\| pid (\d+)", run.output)]
        begin_s = time.monotonic()
        run.signal(signal.SIGTERM)
        assert run.wait_exit() == 0
        assert time.monotonic() - begin_s < 5
        assert "proxy did not end in time; killed" in run.output
        assert [pid for pid in pids if is_alive(pid)] == []


def test_second_signal_kills_at_once(tmp_path: Path) -> None:
    with stack(tmp_path, {"proxy": STUBBORN}) as run:
        run.wait_for("| pid")
        run.signal(signal.SIGTERM)
        run.wait_for("stopping (SIGTERM)")
        run.signal(signal.SIGTERM)
        assert run.wait_exit(within_s=2.5) == 0


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    with stack(tmp_path, {"redis": SLEEPER}, {"proxy": SLEEPER}) as run:
        run.wait_for("| pid", times=2)
        pids = [int(pid) for pid in re.findall(r"\| pid (\d+)", run.output)]
        run.signal(signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, pids)))


def test_run_that_never_gets_ready_says_what_is_missing(tmp_path: Path) -> None:
    with stack(tmp_path, {"src": SLEEPER}, missing="is away", ready_within_s=0.3) as run:
        child = number_after("pid", run.wait_for("| pid"))
        assert run.wait_exit() == 1
        assert "ended: not ready after 0.3 s: thing: is away" in run.output
        assert "ready now" not in run.output
        assert not is_alive(child)


def test_restarted_child_has_another_boot_id(tmp_path: Path) -> None:
    says_boot = ["sh", "-c", "echo boot $SIPREC_BOOT; echo pid $$; exec sleep 1000"]
    with stack(tmp_path, {"src": says_boot}) as run:
        first = run.wait_for("boot ")
        os.kill(number_after("pid", run.wait_for("| pid")), signal.SIGKILL)
        second = run.wait_for("boot ", times=2)
        assert len(first.split()[-1]) == 16
        assert first != second


def test_output_of_any_bytes_is_logged_as_one_printable_line(tmp_path: Path) -> None:
    noise = r"printf '\377\033[31m tail\n'; exec sleep 1000"
    with stack(tmp_path, {"src": ["sh", "-c", noise]}) as run:
        assert run.wait_for("tail") == r"src       | \xff\x1b[31m tail"
