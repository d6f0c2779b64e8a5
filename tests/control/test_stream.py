"""`siprec stream` over a real redis-server; a thread stands for the controller."""

import json
import re
from dataclasses import replace
from datetime import datetime

import pytest

from siprec.model import Leg, Moment, Stream, StreamOrder, StreamState
from siprec.verdict import Verdict
from tests.control.conftest import ACCOUNT, CALL, Stack

pytestmark = pytest.mark.daemon

Output = pytest.CaptureFixture[str]

SID = "SR" + CALL.sid[2:26] + "00000001"
STREAM = Stream(
    sid=SID,
    call_sid=CALL.sid,
    account_sid=ACCOUNT,
    order=StreamOrder(name="my stream", parameters=(("Custom1", "secret"),)),
    state=StreamState.RECORDING,
    legs=(Leg(srs="sip:srs@127.0.0.1", state=StreamState.RECORDING, answer="a=crypto:1 KEY"),),
    created_ms=1_700_000_000_000,
    recording_ms=1_700_000_000_030,
    history=(
        Moment(at_ms=1_700_000_000_000, event="ordered", state=StreamState.FORKING),
        Moment(
            at_ms=1_700_000_000_030,
            event="answered",
            state=StreamState.RECORDING,
            leg=1,
            detail="200",
        ),
    ),
)
YES = Verdict(accepted=True, text="", stream_sid=SID)
OTHER_CALL = "CA06" + "b" * 22 + "00000000"


def ended(state: StreamState, **more: object) -> Stream:
    return replace(STREAM, state=state, ended_ms=1_700_000_009_000, **more)  # type: ignore[arg-type]


def test_streams_are_listed(stack: Stack, capsys: Output) -> None:
    assert stack.run("stream", "list") == 0
    stack.put(STREAM)
    assert stack.run("stream", "list", CALL.sid) == 0
    empty, _, row = capsys.readouterr().out.splitlines()
    assert empty == "no streams"
    assert row.startswith(f"{SID}  my stream  Default    both_tracks  recording  ")


@pytest.mark.parametrize("named", [SID, "my stream"])
def test_stream_is_shown_as_a_timeline(stack: Stack, capsys: Output, named: str) -> None:
    stack.put(STREAM)
    assert stack.run("stream", "show", named) == 0
    out = capsys.readouterr().out
    assert "parameters  Custom1\n" in out
    assert "secret" not in out
    *_, first, second = out.splitlines()
    assert first.split()[1:] == ["+0", "ms", "-", "forking", "ordered", "-"]
    assert second.split()[1:] == ["+30", "ms", "1", "recording", "answered", "200"]
    assert datetime.fromisoformat(second.split()[0]).timestamp() == 1_700_000_000.03


def test_json_has_no_sdp(stack: Stack, capsys: Output) -> None:
    stack.put(STREAM)
    assert stack.run("stream", "show", SID, "--json") == 0
    out = capsys.readouterr().out
    assert json.loads(out)["state"] == "recording"
    assert "crypto" not in out


def test_stream_is_started_as_ordered(stack: Stack, capsys: Output) -> None:
    stack.answer(YES)
    words = ["--connector", "main", "--name", "n", "--track", "inbound_track"]
    words += ["--parameter", "X-A=1=2", "--parameter", "X-B=", "--status-callback", "http://cb/"]
    assert stack.run("stream", "start", CALL.sid, *words, "--status-callback-method", "GET") == 0
    assert capsys.readouterr().out == f"stream {SID} accepted\n"
    stack.join()
    (order,) = stack.orders
    assert order["call_sid"] == CALL.sid
    assert order["order"] == {
        "name": "n",
        "connector_name": "main",
        "track": "inbound_track",
        "status_callback": "http://cb/",
        "status_callback_method": "GET",
        "parameters": [["X-A", "1=2"], ["X-B", ""]],
    }


def test_start_waits_until_it_records(stack: Stack, capsys: Output) -> None:
    stack.answer(YES, then=STREAM)
    assert stack.run("stream", "start", CALL.sid, "--wait", "--json") == 0
    assert json.loads(capsys.readouterr().out)["sid"] == SID


def test_start_that_failed_says_why(stack: Stack, capsys: Output) -> None:
    failed = ended(StreamState.FAILED, error_code=32011, error_text="SRS said 486")
    stack.answer(YES, then=failed)
    assert stack.run("stream", "start", CALL.sid, "--wait") == 1
    expected = f"siprec: stream {SID} failed before it recorded: 32011 SRS said 486\n"
    assert capsys.readouterr().err == expected


