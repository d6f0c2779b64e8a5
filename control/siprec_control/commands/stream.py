"""`siprec stream`: recordings of calls, looked at, started and stopped."""

import argparse
import re
from collections.abc import Iterable
from typing import Any

from siprec.model import CallbackMethod, Leg, Side, Stream, StreamOrder, StreamState, Track
from siprec.orders import check_order
from siprec.record import to_plain
from siprec.step import RUNNING
from siprec.store import Store
from siprec_control import output
from siprec_control.commands.nouns import Noun, Nouns, open_store
from siprec_control.commands.waiting import wait_for_pause, wait_for_recording, wait_for_stop
from siprec_control.errors import Refused

STREAM_TITLES = ("STREAM", "NAME", "CONNECTOR", "TRACK", "STATE", "CREATED", "RECORDED")
LEG_TITLES = ("LEG", "SRS", "STATE", "RECORDED", "ERROR")

_SID = re.compile(r"SR[0-9a-f]{32}")
_SDP_FIELDS = ("offer", "answer")


def add(nouns: Nouns, common: argparse.ArgumentParser) -> None:
    """Declare `siprec stream list|show|start|pause|resume|stop`."""
    noun = Noun(nouns, common, "stream", "look at, start, pause and stop recordings")
    verb = noun.verb("list", list_streams, "list the streams of a call, or of all calls")
    verb.add_argument("call", metavar="CALL", nargs="?", help="CA…")
    verb = noun.verb("show", show_stream, "show a stream and what happened to it")
    _add_which(verb)
    _add_start(noun.verb("start", start_stream, "start a stream on a live call"))
    for name, summary, until in (
        ("pause", "let nothing of a stream reach its recorders for a while", "so"),
        ("resume", "let a paused stream go on, when its recorders agree", "so"),
    ):
        verb = noun.verb(name, pause_stream, summary)
        _add_which(verb)
        verb.add_argument(
            "--track",
            metavar="T",
            default=Track.BOTH.value,
            help=f"whose voice: {', '.join(Track)} (default)",
        )
        _add_wait(verb, until)
        verb.set_defaults(is_resumed=name == "resume")
    verb = noun.verb("stop", stop_stream, "stop a stream")
    _add_which(verb)
    _add_wait(verb, "stopped")


