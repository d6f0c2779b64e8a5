"""What dies or falls silent around a call: the call goes on, and its recording ends properly."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from rtpengine_ng.client import ask
from siprec.model import StreamState
from siprec.sids import SHARDS
from siprec.store import StoreUnavailable
from tests.control.processes import RedisServer
from tests.rtpengine.breakable import BreakableProxy
from tests.rtpengine.daemon import Rtpengine
from tests.scenarios.breakable_tcp import BreakableTcp
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.stack import Settings
from tests.scenarios.stage import RECORD, Stage, dial
from tests.scenarios.talk import Talk, talk

pytestmark = pytest.mark.daemon


def begin(stage: Stage, number: str, caller: Phone, callee: Phone) -> None:
    """Call, and wait for the recording."""
    caller.invite(number)
    answer(caller, callee)
    stage.wait_recording(caller)


def all_shards_are_owned(stage: Stage) -> bool:
    """Tell whether controllers own every shard, of a Redis that answers."""
    with suppress(StoreUnavailable):
        return stage.stack.store.leased_shards() == SHARDS
    return False


def controllers(stage: Stage) -> set[int]:
    """List the controllers' processes, of which the log names each when it starts."""
    lines = [line.split() for line in stage.stack.log.splitlines() if line.endswith(" starts")]
    pids = {int(words[-2].rpartition("/")[2]) for words in lines if words[-3] == "controller"}
    return pids & set(stage.stack.pids("src"))


@pytest.mark.parametrize("victim", ["a controller", "every process"])
def test_src_role_killed_mid_call_records_on_and_ends_with_bye(tmp_path: Path, victim: str) -> None:
    with Stage(tmp_path) as stage:
        caller, callee = stage.pair()
        begin(stage, stage.number(RECORD, dial(callee)), caller, callee)
        with Talk(caller, callee) as talking:
            talking.go_on()
            old, victims = stage.stack.pids("src"), stage.stack.pids("src")
            if victim == "a controller":
                victims = sorted(controllers(stage))[:1]
            kill(victims)
            poll(lambda: (new := stage.stack.pids("src")) and new[0] != old[0])
            poll(lambda: len(controllers(stage)) == 2 and all_shards_are_owned(stage), 30)
            talking.go_on()
        assert talking.lost == ([], [])
        hang_up(caller, callee)
        session = stage.wait_recorded(caller)
        assert [track.lost for track in session.tracks] == [0, 0]
        assert min(track.packets for track in session.tracks) >= min(talking.heard) - 5
        stage.wait_call_over(caller)


