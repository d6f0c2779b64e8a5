"""What the parties of a call are told of its recording, and what they wish (RFC 7866 §7).

`a=record` says how it is, `a=recordpref` what an endpoint would like. Whoever understands the
first says `Supported: record-aware`.
"""

import re
from collections.abc import Iterable
from enum import StrEnum

from siprec.inbox import PauseOrdered, StopOrdered
from siprec.model import Side, Stream, StreamState

AWARE = "record-aware"

_RECORD = re.compile(r"^a=record:[ \t]*(\S*)[^\n]*(?:\n|\Z)", re.MULTILINE)
_FIRST_MEDIA = re.compile(r"^m=", re.MULTILINE)
_WISH = re.compile(r"a=recordpref:[ \t]*([a-z]+)[ \t]*\r?\Z")
_RUNNING = (
    StreamState.FORKING,
    StreamState.INVITING,
    StreamState.CONNECTING,
    StreamState.RECORDING,
    StreamState.PAUSED,
)


class Indication(StrEnum):
    """What `a=record` says, the strongest first."""

    ON = "on"
    PAUSED = "paused"
    OFF = "off"


class Preference(StrEnum):
    """What `a=recordpref` asks for, that which spares a party most first."""

    OFF = "off"
    PAUSE = "pause"
    ON = "on"
    NONE = "nopreference"


WISHED = {
    Preference.OFF: Indication.OFF,
    Preference.PAUSE: Indication.PAUSED,
    Preference.ON: Indication.ON,
}
"""What is to be said when a preference has been honoured."""


def is_aware(supported: Iterable[str]) -> bool:
    """Tell whether the values of Supported headers hold the option tag `record-aware`."""
    tags = (tag.strip().lower() for value in supported for tag in value.split(","))
    return AWARE in tags


def marked(sdp: str, indication: Indication) -> str:
    """Give the SDP with one `a=record`, for the session, in place of those that it has.

    Another SRC on the path may have written one: who says that it records is not gainsaid
    (RFC 7866 §7.3.1). All else stays as it is, byte for byte.
    """
    found = {match[1].lower() for match in _RECORD.finditer(sdp)}
    strongest = next(each for each in Indication if each is indication or each.value in found)
    bare = _RECORD.sub("", sdp)
    end = "\r\n" if "\r\n" in sdp else "\n"
    media = _FIRST_MEDIA.search(bare)
    head, rest = (bare, "") if media is None else (bare[: media.start()], bare[media.start() :])
    if head and not head.endswith("\n"):
        head += end
    return f"{head}a=record:{strongest}{end}{rest}"


def preference_in(sdp: str) -> Preference | None:
    """Read what an SDP wishes for the audio; None when it has no `a=recordpref`.

    That of an m-line counts before that of the session; of several audio lines the one that
    spares the party most.
    """
    session: str | None = None
    audio: list[str | None] = []
    is_head, is_audio = True, False
    for line in sdp.split("\n"):
        if line.startswith("m="):
            is_head, is_audio = False, line.startswith("m=audio")
            audio += [None] if is_audio else []
        elif match := _WISH.match(line):
            if is_head:
                session = match[1]
            elif is_audio:
                audio[-1] = match[1]
    stated = {own or session for own in audio} or {session}
    return next((each for each in Preference if each.value in stated), None)


def strongest(*preferences: Preference | None) -> Preference | None:
    """Give that of several preferences which spares the parties most."""
    return next((each for each in Preference if each in preferences), None)


def is_running(stream: Stream) -> bool:
    """Tell whether a stream records, is about to, or is paused."""
    return stream.state in _RUNNING and not stream.is_stopped


def is_paused(stream: Stream) -> bool:
    """Tell whether nobody is heard by the stream's recorders, because somebody paused it."""
    return all(side in stream.paused for side in stream.order.track.sides)


def indication_of(streams: Iterable[Stream]) -> Indication:
    """Give what is to be said of a call with these streams."""
    running = [stream for stream in streams if is_running(stream)]
    if not running:
        return Indication.OFF
    return Indication.PAUSED if all(map(is_paused, running)) else Indication.ON


def orders_of(
    preference: Preference, streams: Iterable[Stream]
) -> tuple[StopOrdered | PauseOrdered, ...]:
    """Give the orders that honour a preference: none for streams where it is so already."""
    running = [stream for stream in streams if is_running(stream)]
    match preference:
        case Preference.OFF:
            return tuple(order(preference, stream.sid) for stream in running)
        case Preference.PAUSE:
            return tuple(order(preference, s.sid) for s in running if not is_paused(s))
        case Preference.ON:
            return tuple(order(preference, s.sid) for s in running if _has_paused(s))
        case _:
            return ()


def order(preference: Preference, stream_sid: str) -> StopOrdered | PauseOrdered:
    """Give the order that honours a preference, other than for nothing, for one stream.

    Nobody waits for the verdict.
    """
    request_id = f"recordpref-{stream_sid}"
    if preference is Preference.OFF:
        return StopOrdered(request_id=request_id, stream_sid=stream_sid)
    is_resumed = preference is not Preference.PAUSE
    return PauseOrdered(request_id=request_id, stream_sid=stream_sid, is_resumed=is_resumed)


def _has_paused(stream: Stream) -> bool:
    sides: tuple[Side, ...] = stream.order.track.sides
    return any(side in stream.paused for side in sides)


def is_heard(streams: Iterable[Stream]) -> bool:
    """Tell whether a recorder hears the call just now."""
    return any(s.state is StreamState.RECORDING and not is_paused(s) for s in streams)
