"""A recorder fails at the start or in the middle of a call, and the next one takes over."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from siprec.alerts import AlertLevel
from siprec.health import srs_key
from siprec.model import Stream, StreamState
from tests.scenarios.breakable_tcp import BreakableTcp
from tests.scenarios.many_srs import ManySrsStage
from tests.scenarios.phone import answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.stage import dial
from tests.scenarios.talk import PACKET_S, Talk

pytestmark = pytest.mark.daemon

UNREACHABLE = 32011
BAD_ANSWER = 32102
AUTHENTICATION = 32106

ERROR, WARNING = AlertLevel.ERROR, AlertLevel.WARNING
RECORDING, STOPPED, FAILED = StreamState.RECORDING, StreamState.STOPPED, StreamState.FAILED

# Without health checks.
QUICK = ("--answer-s", "1", "--options-s", "0")
CHECKED = ("--answer-s", "1", "--options-s", "5")


# At the start

Make = Callable[[ManySrsStage], str]


def switched(*switches: str) -> Make:
    return lambda stage: stage.recorder_alone(*switches).uri


def absent(stage: ManySrsStage) -> str:
    return f"sip:127.0.0.1:{stage.stack.ports.take()}"


def with_a_certificate_of_another(stage: ManySrsStage) -> str:
    return stage.recorder_alone(*stage.ca.listen("server-wrong-host")).secure_uri


FIRST_FAILS: dict[str, tuple[Make, int, str]] = {
    "refuses_503": (switched("--refuse", "503"), UNREACHABLE, " answered 503 Service Unavailable"),
    "refuses_404": (switched("--refuse", "404"), UNREACHABLE, " answered 404 Not Found"),
    "refuses_488": (switched("--refuse", "488"), UNREACHABLE, " answered 488 Not Acceptable Here"),
    "is_silent": (switched("--silent"), UNREACHABLE, " did not answer in time"),
    "is_not_there": (absent, UNREACHABLE, ": Connection refused"),
    "shows_a_certificate_of_another": (
        with_a_certificate_of_another,
        UNREACHABLE,
        ": certificate of 127.0.0.1 is for wrong-host.invalid",
    ),
    "has_no_address": (
        lambda stage: "sip:srs.invalid:5060",
        UNREACHABLE,
        ": srs.invalid: the DNS has no IPv4 or IPv6 address",
    ),
    "wants_credentials": (
        switched("--digest", "ann:secret"),
        AUTHENTICATION,
        " does not accept our credentials (401)",
    ),
    "answers_without_sdp": (switched("--no-sdp"), BAD_ANSWER, " answered without SDP"),
}


@pytest.mark.parametrize("first", FIRST_FAILS)
def test_second_srs_records_when_the_first(many_srs_stage: ManySrsStage, first: str) -> None:
    stage = many_srs_stage
    make, code, why = FIRST_FAILS[first]
    bad, good = make(stage), stage.srs
    trust = stage.ca.trust() if "secure=true" in bad else []
    start = stage.connect(bad, f"{good.uri},priority=2", options=[*QUICK, *trust])
    with stage.spoken_call(start) as spoken:
        stream = stage.wait_recording(spoken.caller)
        ((told_code, level, text),) = stage.told(stream)
        assert (told_code, level) == (code, ERROR)
        assert text.startswith(f"the SRS {bad} ")
        assert text.endswith(why)
        lines = stage.shown(stream)
        assert {"state recording", "error -", "gaps -"} <= set(lines)
        assert f"1 {bad} failed - {code} {text}" in lines
        assert f"2 {good.uri} recording - -" in lines
        spoken.talking.go_on()
    stream = stage.wait_stream(spoken.caller, STOPPED)
    assert (stream.gap_ms, len(stream.legs)) == (0, 2)
    stage.has_all(good, stream, spoken)
    assert stage.told(stream) == [(code, ERROR, text)]


@pytest.mark.parametrize("status", ["400", "603"])
def test_second_srs_is_not_asked_what_the_first_refused_for_all(
    many_srs_stage: ManySrsStage, status: str
) -> None:
    stage = many_srs_stage
    bad = stage.recorder_alone("--refuse", status)
    start = stage.connect(bad.uri, f"{stage.srs.uri},priority=2", options=QUICK)
    with stage.spoken_call(start) as spoken:
        stream = stage.wait_stream(spoken.caller, FAILED)
        spoken.talking.go_on()
    assert [leg.srs for leg in stream.legs] == [bad.uri]
    assert f" answered {status} " in (stream.error_text or "")
    assert stage.srs.session_of(stream.sid) is None
    assert stage.told(stream) == [(UNREACHABLE, ERROR, stream.error_text)]


def test_start_gives_up_when_its_time_is_over(many_srs_stage: ManySrsStage) -> None:
    stage = many_srs_stage
    silent = stage.recorder_alone("--silent")
    uris = [f"sip:r{n}@{silent.address},priority={n}" for n in range(1, 7)]
    start = stage.connect(*uris, options=[*QUICK, "--total-s", "2"])
    with stage.spoken_call(start) as spoken:
        stream = stage.wait_stream(spoken.caller, FAILED)
    assert 2 <= len(stream.legs) <= 3
    assert stream.ended_ms is not None
    assert stream.ended_ms - stream.created_ms < 4_000
    assert [level for _, level, _ in stage.told(stream)] == [ERROR] * len(stream.legs)


# In the middle of a call


def is_told(stage: ManySrsStage, stream: Stream, first: str, why: str, second: str) -> None:
    """See that people learn who failed, why, who goes on, and how long nobody recorded."""
    failed, _ = stream.legs
    gap = f"{stream.gap_ms / 1000:.1f} s"
    assert (failed.error_text or "").startswith(f"the SRS {first} ")
    assert (failed.error_text or "").endswith(why)
    takeover = f"the SRS {second} goes on with the recording after a gap of {gap}"
    assert stage.told(stream) == [
        (UNREACHABLE, ERROR, failed.error_text),
        (UNREACHABLE, WARNING, takeover),
    ]
    lines = stage.shown(stream)
    assert {"state stopped", "error -", f"gaps {gap}"} <= set(lines)
    assert failed.recording_ms is not None
    assert failed.heard_ms is not None
    recorded_s = (failed.heard_ms - failed.recording_ms) / 1000
    assert f"1 {first} failed {recorded_s:.1f} s {UNREACHABLE} {failed.error_text}" in lines
    assert any(line.startswith(f"2 {second} stopped ") for line in lines)


def test_second_srs_goes_on_when_the_first_hangs_up_with_an_error(
    many_srs_stage: ManySrsStage,
) -> None:
    stage, second = many_srs_stage, many_srs_stage.srs
    reason = 'SIP;cause=503;text="No disk"'
    first = stage.recorder_alone("--hang-up-after", "0.3", "--hang-up-reason", reason)
    start = stage.connect(first.uri, f"{second.uri},priority=2", options=QUICK)
    with stage.spoken_call(start) as spoken:
        stage.wait_leg(spoken.caller, start, 2, RECORDING)
        spoken.talking.go_on()
    stream = stage.wait_stream(spoken.caller, STOPPED)
    missing = stage.has_all(second, stream, spoken)
    session = stage.wait_session(stream, first)
    assert session.ended_by == "srs-bye"
    had = [int.from_bytes(track.raw[-160:-156]) + 1 for track in session.tracks]
    lost_s = (max(missing) - min(had)) * PACKET_S
    assert lost_s - 0.1 < stream.gap_ms / 1000 < lost_s + 0.1
    is_told(stage, stream, first.uri, f" hung up ({reason})", second.uri)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dying:
    """An SRS that dies, or starts again and knows nothing: what it is started with, and why."""

    switches: tuple[str, ...] = ()
    rises: bool = False
    why: str = ": Connection refused, and no RTCP comes"


DYING = (
    Dying(),
    # It never sends RTCP.
    Dying(switches=("--no-media",)),
    Dying(rises=True, why=" does not know the session any more (481)"),
)


def test_srs_that_dies_is_left_and_one_whose_rtcp_goes_on_is_not(
    many_srs_stage: ManySrsStage,
) -> None:
    stage, second = many_srs_stage, many_srs_stage.srs
    mortals = [stage.mortal(*each.switches) for each in DYING]
    alive = stage.recorder_alone()
    with ExitStack() as opened:
        # Its signalling can be reached no more, but media flows.
        door = opened.enter_context(BreakableTcp(alive.address))
        firsts = [*(each.uri for each in mortals), f"sip:recorder@{door.address}"]
        starts = [stage.connect(uri, f"{second.uri},priority=2", options=CHECKED) for uri in firsts]
        with stage.spoken_call(*starts) as spoken:
            caller = spoken.caller
            for start in starts:
                stage.wait_leg(caller, start, 1, RECORDING)
            # The first RTCP comes after a second.
            spoken.talking.go_on(75)
            ports = len(stage.stack.rtp_ports_in_use())
            had = min(spoken.talking.heard)
            opened.close()
            for mortal, each in zip(mortals, DYING, strict=True):
                mortal.die()
                if each.rises:
                    stage.recorder_alone(listen=mortal.srs.address)
            for start in starts[:-1]:
                stage.wait_leg(caller, start, 2, RECORDING, within_s=30)
            poll(lambda: len(stage.stack.rtp_ports_in_use()) == ports)
            spoken.talking.go_on()
            kept = stage.wait_leg(caller, starts[-1], 1, RECORDING)
            poll(lambda: knows_dead(stage, kept))
    for start, first, each in zip(starts, firsts, DYING, strict=False):
        stream = stage.wait_leg(caller, start, 2, STOPPED)
        missing = stage.has_all(second, stream, spoken)
        # It is counted from the last sign of life.
        assert (min(missing) - had) * PACKET_S - 0.1 < stream.gap_ms / 1000
        # On a starved machine they speak a little slower than their clock.
        assert stream.gap_ms / 1000 < max(missing) * PACKET_S + 1
        is_told(stage, stream, first, each.why, second.uri)
    kept = stage.wait_leg(caller, starts[-1], 1, STOPPED)
    assert (len(kept.legs), stage.told(kept)) == (1, [])
    stage.has_all(alive, kept, spoken)


def knows_dead(stage: ManySrsStage, stream: Stream) -> bool:
    """Tell whether the SRS of a stream's first leg does not answer health checks."""
    key = srs_key(stream.account_sid, stream.order.connector_name, stream.legs[0].srs)
    health = stage.stack.store.healths().get(key)
    return health is not None and health.reachable is False


