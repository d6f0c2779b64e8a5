"""Streams of a call: which are accepted, how they are started and stopped, what the SRS is told."""

from collections.abc import Iterator
from itertools import count

import pytest

from siprec.alerts import Alert
from siprec.model import Call, StreamState
from tests.scenarios.polling import poll
from tests.scenarios.sounds import place_in
from tests.scenarios.srs import Session
from tests.scenarios.studio import CALLER_SOUND, Studio

pytestmark = [pytest.mark.daemon, pytest.mark.usefixtures("no_errors")]

UNKNOWN_CONNECTOR = 31940
TOO_MANY_TRACKS = 31960


def codes(alerts: list[Alert]) -> list[int]:
    """List the codes of alerts."""
    return [alert.code for alert in alerts]


# Acceptance


def test_fifth_track_is_refused_alone(studio: Studio) -> None:
    call = studio.call("fifth-track")
    names = ("two tracks", "third track", "fourth track")
    accepted = [call.recording(name) for name in names]
    for stream in accepted:
        studio.hear(stream, 0.5)
    call.hang_up()
    assert [stream.order.name for stream in call.streams()] == list(names)
    assert [len(studio.session(stream).tracks) for stream in accepted] == [2, 1, 1]
    (alert,) = call.alerts()
    assert alert.code == TOO_MANY_TRACKS


def test_duplicate_name_is_refused_alone(studio: Studio) -> None:
    call = studio.call("duplicate-name")
    stream = call.recording("same")
    again = studio.stack.cli(
        "stream", "start", call.call().sid, "--name", "same", "--track", "outbound_track", code=1
    )
    assert "same" in again.stderr
    assert call.recording("same").sid == stream.sid
    call.hang_up()
    assert len(call.streams()) == 1
    assert len(studio.session(stream).tracks) == 1
    # Once from the document, once from the command line.
    assert len(call.alerts()) == 2


def test_unknown_connector_leaves_the_call_alone(studio: Studio) -> None:
    call = studio.call("unknown-connector")
    assert call.call().is_live
    (alert,) = poll(call.alerts)
    assert (alert.code, alert.connector_name) == (UNKNOWN_CONNECTOR, "Nobody set this")
    ended = call.hang_up()
    assert ended.end_reason == "bye"
    assert call.streams() == []


# Start and stop


def test_stop_by_name_frees_the_name(studio: Studio) -> None:
    call = studio.call("both-tracks")
    first = call.recording("both")
    studio.hear(first, 0.5)
    sid = call.call().sid
    studio.stack.cli("stream", "stop", "both", "--call", sid, "--wait")
    studio.session(first)
    again = studio.stack.json("stream", "start", sid, "--name", "both", "--wait")
    assert again["sid"] != first.sid
    assert again["state"] == "recording"
    second = call.recording("both")
    studio.hear(second, 0.5)
    call.hang_up()
    assert place_in(studio.session(second).track("1").raw, CALLER_SOUND) is not None
    assert [s.state for s in call.streams()] == [StreamState.STOPPED] * 2
    assert call.alerts() == []


def test_start_mid_call_by_sid_and_stop_by_sid(studio: Studio) -> None:
    call = studio.call("start-and-stop")
    sid = call.call().sid
    assert call.streams() == []
    words = ("--name", "mid call", "--track", "inbound_track", "--parameter", "Agent=Bob", "--wait")
    started = studio.stack.json("stream", "start", sid, *words)
    stream = call.recording("mid call")
    assert stream.sid == started["sid"]
    studio.hear(stream, 0.5)
    stopped = studio.stack.json("stream", "stop", stream.sid, "--wait")
    assert stopped["state"] == "stopped"
    session = studio.session(stream)
    assert place_in(session.track("1").raw, CALLER_SOUND) is not None
    assert session.parameters == [("Agent", "Bob")]
    call.hang_up()


def test_call_without_document_is_unrecorded_until_told(studio: Studio) -> None:
    call = studio.call(None)
    assert call.call().is_live
    assert call.streams() == []
    studio.stack.cli("stream", "start", call.call().sid, "--name", "late", "--wait")
    stream = call.recording("late")
    studio.hear(stream, 0.5)
    call.hang_up()
    assert place_in(studio.session(stream).track("1").raw, CALLER_SOUND) is not None


