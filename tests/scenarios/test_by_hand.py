"""Cases of sipp-scenarios/ with ends or recorders of their own: what their READMEs promise."""

import os
import re
import shlex
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from siprec.model import Call, Stream, StreamState
from tests.scenarios.polling import poll
from tests.scenarios.sipp import SCENARIOS, Sipp
from tests.scenarios.sounds import place_in
from tests.scenarios.srs import ReferenceSrs
from tests.scenarios.studio import CALLEE_SOUND, CALLER_SOUND, SpokenCall, Studio

pytestmark = pytest.mark.daemon

UNREACHABLE = 32011
BAD_ANSWER = 32102

# Where the READMEs have the callee and a second one.
BOB, CAROL = 5080, 5081
TALK_S = 0.5


def callee(studio: Studio, scenario: str) -> Sipp:
    """Start a callee for one call."""
    return studio.rig.sipp(
        scenario, port=studio.stack.ports.take(), sounds={"callee.alaw": CALLEE_SOUND}
    )


def place(
    studio: Studio,
    document: str,
    *,
    caller: str = "speech/caller.xml",
    callees: Mapping[int, int] | None = None,
    connector: str = "Default",
) -> SpokenCall:
    """Call a fresh number with a case's document.

    `callees` are the ports that the callees of the READMEs have here; without Bob, the studio's
    answers. The streams of the document go to `connector`.
    """
    text = (SCENARIOS / document / "document.xml").read_text()
    text = text.replace("<Siprec ", f'<Siprec connectorName="{connector}" ')
    ports = {BOB: studio.stack.gateway_port, **(callees or {})}
    text = text.replace(">+15550002<", f"><Sip>sip:bob@127.0.0.1:{BOB}</Sip><")
    for by_hand, here in ports.items():
        text = text.replace(f":{by_hand}<", f":{here}<")
    number = studio.number(None)
    path = studio.rig.folder / f"{number}.xml"
    path.write_text(text)
    studio.stack.cli("number", "set", number, "--twiml", str(path))
    end = studio.rig.sipp(
        caller,
        port=studio.stack.ports.take(),
        remote=studio.stack.proxy,
        service=number,
        keys={"caller_name": "Ann", "callee_name": "Bob"},
        sounds={"caller.alaw": CALLER_SOUND},
        more=("-recv_timeout", "50000"),
    )
    return SpokenCall(studio, number, end)


def over(call: SpokenCall, timeout_s: float = 15) -> Call:
    """Wait for the end of a call and its streams, which something else brings about."""
    poll(lambda: call.call().ended_ms, timeout_s, why=lambda: str(call.call()))
    poll(lambda: all(s.state.is_final for s in call.streams()), why=lambda: str(call.streams()))
    return call.call()


def sound(studio: Studio, call: SpokenCall, srs: ReferenceSrs | None = None) -> Stream:
    """Wait until stream `both` is recorded and some sound of it is at the SRS."""
    stream = call.recording("both")
    studio.hear(stream, TALK_S, srs)
    return stream


def both_voices(studio: Studio, stream: Stream, srs: ReferenceSrs | None = None) -> None:
    """Hold a session to what it must be, caller on label 1 and callee on label 2."""
    session = studio.session(stream, srs)
    assert place_in(session.track("1").raw, CALLER_SOUND) is not None
    assert place_in(session.track("2").raw, CALLEE_SOUND) is not None


# Calls


@pytest.mark.usefixtures("no_errors")
def test_callee_that_hangs_up_ends_call_and_recording(studio: Studio) -> None:
    bob = callee(studio, "callee-hangs-up/callee.xml")
    case = "callee-hangs-up/caller.xml"
    call = place(studio, "both-tracks", caller=case, callees={BOB: bob.port})
    stream = sound(studio, call)
    bob.tell(call.call().sip_call_id)
    bob.done()
    call.caller.done()
    assert over(call).end_reason == "bye"
    both_voices(studio, stream)
    assert call.alerts() == []


@pytest.mark.usefixtures("no_errors")
def test_caller_that_cancels_is_not_recorded(studio: Studio) -> None:
    bob = callee(studio, "cancel/callee.xml")
    call = place(studio, "both-tracks", caller="cancel/caller.xml", callees={BOB: bob.port})
    call.caller.done()
    bob.done()
    ended = over(call)
    assert (ended.end_reason, ended.answered_ms) == ("cancelled", None)
    assert call.streams() == []