# When there is no other


@pytest.mark.parametrize("end_call_s", [None, "1"])
def test_required_call_that_lost_its_last_srs_ends_only_when_it_is_to(
    many_srs_stage: ManySrsStage, end_call_s: str | None
) -> None:
    stage = many_srs_stage
    ends = () if end_call_s is None else ("--end-call-s", end_call_s)
    start = hung_up_on(stage, "--required", *ends)
    caller, callee = stage.pair()
    caller.invite(stage.number(start, dial(callee)))
    answer(caller, callee)
    with Talk(caller, callee) as talking:
        stream = stage.wait_stream(caller, FAILED)
        if end_call_s is None:
            talking.go_on()
    assert len(stream.legs) == 2
    alerts = [(code, level) for code, level, _ in stage.told(stream)]
    assert alerts.count((UNREACHABLE, ERROR)) == 2
    if end_call_s is None:
        hang_up(caller, callee)
    else:
        for phone in (caller, callee):
            bye = phone.expect("BYE")
            assert bye.one("Reason") == 'SIP;cause=503;text="Recording lost"'
            phone.reply(bye, 200, "OK")
    stage.wait_call_over(caller)


def test_call_of_a_connector_that_is_not_required_goes_on_without_any_srs(
    many_srs_stage: ManySrsStage,
) -> None:
    stage = many_srs_stage
    with stage.spoken_call(hung_up_on(stage)) as spoken:
        stage.wait_stream(spoken.caller, FAILED)
        spoken.talking.go_on()