def kill(pids: list[int]) -> None:
    """Kill processes at once."""
    assert pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_proxy_role_killed_mid_call_is_restarted_and_the_call_can_end(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        caller, callee = stage.pair()
        number = stage.number(RECORD, dial(callee))
        begin(stage, number, caller, callee)
        with Talk(caller, callee) as talking:
            old = stage.stack.pids("proxy")
            kill(old)
            poll(lambda: (new := stage.stack.pids("proxy")) and new[0] != old[0])
            poll(lambda: is_answered(stage), 20)
            talking.go_on()
        assert talking.lost == ([], [])
        hang_up(caller, callee)
        stage.wait_recorded(caller)
        stage.wait_call_over(caller)
        begin(stage, number, caller, callee)
        hang_up(callee, caller)
        stage.wait_recorded(caller)


def is_answered(stage: Stage) -> bool:
    """Tell whether the proxy role answers OPTIONS."""
    with Phone("probe", stage.proxy) as probe:
        probe.target = f"sip:{stage.proxy[0]}:{stage.proxy[1]}"
        probe.remote = f"<{probe.target}>"
        probe.request("OPTIONS")
        with suppress(OSError):
            return probe.next(0.2) is not None
    return False


def test_call_whose_media_rtpengine_lost_is_ended_by_the_audit(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        caller, callee = stage.pair()
        begin(stage, stage.number(RECORD, dial(callee)), caller, callee)
        ask(stage.stack.ng, {"command": "delete", "call-id": caller.call_id}, 2)
        stream = stage.wait_stream(caller, StreamState.STOPPED, StreamState.FAILED, within_s=60)
        assert stage.wait_session(stream).ended_by == "src-bye"
        assert stage.wait_call_over(caller).end_reason == "media-gone"


def test_redis_killed_mid_call_comes_back_and_the_recording_ends(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        caller, callee = stage.pair()
        begin(stage, stage.number(RECORD, dial(callee)), caller, callee)
        with Talk(caller, callee) as talking:
            talking.go_on()
            kill(stage.stack.pids("redis"))
            poll(lambda: all_shards_are_owned(stage), 30)
            talking.go_on()
        assert talking.lost == ([], [])
        hang_up(caller, callee)
        session = stage.wait_recorded(caller)
        assert [track.lost for track in session.tracks] == [0, 0]
        stage.wait_call_over(caller)


@contextmanager
def stage_with_breakable_redis(folder: Path) -> Iterator[tuple[Stage, BreakableTcp]]:
    """Start a stage whose Redis can be broken; its one worker knows what all would."""
    (folder / "redis").mkdir()
    server = RedisServer(folder / "redis")
    try:
        with BreakableTcp(server.url.removeprefix("unix://")) as redis:
            url = f"redis://{redis.address}/0"
            settings: Settings = {"redis": {"url": url, "lookup_ms": None}, "sip": {"workers": 1}}
            with Stage(folder, settings=settings) as stage:
                yield stage, redis
    finally:
        server.stop()


def seconds_to_ring(caller: Phone, callee: Phone, number: str) -> float:
    """Place a call, refuse it; give how long the INVITE was on its way."""
    started = time.monotonic()
    caller.invite(number)
    invite = callee.expect("INVITE")
    seconds = time.monotonic() - started
    callee.reply(invite, 486, "Busy Here")
    caller.ack_refusal(caller.expect(486))
    callee.expect("ACK")
    return seconds


# Redis has 50 ms to answer in.
@pytest.mark.alone
def test_deaf_redis_delays_one_invite_a_little_and_reports_wait(tmp_path: Path) -> None:
    with stage_with_breakable_redis(tmp_path) as (stage, redis):
        caller, callee = stage.pair()
        number = stage.number(RECORD, dial(callee))
        other, second = stage.phone("carol"), stage.phone("dave")
        begin(stage, number, caller, callee)
        waiting = stage.number(RECORD, dial(second))
        seconds_to_ring(other, second, waiting)
        # The document is known, but not so fresh that Redis would not be asked.
        stale = time.monotonic() + 2
        poll(lambda: time.monotonic() > stale)
        redis.deaf = True
        took = [seconds_to_ring(other, second, waiting) for _ in range(5)]
        other.invite(waiting)
        answer(other, second)
        talk(other, second)
        hang_up(caller, callee)
        hang_up(other, second)
        redis.deaf = False
        assert max(took) < 0.25
        assert sorted(took)[-2] < 0.05 + min(took)
        stage.wait_recorded(caller)
        stage.wait_call_over(caller)
        poll(lambda: (call := stage.call(other)) and not call.is_live, 20)
        poll(lambda: all(s.state.is_final for s in stage.streams(other)), 20)


def test_deaf_rtpengine_does_not_delay_calls_much(tmp_path: Path) -> None:
    with Rtpengine(tmp_path) as rtpengine, BreakableProxy(rtpengine.ng) as ng:
        address = "{}:{}".format(*ng.address)
        with Stage(tmp_path / "stage", settings={"rtpengine": {"ng": [address]}}) as stage:
            caller, callee = stage.pair()
            number = stage.number(RECORD, dial(callee))
            begin(stage, number, caller, callee)
            hang_up(caller, callee)
            stage.wait_recorded(caller)
            ng.deaf = True
            assert max(seconds_to_ring(caller, callee, number) for _ in range(8)) < 0.6
            caller.invite(number)
            answer(caller, callee)
            assert callee.remote_media[1] == caller.rtp_port
            talk(caller, callee)
            hang_up(caller, callee)
            poll(lambda: 32014 in [alert.code for alert in stage.alerts(caller)])


def test_deaf_rtpengine_leaves_one_way_through_us_when_a_second_target_is_dialled(
    tmp_path: Path,
) -> None:
    with Rtpengine(tmp_path) as rtpengine, BreakableProxy(rtpengine.ng) as ng:
        address = "{}:{}".format(*ng.address)
        with Stage(tmp_path / "stage", settings={"rtpengine": {"ng": [address]}}) as stage:
            caller, callee = stage.pair()
            busy = stage.phone("carol")
            number = stage.number(dial(busy), dial(callee))
            ng.deaf = True
            caller.invite(number)
            busy.reply(busy.expect("INVITE"), 486, "Busy Here")
            busy.expect("ACK")
            invite, _ = answer(caller, callee)
            assert len(invite.all("Record-Route")) == 1
            hang_up(caller, callee)


def test_two_rtpengines_share_calls_and_one_takes_over_for_the_other(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    with Rtpengine(folders[0]) as first, Rtpengine(folders[1]) as second:
        addresses = [f"{each.host}:{each.ng[1]}" for each in (first, second)]
        with Stage(tmp_path / "stage", settings={"rtpengine": {"ng": addresses}}) as stage:
            caller, callee = stage.pair()
            number = stage.number(RECORD, dial(callee))
            used = set()
            for _ in range(12):
                begin(stage, number, caller, callee)
                talk(caller, callee)
                hang_up(callee, caller)
                assert all(track.packets for track in stage.wait_recorded(caller).tracks)
                used.add(stage.wait_call(caller).rtpengine)
                if len(used) == 2:
                    break
            assert used == set(addresses)
            first.kill()
            for _ in range(4):
                begin(stage, number, caller, callee)
                talk(caller, callee)
                hang_up(caller, callee)
                stage.wait_recorded(caller)
                assert stage.wait_call(caller).rtpengine == addresses[1]


@pytest.mark.alone
def test_silent_srs_does_not_slow_calls(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        _, start = stage.recorder("--silent")
        caller, callee = stage.pair()
        plain, recorded = stage.number(dial(callee)), stage.number(start, dial(callee))
        times: dict[str, list[float]] = {plain: [], recorded: []}
        for _ in range(40):
            for number, taken in times.items():
                started = time.monotonic()
                caller.invite(number)
                answer(caller, callee)
                taken.append(time.monotonic() - started)
                hang_up(caller, callee)
        middle = {number: sorted(taken)[len(taken) // 2] for number, taken in times.items()}
        assert middle[recorded] < 2 * middle[plain] + 0.005
