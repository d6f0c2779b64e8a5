"""What may happen to a leg or a stream: of each kind of event all that it may carry."""

from dataclasses import replace

from hypothesis import strategies as st

from siprec import events as e
from siprec.leg_end import FLOW_FAILED
from siprec.model import Picture, Side
from tests.siprec.streams import (
    ANSWER_SDP,
    CALL_KEY_OFFERED,
    FORK_OFFERED,
    NOW_MS,
    VIDEO_OFFERED,
    answer_sdp,
    answered,
    refused,
)

SAMPLES: dict[type[e.LegEvent], tuple[e.LegEvent, ...]] = {
    e.ForkOffered: (FORK_OFFERED, CALL_KEY_OFFERED, VIDEO_OFFERED),
    e.ForkRefused: (e.ForkRefused(text="a"), e.ForkRefused(text="a", retryable=True)),
    e.ForkAnswered: (e.ForkAnswered(),),
    e.ForkAnswerRefused: (e.ForkAnswerRefused(text="a"),),
    e.ForkReleased: (e.ForkReleased(),),
    e.ForkLost: (e.ForkLost(),),
    e.SrsAnswered: (
        *(answered(), answered(2), answered(sdp=None), answered(sdp="garbage")),
        *(replace(answered(sdp=sdp), cseq=2) for sdp in (ANSWER_SDP, None, "garbage")),
    ),
    e.SrsRefused: (
        *(refused(486), refused(302, contact="sip:b"), refused(400), refused(FLOW_FAILED)),
        *(refused(401, attempt=attempt, cseq=cseq) for attempt in (1, 2) for cseq in (1, 2)),
        *(refused(status, cseq=2) for status in (408, FLOW_FAILED, 481, 488, 491)),
    ),
    e.SrsUnreachable: tuple(e.SrsUnreachable(attempt=n, text="a") for n in (1, 2)),
    e.SrsRefreshed: tuple(e.SrsRefreshed(interval_s=90, is_ours=ours) for ours in (True, False)),
    e.SnapshotRequested: (e.SnapshotRequested(),),
    e.Pictured: tuple(
        e.Pictured(picture=picture)
        for picture in (
            *(Picture(quiet=("1",)), Picture(revision=1, formers=1)),
            Picture(has_video=True),
        )
    ),
    e.SrsReanswered: tuple(e.SrsReanswered(sdp=sdp) for sdp in (answer_sdp(1, 2), "garbage")),
    e.OfferGiven: (e.OfferGiven(),),
    e.SrsHungUp: (e.SrsHungUp(), e.SrsHungUp(reason="SIP;cause=503", is_error=True)),
    e.SrsByeAnswered: (
        *(e.SrsByeAnswered(attempt=n, status=200) for n in (1, 2)),
        *(e.SrsByeAnswered(attempt=1, status=status) for status in (401, FLOW_FAILED, 481)),
    ),
    e.SrsOptionsAnswered: tuple(e.SrsOptionsAnswered(attempt=1, status=s) for s in (200, 481)),
    e.SrsDied: (e.SrsDied(text="a", since_ms=NOW_MS),),
    e.Stopped: (e.Stopped(),),
    e.Paused: (e.Paused(sides=(Side.CALLER, Side.CALLEE)), e.Paused(sides=(Side.CALLEE,))),
    e.Resumed: (e.Resumed(sides=(Side.CALLER, Side.CALLEE)), e.Resumed(sides=(Side.CALLER,))),
    e.CallOver: (e.CallOver(reason="bye"),),
    e.CallReoffered: (e.CallReoffered(),),
    e.DeadlinePassed: (e.DeadlinePassed(),),
    e.OwnerChanged: (e.OwnerChanged(),),
}
ALL = tuple(event for events in SAMPLES.values() for event in events)
ANY_LEG_EVENT = st.sampled_from(ALL)
ANY_EVENT = st.sampled_from([event for event in ALL if isinstance(event, e.Event)]) | st.builds(
    e.LegHappened,
    leg=st.integers(1, 4),
    # A deadline is the stream's, which knows whose it is.
    event=st.sampled_from([event for event in ALL if not isinstance(event, e.DeadlinePassed)]),
)