@pytest.mark.usefixtures("no_errors")
def test_busy_callee_is_not_recorded(studio: Studio) -> None:
    bob = callee(studio, "busy/callee.xml")
    call = place(studio, "both-tracks", caller="busy/caller.xml", callees={BOB: bob.port})
    call.caller.done()
    bob.done()
    assert over(call).end_reason == "486"
    assert call.streams() == []


@pytest.mark.usefixtures("no_errors")
def test_document_that_pauses_and_rejects_gives_486(studio: Studio) -> None:
    call = place(studio, "pause-and-reject", caller="busy/caller.xml")
    call.caller.done()
    assert over(call).end_reason == "486"
    assert call.streams() == []


@pytest.mark.usefixtures("no_errors")
def test_bye_with_wrong_tag_ends_nothing(studio: Studio) -> None:
    bob = callee(studio, "bogus-bye/callee.xml")
    call = place(studio, "both-tracks", caller="bogus-bye/caller.xml", callees={BOB: bob.port})
    stream = sound(studio, call)
    call.caller.tell(call.call().sip_call_id)
    call.caller.wait_logged("refused")
    studio.hear(stream, 3 * TALK_S)
    assert call.call().is_live
    assert call.recording("both").sid == stream.sid
    assert call.hang_up().end_reason == "bye"
    bob.done()
    both_voices(studio, stream)
    assert call.alerts() == []


@pytest.mark.usefixtures("no_errors")
def test_parallel_dial_records_the_one_who_answers(studio: Studio) -> None:
    carol = callee(studio, "cancel/callee.xml")
    call = place(studio, "parallel-dial", callees={CAROL: carol.port})
    stream = sound(studio, call)
    carol.done()
    call.hang_up()
    both_voices(studio, stream)
    assert call.alerts() == []


@pytest.mark.usefixtures("no_errors")
def test_serial_dial_records_the_second(studio: Studio) -> None:
    carol = callee(studio, "busy/callee.xml")
    call = place(studio, "serial-dial", callees={CAROL: carol.port})
    stream = sound(studio, call)
    carol.done()
    call.hang_up()
    both_voices(studio, stream)
    assert call.alerts() == []


@pytest.mark.usefixtures("no_errors")
def test_hold_and_its_end_leave_one_recording(studio: Studio) -> None:
    bob = callee(studio, "re-invite/callee.xml")
    call = place(studio, "both-tracks", caller="re-invite/caller.xml", callees={BOB: bob.port})
    stream = sound(studio, call)
    for step in ("held", "goes on"):
        call.caller.tell(call.call().sip_call_id)
        call.caller.wait_logged(step)
    studio.hear(stream, 4 * TALK_S)
    call.hang_up()
    bob.done()
    assert [s.sid for s in call.streams()] == [stream.sid]
    both_voices(studio, stream)
    assert call.alerts() == []


# Recorders


def readme(case: str) -> str:
    """Give the README of a case."""
    return (SCENARIOS / case / "README.md").read_text()


def switches(case: str, number: int = 0) -> list[str]:
    """Give the switches of the `number`-th `try_srs` in the README of a case."""
    return shlex.split(re.findall(r"^    try_srs (.+)$", readme(case), re.M)[number])


def promised(case: str, call: SpokenCall, srs: ReferenceSrs) -> None:
    """Check that the README shows the only alert about a call."""
    (alert,) = call.alerts()
    line = f"{alert.level.value}  {alert.code}  SR…    {alert.text}"
    assert line.replace(srs.address, "127.0.0.1:5090") in readme(case)


def bad_recorder(studio: Studio, *words: str) -> tuple[ReferenceSrs, str]:
    """Start a recorder with switches, under a connector that no controller has seen before."""
    srs = studio.rig.srs(*words)
    name = f"By hand {srs.address}"
    studio.connect(name, srs)
    return srs, name


def fails(studio: Studio, case: str, code: int) -> tuple[Stream, ReferenceSrs]:
    """Call until the recording fails as the README says; the call does not care."""
    srs, connector = bad_recorder(studio, *switches(case))
    call = place(studio, "both-tracks", connector=connector)
    stream = call.stream("both", StreamState.FAILED, timeout_s=40)
    assert stream.error_code == code
    assert call.call().is_live
    assert call.hang_up().end_reason == "bye"
    promised(case, call, srs)
    return stream, srs


@pytest.mark.usefixtures("no_errors")
def test_srs_that_refuses_fails_the_stream_alone(studio: Studio) -> None:
    session = studio.over(*fails(studio, "srs-refuses", UNREACHABLE))
    assert (session.ended_by, session.summary["refused_with"]) == ("refused", 503)


