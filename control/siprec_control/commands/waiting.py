"""`--wait`: until a stream is where its order wanted it."""

import time
from collections.abc import Callable

from siprec.model import Leg, Stream, StreamState, Track
from siprec.store import Store
from siprec_control.errors import Refused

_POLL_S = 0.05


def wait_for_recording(store: Store, sid: str, timeout_s: float) -> None:
    """Wait until the stream records.

    Raises:
        Refused: it failed, ended before, or takes longer.
    """
    stream = _wait(store, sid, timeout_s, lambda stream: stream.state is StreamState.RECORDING)
    if stream.state is not StreamState.RECORDING:
        raise Refused(_ending(stream, "before it recorded"))


def wait_for_stop(store: Store, sid: str, timeout_s: float) -> None:
    """Wait until the stream has stopped.

    Raises:
        Refused: it failed, or takes longer.
    """
    stream = _wait(store, sid, timeout_s, lambda stream: stream.state is StreamState.STOPPED)
    if stream.state is not StreamState.STOPPED:
        raise Refused(_ending(stream, ""))


def wait_for_pause(
    store: Store, sid: str, track: Track, timeout_s: float, *, is_resumed: bool
) -> None:
    """Wait until rtpengine has cut off the sides of the track, or sends them again to all SRSs.

    Raises:
        Refused: the stream ended before, an SRS did not agree to go on, or it takes longer.
    """

    def is_so(stream: Stream) -> bool:
        labels = {side.label for side in track.sides if side in stream.order.track.sides}
        legs = _recording(stream)
        if not legs or any(leg.is_gating for leg in legs):
            return False
        gated = [labels & set(leg.gated) for leg in legs]
        return not any(gated) if is_resumed else all(each == labels for each in gated)

    def is_over(stream: Stream) -> bool:
        return is_so(stream) or (is_resumed and _is_refused(stream))

    stream = _wait(store, sid, timeout_s, is_over)
    if stream.state.is_final:
        raise Refused(_ending(stream, "before that"))
    if not is_so(stream):
        raise Refused(f"stream {sid} was not resumed: the SRS did not agree (siprec alert list)")


def _is_refused(stream: Stream) -> bool:
    """Tell whether nothing is on its way any more, and an SRS did not agree to what it was told."""
    legs = _recording(stream)
    is_settled = not any(leg.is_gating or leg.asked or leg.retry_ms for leg in legs)
    return is_settled and any(leg.refused is not None for leg in legs)


def _recording(stream: Stream) -> list[Leg]:
    return [leg for leg in stream.legs if leg.state is StreamState.RECORDING]


def _wait(store: Store, sid: str, timeout_s: float, is_so: Callable[[Stream], bool]) -> Stream:
    deadline_s = time.monotonic() + timeout_s
    while True:
        stream = store.stream(sid)
        if stream is not None and (is_so(stream) or stream.state.is_final):
            return stream
        if time.monotonic() >= deadline_s:
            state = stream.state.value if stream else "not known yet"
            raise Refused(f"--timeout: stream {sid} is {state} after {timeout_s:g} s")
        time.sleep(_POLL_S)


def _ending(stream: Stream, when: str) -> str:
    text = f"stream {stream.sid} {stream.state.value} {when}".rstrip()
    if stream.error_code is None:
        return text
    return f"{text}: {stream.error_code} {stream.error_text or ''}".rstrip()
