"""TLS proxies and connections that go away while secure streams record."""

import os
import signal
from collections.abc import Iterator

import pytest

from siprec.model import StreamState
from tests.scenarios.breakable_tcp import BreakableTcp
from tests.scenarios.phone import Phone, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.secure_stage import SecureStage
from tests.scenarios.srs import ReferenceSrs
from tests.scenarios.talk import Talk

pytestmark = pytest.mark.daemon


@pytest.fixture
def srs(any_secure_stage: SecureStage) -> ReferenceSrs:
    """Run a recorder."""
    return any_secure_stage.secure_recorder()


@pytest.fixture
def line(srs: ReferenceSrs) -> Iterator[BreakableTcp]:
    """Stretch a line to the recorder that can be cut."""
    with BreakableTcp(srs.tls_address) as line:
        yield line


def connect(stage: SecureStage, line: BreakableTcp, *options: str) -> str:
    """Set a connector that goes through a line. Nobody asks after that when the line is gone."""
    uri = f"sip:recorder@{line.address};secure=true"
    return stage.secure_connector(uri, options=["--options-s", "0", *options])


def ends_well(stage: SecureStage, caller: Phone, srs: ReferenceSrs, talking: Talk) -> None:
    """See the recorder get BYE, with every packet before it, and nobody complain."""
    session = stage.wait_recorded(caller, srs=srs)
    talking.missing([track.raw for track in session.tracks])
    assert talking.lost == ([], [])
    stage.wait_call_over(caller)
    assert stage.alerts(caller) == []


def kill_tls_proxy(stage: SecureStage) -> None:
    """Kill every process of the TLS proxy, and wait until another one is there."""
    victims = stage.stack.pids("tls-src")
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    poll(lambda: stage.stack.pids("tls-src")[:1] not in ([], victims[:1]))


def test_tls_proxy_is_killed_and_the_recording_goes_on_to_its_bye(
    any_secure_stage: SecureStage, srs: ReferenceSrs
) -> None:
    stage = any_secure_stage
    start = stage.secure_connector(srs.secure_uri)
    caller, callee = stage.begin(start)
    with Talk(caller, callee) as talking:
        stage.wait_recording(caller)
        talking.go_on()
        kill_tls_proxy(stage)
        talking.go_on()
    assert stage.streams(caller)[0].state is StreamState.RECORDING
    hang_up(caller, callee)
    ends_well(stage, caller, srs, talking)
    stage.record([start], [srs])


def test_stream_that_ends_while_the_tls_proxy_is_away_gets_its_bye_through(
    any_secure_stage: SecureStage, srs: ReferenceSrs
) -> None:
    stage = any_secure_stage
    caller, callee = stage.begin(stage.secure_connector(srs.secure_uri))
    with Talk(caller, callee) as talking:
        stage.wait_recording(caller)
        talking.go_on()
    for pid in stage.stack.pids("tls-src"):
        os.kill(pid, signal.SIGKILL)
    hang_up(caller, callee)
    ends_well(stage, caller, srs, talking)


def test_stream_that_begins_while_the_tls_proxy_is_away_records(
    any_secure_stage: SecureStage, srs: ReferenceSrs
) -> None:
    stage = any_secure_stage
    start = stage.secure_connector(srs.secure_uri)
    stage.record([start], [srs])
    for pid in stage.stack.pids("tls-src"):
        os.kill(pid, signal.SIGKILL)
    stage.record([start], [srs])


def test_connection_is_cut_and_the_recording_goes_on_to_its_bye(
    any_secure_stage: SecureStage, srs: ReferenceSrs, line: BreakableTcp
) -> None:
    stage = any_secure_stage
    start = connect(stage, line)
    caller, callee = stage.begin(start)
    with Talk(caller, callee) as talking:
        stage.wait_recording(caller)
        line.cut()
        talking.go_on()
    hang_up(caller, callee)
    ends_well(stage, caller, srs, talking)


def test_connection_is_cut_between_calls_and_the_next_one_is_recorded(
    any_secure_stage: SecureStage, srs: ReferenceSrs, line: BreakableTcp
) -> None:
    stage = any_secure_stage
    start = connect(stage, line)
    for _ in range(3):
        stage.record([start], [srs])
        line.cut()


def test_recorder_that_hangs_up_when_its_connection_is_gone_is_heard(
    any_secure_stage: SecureStage,
) -> None:
    stage = any_secure_stage
    ca = stage.ca
    # It opens a connection of its own, and checks ours by this CA.
    srs = stage.secure_recorder("--tls-client-ca", ca.file("ca.pem"), "--hang-up-after", "0.5")
    with BreakableTcp(srs.tls_address) as line:
        start = connect(stage, line, *ca.login())
        caller, callee = stage.begin(start)
        with Talk(caller, callee) as talking:
            stage.wait_recording(caller)
            line.cut()
            stream = stage.wait_stream(caller, StreamState.FAILED, StreamState.STOPPED)
        assert talking.lost == ([], [])
        hang_up(caller, callee)
        assert stage.wait_session(stream, srs).ended_by == "srs-bye"
        stage.wait_call_over(caller)
