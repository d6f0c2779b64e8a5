"""Which recorder of a connector gets a stream: shares, drained, full and failing recorders."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from siprec.alerts import AlertLevel
from siprec.model import Stream, StreamOrder, StreamState, Track
from tests.scenarios.many_srs import ManySrsStage
from tests.scenarios.phone import answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.stage import dial
from tests.scenarios.talk import talk

pytestmark = pytest.mark.daemon

UNREACHABLE = 32011

RECORDING, STOPPED, FAILED = StreamState.RECORDING, StreamState.STOPPED, StreamState.FAILED

UNCHECKED = ("--options-s", "0")


class PooledCall:
    """A call on which a test starts streams to one connector, of one track each."""

    def __init__(self, stage: ManySrsStage, start: str) -> None:
        self.stage = stage
        self.connector = start.split('connectorName="')[1].split('"')[0]
        self.caller, self.callee = stage.pair()
        self.caller.invite(stage.number(dial(self.callee)))
        answer(self.caller, self.callee)
        self.sid = stage.wait_call(self.caller).sid

    def order(self) -> str:
        """Start a stream, and give its sid."""
        order = StreamOrder(connector_name=self.connector, track=Track.INBOUND)
        verdict = self.stage.stack.store.orders.start(self.sid, order)
        assert verdict.accepted, verdict
        assert verdict.stream_sid
        return verdict.stream_sid

    def wait(self, sid: str, state: StreamState) -> Stream:
        """Wait until a stream is in a state."""

        def reached() -> Stream | None:
            stream = self.stage.stack.store.stream(sid)
            return stream if stream is not None and stream.state is state else None

        return poll(reached, why=lambda: f"{self.stage.stack.store.stream(sid)}")

    def record(self) -> Stream:
        """Start a stream, and wait until it records."""
        return self.wait(self.order(), RECORDING)

    def stop(self, stream: Stream) -> None:
        """Stop a stream."""
        assert self.stage.stack.store.orders.stop(stream.sid).accepted
        self.wait(stream.sid, STOPPED)

    def hang_up(self) -> None:
        """End the call, after a few words of which none is lost."""
        talk(self.caller, self.callee)
        hang_up(self.caller, self.callee)
        self.stage.wait_call_over(self.caller)


def srs_of(stream: Stream) -> str:
    """Give the SRS that was tried last."""
    return stream.legs[-1].srs


def test_hundred_streams_are_shared_exactly_by_weight(many_srs_stage: ManySrsStage) -> None:
    stage = many_srs_stage
    uris = [stage.recorder_alone("--no-media").uri for _ in range(3)]
    weighted = [f"{uri},weight={weight}" for uri, weight in zip(uris, (5, 3, 2), strict=True)]
    start = stage.connect(*weighted, options=UNCHECKED)
    calls = [PooledCall(stage, start) for _ in range(2)]
    orders = [(call, call.order()) for _ in range(50) for call in calls]
    streams = [call.wait(sid, RECORDING) for call, sid in orders]
    shares = Counter(srs_of(stream) for stream in streams)
    assert [shares[uri] for uri in uris] == [50, 30, 20]
    for call in calls:
        call.hang_up()


def test_drained_srs_keeps_what_it_has_and_gets_nothing_new(many_srs_stage: ManySrsStage) -> None:
    stage = many_srs_stage
    one, two = (stage.recorder_alone().uri for _ in range(2))
    call = PooledCall(stage, stage.connect(one, two, options=UNCHECKED))
    running = [call.record() for _ in range(2)]
    assert {srs_of(stream) for stream in running} == {one, two}
    stage.stack.cli("connector", "drain", call.connector, one)
    poll(lambda: row_of(call, one).startswith(f"{one} (drained) 1 1 1 "))

    def next_two() -> list[str]:
        streams = [call.record() for _ in range(2)]
        for stream in streams:
            call.stop(stream)
        return [srs_of(stream) for stream in streams]

    poll(lambda: next_two() == [two, two])
    assert next_two() == [two, two]
    assert all(call.wait(stream.sid, RECORDING) for stream in running)
    stage.stack.cli("connector", "undrain", call.connector, one)
    poll(lambda: sorted(next_two()) == sorted([one, two]))
    call.hang_up()


def test_full_srs_gets_nothing_and_when_all_are_full_the_stream_fails(
    many_srs_stage: ManySrsStage,
) -> None:
    stage = many_srs_stage
    one, two = (stage.recorder_alone().uri for _ in range(2))
    start = stage.connect(
        f"{one},max-sessions=2", f"{two},priority=2,max-sessions=1", options=UNCHECKED
    )
    call = PooledCall(stage, start)
    streams = [call.record() for _ in range(3)]
    assert [srs_of(stream) for stream in streams] == [one, one, two]
    failed = call.wait(call.order(), FAILED)
    text = "no SRS of the connector takes recordings now: all are drained or full"
    assert (failed.error_code, failed.error_text, failed.legs) == (UNREACHABLE, text, ())
    assert stage.told(failed) == [(UNREACHABLE, AlertLevel.ERROR, text)]
    poll(lambda: row_of(call, one).startswith(f"{one} 1 1 2/2 "))
    assert "no SRS took it" in stage.shown(failed)
    call.stop(streams[0])
    assert srs_of(call.record()) == one
    call.hang_up()


def test_circuit_of_a_failing_srs_opens_and_closes_when_it_is_back(
    many_srs_stage: ManySrsStage,
) -> None:
    stage, good = many_srs_stage, many_srs_stage.srs.uri
    mortal = stage.mortal("--refuse", "503")
    start = stage.connect(mortal.uri, f"{good},priority=2", options=["--failures", "2"])
    call = PooledCall(stage, start)
    check_each_second(call)
    poll(lambda: health_of(call)["reachable"])
    for _ in range(2):
        assert [leg.srs for leg in call.record().legs] == [mortal.uri, good]
    assert [leg.srs for leg in call.record().legs] == [good]
    refusal = f"the SRS {mortal.uri} answered 503 Service Unavailable"
    poll(lambda: circuit_of(call) == "open")
    assert health_of(call)["last_failure"] == refusal
    row = row_of(call, mortal.uri)
    assert row.startswith(f"{mortal.uri} 1 1 0 yes ")
    assert row.endswith(f" open - {refusal}")
    mortal.die()
    poll(lambda: health_of(call)["reachable"] is False)
    assert row_of(call, mortal.uri).endswith(f" open - {mortal.srs.address}: Connection refused")
    stage.recorder_alone(listen=mortal.srs.address)
    poll(lambda: circuit_of(call) == "half-open")
    assert health_of(call)["reachable"]

    def tried() -> list[str]:
        stream = call.record()
        call.stop(stream)
        return [leg.srs for leg in stream.legs]

    # Controllers read how recorders are once a second.
    poll(lambda: tried() == [mortal.uri])
    poll(lambda: circuit_of(call) == "closed")
    assert health_of(call)["last_failure"] is None
    call.hang_up()


def check_each_second(call: PooledCall) -> None:
    """Let health checks come more often than the command line allows, for a quick test."""
    store = call.stage.stack.store
    account_sid = call.stage.stack.runtime.settings.account.sid
    assert account_sid
    connector = store.connector(account_sid, call.connector)
    assert connector is not None
    store.put_connector(replace(connector, options_s=1))


def health_of(call: PooledCall) -> dict[str, Any]:
    """Give what `siprec connector show --json` says of the first SRS."""
    first: dict[str, Any] = call.stage.stack.json("connector", "show", call.connector)["health"][0]
    return first


def circuit_of(call: PooledCall) -> str:
    """Give the state of the circuit of the first SRS."""
    return str(health_of(call)["circuit"])


def row_of(call: PooledCall, uri: str) -> str:
    """Give the row of an SRS in `siprec connector show`, with single spaces."""
    lines = call.stage.stack.cli("connector", "show", call.connector).stdout.splitlines()
    return next(" ".join(line.split()) for line in lines if line.startswith(uri))
