"""Cases of sipp-scenarios/ with ends or recorders of their own: what their READMEs promise."""

import os
import re
import signal
from pathlib import Path

import pytest

from siprec.model import Stream, StreamState
from tests.scenarios.by_hand import (
    BOB,
    CAROL,
    TALK_S,
    bad_recorder,
    both_voices,
    callee,
    over,
    place,
    promised,
    sound,
    switches,
)
from tests.scenarios.polling import poll
from tests.scenarios.sounds import place_in
from tests.scenarios.srs import ReferenceSrs
from tests.scenarios.studio import CALLER_SOUND, Studio

pytestmark = pytest.mark.daemon

UNREACHABLE = 32011
BAD_ANSWER = 32102


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