@pytest.mark.usefixtures("no_errors")
def test_srs_that_is_silent_is_given_up(studio: Studio) -> None:
    _, srs = fails(studio, "srs-silent", UNREACHABLE)
    assert all(session.packets == 0 for session in srs.sessions())


@pytest.mark.usefixtures("no_errors")
def test_srs_that_redirects_is_followed(studio: Studio) -> None:
    words = switches("srs-redirects")
    here = [studio.second.uri if word.startswith("sip:") else word for word in words]
    srs, connector = bad_recorder(studio, *here)
    call = place(studio, "both-tracks", connector=connector)
    stream = sound(studio, call, studio.second)
    call.hang_up()
    both_voices(studio, stream, studio.second)
    assert studio.over(stream, srs).summary["refused_with"] == 302
    assert call.alerts() == []


@pytest.mark.usefixtures("no_errors")
def test_srs_that_answers_late_records_from_then_on(studio: Studio) -> None:
    srs, connector = bad_recorder(studio, *switches("srs-late"))
    call = place(studio, "both-tracks", connector=connector)
    call.stream("both", StreamState.INVITING)
    stream = sound(studio, call, srs)
    call.hang_up()
    both_voices(studio, stream, srs)
    assert call.alerts() == []


@pytest.mark.usefixtures("no_errors")
def test_srs_that_answers_garbage_gets_bye(studio: Studio) -> None:
    session = studio.over(*fails(studio, "srs-answers-badly", BAD_ANSWER))
    assert session.summary["acknowledged"] is not None
    assert (session.ended_by, session.packets) == ("src-bye", 0)


@pytest.mark.usefixtures("no_errors")
def test_srs_that_refuses_a_track_records_the_other(studio: Studio) -> None:
    srs, connector = bad_recorder(studio, *switches("srs-answers-badly", 1))
    call = place(studio, "both-tracks", connector=connector)
    stream = call.recording("both")
    poll(lambda: (found := srs.session_of(stream.sid)) and found.track("1").seconds_so_far > TALK_S)
    call.hang_up()
    session = studio.over(stream, srs)
    assert place_in(session.track("1").raw, CALLER_SOUND) is not None
    assert session.ended_by == "src-bye"
    promised("srs-answers-badly", call, srs)


@pytest.mark.usefixtures("no_errors")
def test_srs_that_hangs_up_fails_the_stream_alone(studio: Studio) -> None:
    session = studio.over(*fails(studio, "srs-hangs-up", UNREACHABLE))
    assert session.ended_by == "srs-bye"
    assert min(track.packets for track in session.tracks) > 0


def test_srs_that_dies_leaves_the_call_alone(studio: Studio) -> None:
    srs, connector = bad_recorder(studio, *switches("srs-dies"))
    call = place(studio, "both-tracks", connector=connector)
    call.recording("both")
    poll(lambda: srs.process.poll() is not None)
    assert call.call().is_live
    assert call.hang_up().end_reason == "bye"
    (stream,) = call.streams()
    assert stream.state is StreamState.STOPPED
    texts = [a.text for a in studio.stack.store.alerts(50) if a.stream_sid == stream.sid]
    assert len(texts) == 1
    assert texts[0].endswith("did not answer our BYE: what it recorded may be incomplete")


# The recording client


def starts(studio: Studio) -> list[str]:
    """List the processes of controllers of which the log says that they start."""
    return re.findall(r"controller \S+/(\d+) starts", studio.stack.log)


@pytest.mark.parametrize("case", ["controller-killed", "src-killed"])
def test_recording_client_killed_mid_call_records_on(tmp_path: Path, case: str) -> None:
    with Studio(tmp_path) as studio:
        call = place(studio, "both-tracks")
        stream = sound(studio, call)
        before = starts(studio)
        if case == "src-killed":
            os.killpg(studio.stack.pids("src")[0], signal.SIGKILL)
        else:
            os.kill(int(before[0]), signal.SIGKILL)
        poll(lambda: len(starts(studio)) == 2 * len(before), 60, why=lambda: studio.stack.log)
        studio.hear(stream, 4 * TALK_S)
        call.caller.tell(call.call().sip_call_id)
        call.caller.done()
        over(call, timeout_s=60)
        assert [(s.sid, s.state) for s in call.streams()] == [(stream.sid, StreamState.STOPPED)]
        both_voices(studio, stream)
        assert call.alerts() == []