def test_wait_has_an_end(stack: Stack, capsys: Output) -> None:
    stack.answer(YES, then=replace(STREAM, state=StreamState.INVITING))
    assert stack.run("stream", "start", CALL.sid, "--wait", "--timeout", "0.1") == 1
    expected = f"siprec: --timeout: stream {SID} is inviting after 0.1 s\n"
    assert capsys.readouterr().err == expected


def test_refused_start_gives_code_and_text(stack: Stack, capsys: Output) -> None:
    stack.answer(Verdict(accepted=False, text="unknown connector 'x'", code=31940))
    assert stack.run("stream", "start", CALL.sid, "--connector", "x") == 1
    expected = "siprec: stream was refused: 31940 unknown connector 'x'\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([CALL.sid, "--track", "left"], "--track: 'left' is none of inbound_track, outbound_track"),
        ([CALL.sid, "--name", "a/b"], "name: must not hold /"),
        ([CALL.sid, "--parameter", "a b=1"], "parameters: name 'a b'"),
        ([CALL.sid, "--status-callback", "ftp://x"], "status_callback: "),
        (["CA1"], "'CA1' is not a CA sid"),
    ],
)
def test_bad_order_names_the_field(
    stack: Stack, capsys: Output, words: list[str], named: str
) -> None:
    assert stack.run("stream", "start", *words) == 1
    assert named in capsys.readouterr().err


@pytest.mark.parametrize("which", [[SID], ["my stream"], ["my stream", "--call", CALL.sid]])
def test_stream_is_stopped_by_sid_or_name(stack: Stack, capsys: Output, which: list[str]) -> None:
    stack.put(STREAM)
    stack.answer(YES, then=ended(StreamState.STOPPED))
    assert stack.run("stream", "stop", *which, "--wait") == 0
    assert capsys.readouterr().out == f"stream {SID} stopped\n"
    stack.join()
    assert stack.orders[0]["stream_sid"] == SID


def test_stop_of_a_failed_stream_says_so(stack: Stack, capsys: Output) -> None:
    stack.put(STREAM)
    stack.answer(YES, then=ended(StreamState.FAILED))
    assert stack.run("stream", "stop", SID, "--wait") == 1
    assert capsys.readouterr().err == f"siprec: stream {SID} failed\n"


def test_refused_stop_gives_the_text(stack: Stack, capsys: Output) -> None:
    stack.answer(Verdict(accepted=False, text="no such stream", code=31952))
    assert stack.run("stream", "stop", SID) == 1
    assert "was not stopped: 31952 no such stream" in capsys.readouterr().err


def test_name_of_streams_that_ended_means_the_newest(stack: Stack, capsys: Output) -> None:
    over = replace(STREAM, state=StreamState.STOPPED, ended_ms=STREAM.created_ms + 9_000)
    stack.put(over)
    sid = "SR" + OTHER_CALL[2:26] + "00000001"
    newer = replace(over, sid=sid, call_sid=OTHER_CALL, created_ms=STREAM.created_ms + 1)
    stack.put(newer)
    assert stack.run("stream", "show", "my stream", "--json") == 0
    assert json.loads(capsys.readouterr().out)["sid"] == sid


BEGAN_MS = STREAM.created_ms + 1_000
FIRST_SRS, SECOND_SRS = "sip:one.example", "sips:two.example"


def moment(after_ms: int, state: StreamState, leg: int = 1) -> Moment:
    return Moment(at_ms=BEGAN_MS + after_ms, event="E", state=state, leg=leg)


def shown(stack: Stack, capsys: Output, stream: Stream) -> tuple[dict[str, str], list[str], str]:
    """Show a stream; give its fields, the rows of its legs, and all of what was printed."""
    stack.put(stream)
    assert stack.run("stream", "show", stream.sid) == 0
    out = capsys.readouterr().out
    fields, legs, _ = out.split("\n\n")
    pairs = (line.split(maxsplit=1) for line in fields.splitlines())
    return {name: value for name, value in pairs}, legs.splitlines(), out


