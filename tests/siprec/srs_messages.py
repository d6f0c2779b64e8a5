"""Messages of an SRS to a stream that records."""

from siprec.inbox import SrsReplied, SrsRequested
from siprec.model import StreamState
from tests.siprec.streams import STREAM_SID, answer_sdp, stream_in

CALL_ID = f"{STREAM_SID}-1-1"
SDP = "application/sdp"
RECORDING = stream_in(StreamState.RECORDING)
LEG = RECORDING.legs[0]

REPLY = SrsReplied(
    call_id=CALL_ID,
    method="INVITE",
    cseq=1,
    status=200,
    reason="OK",
    from_tag="ours",
    to_tag="theirs",
    contact='"SRS" <sip:srs@192.0.2.9:5080;transport=tcp>;+sip.srs',
    routes=("<sip:near;lr>", "<sip:far;lr>"),
    content_type=SDP,
    body=answer_sdp(4000),
)
REQUEST = SrsRequested(
    node="n",
    boot="b",
    index=1,
    label=2,
    method="OPTIONS",
    call_id=CALL_ID,
    from_tag=LEG.to_tag,
    to_tag=LEG.from_tag,
    cseq=7,
)