def test_document_without_next_instruction_is_480_and_not_recorded(studio: Studio) -> None:
    sessions = len(studio.srs.sessions())
    number = studio.number("no-next-instruction")
    caller = studio.rig.sipp(
        "no-next-instruction/caller.xml",
        port=studio.stack.ports.take(),
        remote=studio.stack.proxy,
        service=number,
    )
    assert caller.done().succeeded == 1

    def refused() -> Call | None:
        calls = studio.stack.store.calls(live_only=False)
        return next((call for call in calls if call.number == number), None)

    call = poll(refused)
    assert (call.end_reason, call.answered_ms) == ("480", None)
    assert studio.stack.store.streams(call.sid) == []
    assert len(studio.srs.sessions()) == sessions


# Stop before the SRS has answered


@pytest.fixture
def connector(studio: Studio) -> Iterator[str]:
    """Give a connector name that no controller has seen before."""
    name = f"Once {next(_once)}"
    yield name
    studio.stack.cli("connector", "delete", name)


_once = count(1)


def test_stop_before_the_answer_cancels(studio: Studio, connector: str) -> None:
    srs = studio.rig.srs("--delay", "20000")
    studio.connect(connector, srs)
    call = studio.call("start-and-stop")
    words = ("--name", "slow", "--connector", connector)
    studio.stack.cli("stream", "start", call.call().sid, *words)
    stream = call.stream("slow", StreamState.INVITING)
    srs.wait_for(lambda found: len(found) == 1)
    studio.stack.cli("stream", "stop", "slow", "--call", call.call().sid, "--wait")
    (session,) = srs.wait_over()
    assert session.ended_by == "cancel"
    assert session.summary["answered"] is None
    assert call.stream("slow", StreamState.STOPPED).sid == stream.sid
    assert call.call().is_live
    call.hang_up()
    assert call.alerts() == []


def test_late_200_after_cancel_gets_ack_and_bye(studio: Studio, connector: str) -> None:
    srs = studio.rig.srs("--delay", "20000", "--late-200-after-cancel")
    studio.connect(connector, srs)
    call = studio.call("start-and-stop")
    words = ("--name", "late", "--connector", connector)
    studio.stack.cli("stream", "start", call.call().sid, *words)
    call.stream("late", StreamState.INVITING)
    srs.wait_for(lambda found: len(found) == 1)
    studio.stack.cli("stream", "stop", "late", "--call", call.call().sid, "--wait")
    (session,) = srs.wait_over()
    assert session.ended_by == "src-bye"
    assert session.summary["acknowledged"] is not None
    assert session.packets == 0
    call.hang_up()
    assert call.alerts() == []


# What the SRS is told

AWKWARD = "&<>\"'! Größe 数"


def test_awkward_names_arrive_intact(studio: Studio) -> None:
    escaped = AWKWARD.replace("\\", "\\\\").replace('"', '\\"')
    call = studio.call("awkward-names", caller_name=escaped, callee_name=f"{escaped} B")
    stream = call.recording(AWKWARD)
    shown = studio.stack.json("stream", "show", AWKWARD)
    assert shown["sid"] == stream.sid
    call.hang_up()
    session = studio.session(stream)
    assert [track.name for track in session.tracks] == [AWKWARD, f"{AWKWARD} B"]
    values = {
        "Ticket": "&<>\"'! é 数 ;,=",
        "X-Odd_Name.1+~": " spaces  inside! ",
        "Empty": "",
    }
    assert dict(session.parameters) == values
    for name, value in values.items():
        assert session.headers(name) == [value.strip()]


def test_parameters_stand_where_the_connector_says(studio: Studio) -> None:
    call = studio.call("parameters")
    streams = {name: call.recording(name) for name in ("both", "headers", "metadata")}
    call.hang_up()
    sessions = {name: studio.session(stream) for name, stream in streams.items()}

    def placed(session: Session) -> tuple[bool, bool]:
        return session.headers("Agent") == ["Bob"], session.parameters == [("Agent", "Bob")]

    assert placed(sessions["both"]) == (True, True)
    assert placed(sessions["headers"]) == (True, False)
    assert placed(sessions["metadata"]) == (False, True)
    assert sessions["headers"].parameters == []
    assert sessions["metadata"].headers("Agent") == []