def _add_which(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("stream", metavar="STREAM", help="SR…, or its name")
    verb.add_argument("--call", metavar="CALL", help="the call in which the name is looked up")


def _add_start(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("call", metavar="CALL", help="CA…")
    verb.add_argument("--connector", metavar="NAME", default="Default", help="default: Default")
    verb.add_argument("--name", metavar="N", default="", help="unique among the call's streams")
    verb.add_argument("--track", metavar="T", default=Track.BOTH.value, help=", ".join(Track))
    verb.add_argument(
        "--parameter",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=_parameter,
        help="custom parameter for the recorder; may stand more than once",
    )
    verb.add_argument("--status-callback", metavar="URL")
    verb.add_argument(
        "--status-callback-method",
        choices=[method.value for method in CallbackMethod],
        default=CallbackMethod.POST.value,
    )
    _add_wait(verb, "recording")


def _add_wait(verb: argparse.ArgumentParser, until: str) -> None:
    verb.add_argument("--wait", action="store_true", help=f"return when it is {until}")
    verb.add_argument(
        "--timeout", metavar="S", type=_seconds, default=15.0, help="wait at most S s (15)"
    )


def list_streams(arguments: argparse.Namespace) -> int:
    """List streams, newest first."""
    with open_store(arguments) as (store, _):
        streams = store.streams(arguments.call)
    if arguments.json:
        output.print_json([plain_stream(stream) for stream in streams])
    else:
        output.print_table(STREAM_TITLES, map(stream_row, streams), none="no streams")
    return 0


def show_stream(arguments: argparse.Namespace) -> int:
    """Show one stream with its history as a timeline."""
    with open_store(arguments) as (store, _):
        sid = _find(store, arguments.stream, arguments.call, live_only=False)
        stream = store.stream(sid)
    if stream is None:
        raise Refused(f"STREAM: no stream {sid}")
    _print_stream(stream, as_json=arguments.json)
    return 0


def start_stream(arguments: argparse.Namespace) -> int:
    """Start a stream on a live call; with --wait until it records."""
    order = _order(arguments)
    check_order(order)
    with open_store(arguments) as (store, _):
        verdict = store.orders.start(arguments.call, order)
        if not verdict.accepted or verdict.stream_sid is None:
            raise Refused(_refusal("stream was refused", verdict.code, verdict.text))
        sid = verdict.stream_sid
        if arguments.wait:
            wait_for_recording(store, sid, arguments.timeout)
        stream = store.stream(sid)
    _print_outcome(arguments, sid, stream, "is recording" if arguments.wait else "accepted")
    return 0


def pause_stream(arguments: argparse.Namespace) -> int:
    """Pause or resume a stream or one voice of it; with --wait until it is so."""
    track, is_resumed = _track(arguments.track), arguments.is_resumed
    with open_store(arguments) as (store, _):
        sid = _find(store, arguments.stream, arguments.call, live_only=True)
        verdict = store.orders.pause(sid, track, is_resumed=is_resumed)
        if not verdict.accepted:
            verb = "resumed" if is_resumed else "paused"
            raise Refused(_refusal(f"stream {sid} was not {verb}", verdict.code, verdict.text))
        if arguments.wait:
            wait_for_pause(store, sid, track, arguments.timeout, is_resumed=is_resumed)
        stream = store.stream(sid)
    done = "is recording" if is_resumed else "is paused"
    _print_outcome(arguments, sid, stream, done if arguments.wait else verdict.text)
    return 0


def stop_stream(arguments: argparse.Namespace) -> int:
    """Stop a stream by sid or name; with --wait until it has stopped."""
    with open_store(arguments) as (store, _):
        sid = _find(store, arguments.stream, arguments.call, live_only=True)
        verdict = store.orders.stop(sid)
        if not verdict.accepted:
            raise Refused(_refusal(f"stream {sid} was not stopped", verdict.code, verdict.text))
        if arguments.wait:
            wait_for_stop(store, sid, arguments.timeout)
        stream = store.stream(sid)
    _print_outcome(arguments, sid, stream, "stopped" if arguments.wait else "is stopping")
    return 0


def plain_stream(stream: Stream) -> dict[str, Any]:
    """Give a stream as plain values, without SDP: it may hold keys."""
    plain = to_plain(stream)
    for leg in plain["legs"]:
        for field in _SDP_FIELDS:
            leg.pop(field, None)
    return plain


def stream_row(stream: Stream) -> tuple[str, ...]:
    """Give a stream as a row below STREAM_TITLES."""
    return (
        stream.sid,
        stream.order.name,
        stream.order.connector_name,
        stream.order.track.value,
        stream.state.value,
        output.local_time(stream.created_ms),
        _recorded(stream),
    )


def _recorded(stream: Stream) -> str:
    """Give how long the stream recorded: without gaps, and without the wait for replies."""
    if stream.recording_ms is None or stream.state in RUNNING:
        return output.duration(None, None)
    ends_ms = [leg.heard_ms for leg in stream.legs if leg.heard_ms is not None]
    return output.duration(stream.recording_ms + stream.gap_ms, max(ends_ms, default=None))


def _legs(stream: Stream) -> list[tuple[str, ...]]:
    return [
        (
            str(leg.number),
            leg.srs,
            _leg_state(leg),
            output.duration(leg.recording_ms, None if leg.state in RUNNING else leg.heard_ms),
            "" if leg.error_code is None else f"{leg.error_code} {leg.error_text or ''}",
        )
        for leg in stream.legs
    ]


def _leg_state(leg: Leg) -> str:
    """Give the state of a leg, and whose voice its SRS does not get."""
    without = [side.value for side in Side if side.label in leg.gated]
    if leg.state is not StreamState.RECORDING or not without:
        return leg.state.value
    return f"{leg.state.value} without {', '.join(without)}"


def _print_stream(stream: Stream, *, as_json: bool) -> None:
    if as_json:
        output.print_json(plain_stream(stream))
        return
    error = "" if stream.error_code is None else f"{stream.error_code} {stream.error_text or ''}"
    output.print_fields(
        [
            ("stream", stream.sid),
            ("call", stream.call_sid),
            ("name", stream.order.name),
            ("connector", stream.order.connector_name),
            ("track", stream.order.track.value),
            ("parameters", ", ".join(name for name, _ in stream.order.parameters)),
            ("state", stream.state.value),
            ("paused", ", ".join(stream.paused)),
            ("error", error),
            ("recorded", _recorded(stream)),
            ("gaps", f"{stream.gap_ms / 1000:.1f} s" if stream.gap_ms else ""),
        ]
    )
    print()
    output.print_table(LEG_TITLES, _legs(stream), none="no SRS took it")
    print()
    rows = [
        (
            output.local_time(moment.at_ms, exact=True),
            f"+{moment.at_ms - stream.created_ms} ms",
            str(moment.leg or ""),
            moment.state.value,
            moment.event,
            moment.detail,
        )
        for moment in stream.history
    ]
    titles = ("TIME", "AFTER", "LEG", "STATE", "EVENT", "DETAIL")
    output.print_table(titles, rows, none="nothing has happened yet")


def _print_outcome(
    arguments: argparse.Namespace, sid: str, stream: Stream | None, outcome: str
) -> None:
    if arguments.json:
        output.print_json({"sid": sid} if stream is None else plain_stream(stream))
    else:
        print(f"stream {sid} {outcome}")


def _track(text: str) -> Track:
    try:
        return Track(text)
    except ValueError:
        tracks = ", ".join(Track)
        raise Refused(f"--track: {text!r} is none of {tracks}") from None


def _order(arguments: argparse.Namespace) -> StreamOrder:
    return StreamOrder(
        name=arguments.name,
        connector_name=arguments.connector,
        track=_track(arguments.track),
        status_callback=arguments.status_callback,
        status_callback_method=CallbackMethod(arguments.status_callback_method),
        parameters=tuple(arguments.parameter),
    )


def _find(store: Store, named: str, call_sid: str | None, *, live_only: bool) -> str:
    if _SID.fullmatch(named):
        return named
    streams = store.streams(call_sid, live_only=live_only)
    found = [stream for stream in streams if stream.order.name == named]
    if not found:
        live = "live stream" if live_only else "stream"
        where = f"of call {call_sid}" if call_sid else "of any call"
        raise Refused(f"STREAM: no {live} {where} is named {named!r}")
    # A name is free again after its stream has ended: a live one is meant, else the newest.
    live_ones = [stream for stream in found if not stream.state.is_final]
    calls = {stream.call_sid for stream in live_ones}
    if len(calls) > 1:
        raise Refused(f"STREAM: several calls have {named!r}; add --call: {_listed(calls)}")
    return (live_ones or found)[0].sid


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:10]) + (", …" if len(ordered) > 10 else "")


def _refusal(what: str, code: int | None, text: str) -> str:
    return f"{what}: {text}" if code is None else f"{what}: {code} {text}"


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds
