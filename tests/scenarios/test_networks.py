"""Calls between transports and address families, and from behind a NAT."""

from pathlib import Path

import pytest

from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.srs import ReferenceSrs
from tests.scenarios.stage import RECORD, Stage, dial
from tests.scenarios.talk import Talk, talk

pytestmark = pytest.mark.daemon


def call_both_ways(
    stage: Stage, caller: Phone, callee: Phone, *, srs: ReferenceSrs | None = None
) -> None:
    """Call, talk, send a request from each side, and hang up; all of it recorded."""
    stage.stack.cli("connector", "set", "Other", "--srs", (srs or stage.srs).uri)
    start = '<Start><Siprec name="all" connectorName="Other"/></Start>'
    caller.invite(stage.number(start, dial(callee)))
    answer(caller, callee)
    stage.wait_recording(caller)
    talk(caller, callee)
    for sender, other in ((caller, callee), (callee, caller)):
        sender.request("INFO")
        other.reply(other.expect("INFO"), 200, "OK")
        sender.expect(200)
    hang_up(callee, caller)
    session = stage.wait_recorded(caller, srs=srs)
    assert all(track.packets >= 15 for track in session.tracks)
    stage.wait_call_over(caller)


@pytest.mark.parametrize(("from_", "to"), [("udp", "tcp"), ("tcp", "udp"), ("tcp", "tcp")])
def test_call_between_transports(stage: Stage, from_: str, to: str) -> None:
    caller = stage.phone("alice", transport=from_)
    call_both_ways(stage, caller, stage.phone("bob", transport=to))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_call_over_ipv6_is_recorded_over_ipv6(stage: Stage, tmp_path: Path, transport: str) -> None:
    caller = stage.phone("alice", host="::1", transport=transport)
    callee = stage.phone("bob", host="::1", transport=transport)
    with ReferenceSrs(tmp_path / "srs", listen="[::1]:0") as srs:
        call_both_ways(stage, caller, callee, srs=srs)


@pytest.mark.parametrize("hosts", [("::1", "127.0.0.1"), ("127.0.0.1", "::1")])
def test_signalling_crosses_from_one_address_family_to_the_other(
    stage: Stage, hosts: tuple[str, str]
) -> None:
    caller, callee = stage.phone("alice", host=hosts[0]), stage.phone("bob", host=hosts[1])
    caller.invite(stage.number(dial(callee)))
    answer(caller, callee)
    hang_up(caller, callee)
    assert stage.wait_call_over(caller).end_reason == "bye"


def test_caller_behind_a_nat_is_reached_and_heard(stage: Stage) -> None:
    caller = stage.phone("alice", claims="10.9.8.7:5060")
    callee = stage.phone("bob")
    caller.invite(stage.number(RECORD, dial(callee)))
    answer(caller, callee)
    stage.wait_recording(caller)
    latched(caller, callee)
    callee.request("INFO")
    caller.reply(caller.expect("INFO"), 200, "OK")
    callee.expect(200)
    hang_up(callee, caller)
    stage.wait_recorded(caller)
    stage.wait_call_over(caller)


def test_callee_behind_a_nat_is_reached_and_heard(stage: Stage) -> None:
    caller = stage.phone("alice")
    callee = stage.phone("bob", claims="10.9.8.7:5060")
    host, port = callee.wire.address
    number = stage.number(RECORD, f"<Dial><Sip>sip:bob@{host}:{port}</Sip></Dial>")
    caller.invite(number)
    answer(caller, callee)
    stage.wait_recording(caller)
    latched(callee, caller)
    caller.request("INFO")
    callee.reply(callee.expect("INFO"), 200, "OK")
    caller.expect(200)
    hang_up(caller, callee)
    stage.wait_recorded(caller)
    stage.wait_call_over(caller)


def latched(hidden: Phone, other: Phone) -> None:
    """Talk; once the relay has heard the hidden phone, it gets everything where it is."""
    with Talk(hidden, other) as talking:
        talking.go_on()
    to_hidden, to_other = talking.lost
    assert to_other == []
    assert to_hidden in ([], [0], [0, 1])