def failed_over(state: StreamState, **more: object) -> Stream:
    """Give a stream whose first SRS died after 5 s, and whose second took over 2.5 s later.

    The second recorded for 2.5 s, if it does not record any more.
    """
    heard_ms = BEGAN_MS + (7_500 if state is StreamState.RECORDING else 10_000)
    legs = (
        Leg(
            number=1,
            srs=FIRST_SRS,
            state=StreamState.FAILED,
            recording_ms=BEGAN_MS,
            heard_ms=BEGAN_MS + 5_000,
            ended_ms=BEGAN_MS + 9_000,
            error_code=32016,
            error_text="died \x1b[2J",
        ),
        Leg(
            number=2,
            srs=SECOND_SRS,
            state=state,
            recording_ms=BEGAN_MS + 7_500,
            heard_ms=heard_ms,
        ),
    )
    history = (
        moment(0, StreamState.RECORDING),
        moment(5_000, StreamState.STOPPING),
        moment(7_500, StreamState.RECORDING, leg=2),
    )
    stream = replace(
        STREAM, state=state, legs=legs, recording_ms=BEGAN_MS, gap_ms=2_500, history=history
    )
    return replace(stream, **more)  # type: ignore[arg-type]


def test_each_leg_is_a_row_with_its_srs_and_its_error(stack: Stack, capsys: Output) -> None:
    _, rows, _ = shown(stack, capsys, failed_over(StreamState.RECORDING))
    titles, first, second = (re.split("  +", row) for row in rows)
    assert titles == ["LEG", "SRS", "STATE", "RECORDED", "ERROR"]
    assert first == ["1", FIRST_SRS, "failed", "5.0 s", "32016 died \\x1b[2J"]
    assert second == ["2", SECOND_SRS, "recording", "-", "-"]


def test_stream_that_no_srs_took_says_so(stack: Stack, capsys: Output) -> None:
    lonely = ended(StreamState.FAILED, legs=(), error_code=32011, error_text="nobody")
    fields, rows, _ = shown(stack, capsys, replace(lonely, recording_ms=None))
    assert rows == ["no SRS took it"]
    assert (fields["error"], fields["recorded"], fields["gaps"]) == ("32011 nobody", "-", "-")


def test_gaps_are_shown_and_are_no_recorded_time(stack: Stack, capsys: Output) -> None:
    fields, _, _ = shown(stack, capsys, failed_over(StreamState.RECORDING))
    assert (fields["recorded"], fields["gaps"]) == ("-", "2.5 s")
    over = failed_over(StreamState.STOPPED, ended_ms=BEGAN_MS + 14_000)
    fields, _, _ = shown(stack, capsys, over)
    # Ten seconds without the gap; that the BYE took four more does not count.
    assert (fields["recorded"], fields["gaps"]) == ("7.5 s", "2.5 s")


@pytest.mark.parametrize("state", [StreamState.STOPPING, StreamState.STOPPED])
def test_recorded_time_ends_when_the_last_leg_surely_recorded(
    stack: Stack, capsys: Output, state: StreamState
) -> None:
    legs = (
        replace(STREAM.legs[0], state=state, recording_ms=BEGAN_MS, heard_ms=BEGAN_MS + 3_000),
        Leg(number=2, srs=SECOND_SRS, state=StreamState.FAILED),
    )
    over = replace(STREAM, state=state, legs=legs, recording_ms=BEGAN_MS, ended_ms=BEGAN_MS + 7_000)
    fields, rows, _ = shown(stack, capsys, over)
    assert (fields["recorded"], fields["gaps"]) == ("3.0 s", "-")
    assert [re.split("  +", row)[3] for row in rows[1:]] == ["3.0 s", "-"]


def test_name_in_several_calls_needs_the_call(stack: Stack, capsys: Output) -> None:
    stack.put(STREAM)
    other = replace(STREAM, sid="SR" + OTHER_CALL[2:26] + "00000001", call_sid=OTHER_CALL)
    stack.put(other)
    assert stack.run("stream", "stop", "my stream") == 1
    err = capsys.readouterr().err
    assert f"several calls have 'my stream'; add --call: {CALL.sid}, {OTHER_CALL}" in err


def test_name_of_an_ended_stream_is_not_found(stack: Stack, capsys: Output) -> None:
    stack.put(ended(StreamState.STOPPED))
    assert stack.run("stream", "stop", "my stream", "--call", CALL.sid) == 1
    expected = f"siprec: STREAM: no live stream of call {CALL.sid} is named 'my stream'\n"
    assert capsys.readouterr().err == expected


def test_unknown_sid_is_an_error(stack: Stack, capsys: Output) -> None:
    assert stack.run("stream", "show", SID) == 1
    assert capsys.readouterr().err == f"siprec: STREAM: no stream {SID}\n"
