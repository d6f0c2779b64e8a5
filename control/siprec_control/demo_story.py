"""What happened in the demo, told in time: from the store's history and the recorder's events."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from siprec.model import Call, Stream, StreamState, Track
from siprec_control.demo_voices import CALLEE, CALLER

_S = StreamState

_WHOSE = {
    Track.INBOUND: f"{CALLER.name}'s voice",
    Track.OUTBOUND: f"{CALLEE.name}'s voice",
    Track.BOTH: "both voices",
}
_TOLD = {
    _S.FORKING: "is ordered: rtpengine is asked for a copy of {whose}",
    _S.INVITING: "Kamailio invites the recorder (SIP INVITE: where, what, who is who)",
    _S.CONNECTING: "the recorder has agreed: rtpengine is told where to send the copy",
    _S.RECORDING: "IS RECORDING {whose}",
    _S.PAUSED: "is paused: nothing reaches the recorder",
    _S.CANCELLING: "is stopped before the recorder answered (SIP CANCEL)",
    _S.STOPPING: "ends: the copy is cut off, the recorder is told (SIP BYE)",
    _S.STOPPED: "IS OVER",
    _S.FAILED: "FAILED: {error}",
}
_TOLD_SECURE = _TOLD | {
    _S.INVITING: "the certificate is good: Kamailio invites the recorder over TLS, with keys",
    _S.CONNECTING: "the recorder has agreed: rtpengine is told where to send the copy as SRTP",
}


class Line(NamedTuple):
    """Something that happened, when, and to whom."""

    at_ms: int
    who: str
    what: str


def tell(call: Call, streams: Sequence[Stream], events: Path) -> list[str]:
    """Give the timeline as lines of text; times are seconds since the caller dialled.

    `events` is the file with the recorder's JSON lines.
    """
    names = {leg.call_id: s.order.name for s in streams for leg in s.legs}
    lines = [*_of_call(call), *_of_recorder(read_events(events), names)]
    for stream in streams:
        lines += _of_stream(stream)
    lines.sort(key=lambda line: line.at_ms)
    width = max(len(line.who) for line in lines)
    return [
        f"{(line.at_ms - call.started_ms) / 1000:8.3f} s  {line.who:<{width}}  {line.what}"
        for line in lines
    ]


def read_events(path: Path) -> list[dict[str, object]]:
    """Read the recorder's events; its `ready` line and half a line at the end are not some."""
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]


def to_ms(iso: object) -> int:
    """Turn an ISO 8601 time into milliseconds since the epoch."""
    return round(datetime.fromisoformat(str(iso)).timestamp() * 1000)


def _of_call(call: Call) -> Iterator[Line]:
    yield Line(call.started_ms, "call", f"{CALLER.name} dials {call.number}; the phone rings")
    if call.answered_ms is not None:
        yield Line(call.answered_ms, "call", f"{CALLEE.name} answers: the two talk")
    if call.ended_ms is not None:
        ended = (
            f"{CALLER.name} hangs up" if call.end_reason == "bye" else f"ends: {call.end_reason}"
        )
        yield Line(call.ended_ms, "call", ended)


def _of_stream(stream: Stream) -> Iterator[Line]:
    who = f"stream {stream.order.name}"
    whose = _WHOSE[stream.order.track]
    is_secure = any("secure=true" in leg.srs for leg in stream.legs)
    texts = _TOLD_SECURE if is_secure else _TOLD
    told: set[StreamState] = set()
    for moment in stream.history:
        if moment.state not in told:
            told.add(moment.state)
            what = texts[moment.state].format(whose=whose, error=stream.error_text)
            yield Line(moment.at_ms, who, what)


def _of_recorder(events: Iterable[dict[str, object]], names: dict[str, str]) -> Iterator[Line]:
    for event in events:
        name = names.get(str(event["call_id"]))
        if name is not None and event["event"] == "first-media":
            what = f"hears the first packet of {name}"
            yield Line(to_ms(event["first_packet"]), "recorder", what)
        elif name is not None and event["event"] == "ended":
            yield Line(to_ms(event["at"]), "recorder", f"has closed the files of {name}")
