"""Streams in every state, each reached by the events that lead there."""

from collections.abc import Sequence

from siprec import events as e
from siprec.model import Stream, StreamOrder, StreamState
from siprec.sdp import compose_offer
from siprec.sids import make_call_sid, make_stream_sid
from siprec.step import begin, step
from siprec.transitions import Outcome
from tests.siprec.fork_sdp import LABELS, WANTED, fork

NOW_MS = 1_700_000_000_000
CALL_SID = make_call_sid(0x2A, "0123456789abcdef012345")
STREAM_SID = make_stream_sid(CALL_SID, 1)
ACCOUNT_SID = "AC" + "0" * 32
SRS_URI = "sip:srs@recorder.example:5080"
REDIRECTED_URI = "sip:other@recorder.example"

OFFER = compose_offer(fork(), WANTED, LABELS, 1, 1)


def answer_sdp(*ports: int, payload_type: int = 8) -> str:
    """Write the SDP of an SRS that takes one m-line for each port."""
    blocks = (
        f"m=audio {port} RTP/AVP {payload_type}\r\nc=IN IP4 192.0.2.9\r\na=recvonly\r\n"
        for port in ports
    )
    return "v=0\r\no=srs 1 1 IN IP4 192.0.2.9\r\ns=-\r\nt=0 0\r\n" + "".join(blocks)


def answered(attempt: int = 1, *, sdp: str | None = answer_sdp(4000, 4002)) -> e.SrsAnswered:
    """Give a 2xx to the INVITE of an attempt."""
    return e.SrsAnswered(
        attempt=attempt,
        from_tag=f"{STREAM_SID[2:]}{attempt}",
        to_tag=f"srs{attempt}",
        cseq=1,
        remote_target="sip:192.0.2.9:5080",
        route_set=("<sip:192.0.2.1;lr>",),
        sdp=sdp,
    )


def refused(status: int, *, attempt: int = 1, contact: str | None = None) -> e.SrsRefused:
    """Give a final reply ≥ 300 to the INVITE of an attempt."""
    return e.SrsRefused(attempt=attempt, status=status, reason="No", contact=contact)


FORK_OFFERED = e.ForkOffered(offer=OFFER)

# Events that lead from a stream just begun to the state.
PATHS: dict[StreamState, tuple[e.Event, ...]] = {
    StreamState.FORKING: (),
    StreamState.INVITING: (FORK_OFFERED,),
    StreamState.CONNECTING: (FORK_OFFERED, answered()),
    StreamState.RECORDING: (FORK_OFFERED, answered(), e.ForkAnswered()),
    StreamState.CANCELLING: (FORK_OFFERED, e.Stopped()),
    StreamState.STOPPING: (FORK_OFFERED, answered(), e.ForkAnswered(), e.Stopped()),
    StreamState.STOPPED: (e.Stopped(), e.ForkReleased()),
    StreamState.FAILED: (FORK_OFFERED, refused(486), e.ForkReleased()),
}


def begun(order: StreamOrder | None = None) -> Outcome:
    """Begin a stream."""
    return begin(
        sid=STREAM_SID,
        call_sid=CALL_SID,
        account_sid=ACCOUNT_SID,
        order=order or StreamOrder(),
        srs_uri=SRS_URI,
        now_ms=NOW_MS,
    )


def follow(stream: Stream, events: Sequence[e.Event], now_ms: int = NOW_MS) -> Outcome:
    """Apply events one after the other; the commands are those of the last one."""
    outcome = Outcome(stream)
    for event in events:
        outcome = step(outcome.stream, event, now_ms)
    return outcome


def stream_in(state: StreamState) -> Stream:
    """Give a stream in that state."""
    stream = follow(begun().stream, PATHS[state]).stream
    if stream.state is not state:
        raise AssertionError(f"the path to {state} leads to {stream.state}")
    return stream
