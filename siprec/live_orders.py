"""What becomes of an order about a stream that is there: to stop, to pause, to resume it. Pure."""

from dataclasses import replace

from siprec import events as e
from siprec.changes import CallFile
from siprec.inbox import PauseOrdered, StopOrdered
from siprec.model import Stream
from siprec.verdict import Verdict

NO_SUCH_STREAM = 31952


def with_sid(
    entry: StopOrdered | PauseOrdered, file: CallFile | None
) -> StopOrdered | PauseOrdered:
    """Give an order by name the sid of its stream, the running one rather than any other.

    `file` is the call that the order names, None when it is not here. The order stays as it is
    when it has a sid, and when nothing has that name.
    """
    if entry.stream_sid or file is None:
        return entry
    for streams in (file.running, reversed(file.streams.values())):
        for stream in streams:
            if stream.order.name == entry.name:
                return replace(entry, stream_sid=stream.sid)
    return entry


def judge(
    stream: Stream | None, entry: StopOrdered | PauseOrdered
) -> tuple[Verdict, e.Event | None]:
    """Say what is answered to an order about a stream (None: none here), and what happens to it.

    One may be stopped as often as one likes; what is not in a stream can be paused all the same,
    and changes nothing.
    """
    if stream is None:
        who = entry.stream_sid or f"{entry.name!r} of {entry.call_sid}"
        text = f"no stream {who} on a live call"
        return Verdict(accepted=False, code=NO_SUCH_STREAM, text=text), None
    if isinstance(entry, StopOrdered):
        return Verdict(accepted=True, text="stopping", stream_sid=stream.sid), e.Stopped()
    if stream.is_stopped or stream.error_code is not None:
        text = f"stream {stream.sid} is {stream.state.value}"
        return Verdict(accepted=False, code=NO_SUCH_STREAM, text=text), None
    sides = entry.track.sides
    if entry.is_resumed:
        verdict = Verdict(accepted=True, text="is resuming", stream_sid=stream.sid)
        return verdict, e.Resumed(sides=sides)
    return Verdict(accepted=True, text="is pausing", stream_sid=stream.sid), e.Paused(sides=sides)
