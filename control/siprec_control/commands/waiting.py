"""`--wait`: until a stream is where its order wanted it."""

import time

from siprec.model import Stream, StreamState
from siprec.store import Store
from siprec_control.errors import Refused

_POLL_S = 0.05


def wait_for_recording(store: Store, sid: str, timeout_s: float) -> None:
    """Wait until the stream records.

    Raises:
        Refused: it failed, ended before, or takes longer.
    """
    stream = _wait(store, sid, timeout_s, StreamState.RECORDING)
    if stream.state is not StreamState.RECORDING:
        raise Refused(_ending(stream, "before it recorded"))


def wait_for_stop(store: Store, sid: str, timeout_s: float) -> None:
    """Wait until the stream has stopped.

    Raises:
        Refused: it failed, or takes longer.
    """
    stream = _wait(store, sid, timeout_s, StreamState.STOPPED)
    if stream.state is not StreamState.STOPPED:
        raise Refused(_ending(stream, ""))


def _wait(store: Store, sid: str, timeout_s: float, wanted: StreamState) -> Stream:
    deadline_s = time.monotonic() + timeout_s
    while True:
        stream = store.stream(sid)
        if stream is not None and (stream.state is wanted or stream.state.is_final):
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
