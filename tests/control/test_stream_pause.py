"""`siprec stream pause` and `resume`: what they order, wait for and say."""

import json
import re
from dataclasses import replace

import pytest

from siprec.model import Ask, Side, Stream, StreamState
from siprec.verdict import Verdict
from tests.control.conftest import CALL, Stack
from tests.control.test_stream import SID, STREAM, YES, Output, ended, shown

pytestmark = pytest.mark.daemon


def gated(*labels: str, **more: object) -> Stream:
    """Give a stream that is cut off so, and whose orders are as said."""
    is_silent = len(labels) == 2 and not more.get("is_gating")
    leg = replace(STREAM.legs[0], gated=labels, **more)  # type: ignore[arg-type]
    state = StreamState.PAUSED if is_silent else StreamState.RECORDING
    paused = tuple(side for side in Side if side.label in labels)
    return replace(STREAM, state=state, paused=paused, legs=(leg,))


@pytest.mark.parametrize("which", [[SID], ["my stream"], ["my stream", "--call", CALL.sid]])
def test_stream_is_paused_by_sid_or_name(stack: Stack, capsys: Output, which: list[str]) -> None:
    stack.put(STREAM)
    stack.answer(replace(YES, text="is pausing"))
    assert stack.run("stream", "pause", *which) == 0
    assert capsys.readouterr().out == f"stream {SID} is pausing\n"
    stack.join()
    (order,) = stack.orders
    assert order["stream_sid"] == SID
    assert (order.get("track"), order.get("is_resumed")) == (None, None)


def test_pause_waits_until_all_of_it_is_cut_off(stack: Stack, capsys: Output) -> None:
    stack.put(STREAM)
    stack.answer(YES, then=gated("1", "2"))
    assert stack.run("stream", "pause", SID, "--wait") == 0
    assert capsys.readouterr().out == f"stream {SID} is paused\n"


def test_one_voice_is_paused_and_waited_for(stack: Stack, capsys: Output) -> None:
    stack.put(STREAM)
    stack.answer(YES, then=gated("2"))
    words = ("--track", "outbound_track", "--wait", "--json")
    assert stack.run("stream", "pause", SID, *words) == 0
    assert json.loads(capsys.readouterr().out)["paused"] == ["callee"]
    stack.join()
    assert stack.orders[0]["track"] == "outbound_track"


def test_resume_waits_until_it_is_sent_again(stack: Stack, capsys: Output) -> None:
    stack.put(gated("1", "2"))
    stack.answer(YES, then=gated())
    assert stack.run("stream", "resume", SID, "--wait") == 0
    assert capsys.readouterr().out == f"stream {SID} is recording\n"
    stack.join()
    assert stack.orders[0]["is_resumed"] is True


@pytest.mark.parametrize(
    ("verb", "then", "state"),
    [
        ("pause", gated("1", "2", is_gating=True), "recording"),
        ("pause", gated("1"), "recording"),
        ("pause", replace(STREAM, state=StreamState.INVITING, legs=()), "inviting"),
        ("resume", gated("1", "2", asked=Ask(cseq=2), refused=()), "paused"),
        ("resume", gated("1", "2", retry_ms=1, refused=()), "paused"),
        ("resume", gated(is_gating=True), "recording"),
    ],
)
def test_wait_for_a_pause_has_an_end(
    stack: Stack, capsys: Output, verb: str, then: Stream, state: str
) -> None:
    stack.put(STREAM)
    stack.answer(YES, then=then)
    assert stack.run("stream", verb, SID, "--wait", "--timeout", "0.1") == 1
    expected = f"siprec: --timeout: stream {SID} is {state} after 0.1 s\n"
    assert capsys.readouterr().err == expected


def test_resume_that_a_recorder_did_not_agree_to_says_so(stack: Stack, capsys: Output) -> None:
    stack.put(gated("1", "2"))
    stack.answer(YES, then=gated("1", "2", refused=()))
    assert stack.run("stream", "resume", SID, "--wait") == 1
    expected = f"siprec: stream {SID} was not resumed: the SRS did not agree (siprec alert list)\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_pause_of_a_stream_that_ends_meanwhile_says_so(
    stack: Stack, capsys: Output, verb: str
) -> None:
    stack.put(STREAM)
    stack.answer(YES, then=ended(StreamState.FAILED, error_code=32011, error_text="died"))
    assert stack.run("stream", verb, SID, "--wait") == 1
    expected = f"siprec: stream {SID} failed before that: 32011 died\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(("verb", "done"), [("pause", "paused"), ("resume", "resumed")])
def test_refused_pause_gives_code_and_text(
    stack: Stack, capsys: Output, verb: str, done: str
) -> None:
    stack.answer(Verdict(accepted=False, text=f"stream {SID} is stopped", code=31952))
    assert stack.run("stream", verb, SID) == 1
    expected = f"siprec: stream {SID} was not {done}: 31952 stream {SID} is stopped\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_track_that_is_none_is_named(stack: Stack, capsys: Output, verb: str) -> None:
    assert stack.run("stream", verb, SID, "--track", "left") == 1
    assert "--track: 'left' is none of inbound_track" in capsys.readouterr().err
    assert stack.orders == []


def test_paused_stream_shows_who_is_paused_and_whom_the_srs_does_not_get(
    stack: Stack, capsys: Output
) -> None:
    fields, rows, _ = shown(stack, capsys, gated("1", "2"))
    assert (fields["state"], fields["paused"]) == ("paused", "caller, callee")
    assert re.split("  +", rows[1])[2] == "recording without caller, callee"
    # Nobody agreed to go on.
    fields, rows, _ = shown(stack, capsys, replace(gated("1"), paused=()))
    assert (fields["state"], fields["paused"]) == ("recording", "-")
    assert re.split("  +", rows[1])[2] == "recording without caller"
    fields, rows, _ = shown(stack, capsys, STREAM)
    assert (fields["paused"], re.split("  +", rows[1])[2]) == ("-", "recording")