def hung_up_on(stage: ManySrsStage, *options: str) -> str:
    """Set a connector whose only SRS takes each session and soon hangs up with an error."""
    switches = ("--hang-up-after", "0.3", "--hang-up-reason", "SIP;cause=503")
    only = stage.recorder_alone(*switches)
    return stage.connect(only.uri, options=[*QUICK, *options])


# Found by name


def test_srs_of_srv_records_are_tried_by_their_priority(many_srs_stage: ManySrsStage) -> None:
    stage = many_srs_stage
    port = stage.srs.address.rpartition(":")[2]
    stage.names.add(
        "_sip._tcp.recorders.test",
        "SRV",
        f"1 1 {stage.stack.ports.take()} one.recorders.test.",
        f"2 1 {port} two.recorders.test.",
    )
    for name in ("one", "two"):
        stage.names.add(f"{name}.recorders.test", "A", "127.0.0.1")
    start = stage.connect("sip:recorder@recorders.test", options=QUICK)
    with stage.spoken_call(start) as spoken:
        stage.wait_recording(spoken.caller)
        spoken.talking.go_on()
    stream = stage.wait_stream(spoken.caller, STOPPED)
    stage.has_all(stage.srs, stream, spoken)
    assert (len(stream.legs), stage.told(stream)) == (1, [])
    assert "_sip._tcp.recorders.test SRV" in stage.names.queries
