"""Streams and legs in every state, each reached by the events that lead there."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from siprec import events as e
from siprec.leg_end import At, LegOutcome
from siprec.model import Leg, Plan, Stream, StreamOrder, StreamState
from siprec.sdp import Offer, compose_offer
from siprec.sdp.session import parse
from siprec.sids import make_call_sid, make_stream_sid
from siprec.step import Outcome, begin, step
from siprec.transitions import TABLE
from tests.siprec.fork_sdp import LABELS, SEEN, SEEN_LABELS, SEEN_WANTED, WANTED, fork

NOW_MS = 1_700_000_000_000
LATER_MS = NOW_MS + 60_000
CALL_SID = make_call_sid(0x2A, "0123456789abcdef012345")
STREAM_SID = make_stream_sid(CALL_SID, 1)
ACCOUNT_SID = "AC" + "0" * 32
SRS_URI = "sip:srs@recorder.example:5080"
REDIRECTED_URI = "sip:other@recorder.example"
PLAN = Plan(srs=(SRS_URI,))

OFFER = compose_offer(fork(), WANTED, LABELS, 1, 1)
VIDEO_OFFER = compose_offer(fork(*SEEN), WANTED, SEEN_LABELS, 1, 1, video=SEEN_WANTED)


def answer_sdp(
    *ports: int,
    payload_type: int = 8,
    directions: Sequence[str] = (),
    kinds: Sequence[str] = (),
) -> str:
    """Write the SDP of an SRS that has one m-line for each port; it takes all, or as said."""
    directions = directions or ["recvonly"] * len(ports)
    kinds = kinds or ["audio"] * len(ports)
    types = {"audio": payload_type, "video": 96}
    blocks = (
        f"m={kind} {port} RTP/AVP {types[kind]}\r\nc=IN IP4 192.0.2.9\r\na={direction}\r\n"
        for kind, port, direction in zip(kinds, ports, directions, strict=True)
    )
    return "v=0\r\no=srs 1 1 IN IP4 192.0.2.9\r\ns=-\r\nt=0 0\r\n" + "".join(blocks)


def answer_to(offer: Offer, *, first_port: int = 4000, refused: str = "") -> str:
    """Answer an offer m-line by m-line: take what is sent, and nothing else.

    `refused` is a kind of media that has port 0.
    """
    taken = {"sendonly": "recvonly", "inactive": "inactive"}
    offered = parse(offer.sdp).media
    kinds = [media.kind for media in offered]
    ports = [0 if k == refused else first_port + 2 * n for n, k in enumerate(kinds)]
    directions = [taken[media.direction] for media in offered]
    return answer_sdp(*ports, directions=directions, kinds=kinds)


ANSWER_SDP = answer_sdp(4000, 4002)
CHALLENGE = 'WWW-Authenticate: Digest realm="srs", nonce="n"'


def answered(
    attempt: int = 1,
    *,
    leg: int = 1,
    sdp: str | None = ANSWER_SDP,
    to_tag: str = "",
) -> e.SrsAnswered:
    """Give a 2xx to the INVITE of an attempt."""
    return e.SrsAnswered(
        attempt=attempt,
        from_tag=f"{STREAM_SID[2:]}-{leg}-{attempt}",
        to_tag=to_tag or f"srs{attempt}",
        cseq=1,
        remote_target="sip:192.0.2.9:5080",
        route_set=("<sip:192.0.2.1;lr>",),
        sdp=sdp,
    )


def refused(
    status: int, *, attempt: int = 1, contact: str | None = None, cseq: int = 0
) -> e.SrsRefused:
    """Give a final reply ≥ 300 to the INVITE of an attempt; with a CSeq, that of a challenge."""
    challenge = e.Challenge(lines=(CHALLENGE,), cseq=cseq) if cseq else e.Challenge()
    return e.SrsRefused(
        attempt=attempt, status=status, reason="No", contact=contact, challenge=challenge
    )


FORK_OFFERED = e.ForkOffered(offer=OFFER)
VIDEO_OFFERED = e.ForkOffered(offer=VIDEO_OFFER)
CALL_KEY_OFFERED = e.ForkOffered(
    offer=replace(OFFER, media=tuple(replace(each, has_call_key=True) for each in OFFER.media))
)

# Events that lead from a leg just begun to the state.
PATHS: dict[StreamState, tuple[e.LegEvent, ...]] = {
    StreamState.FORKING: (),
    StreamState.INVITING: (FORK_OFFERED,),
    StreamState.CONNECTING: (FORK_OFFERED, answered()),
    StreamState.RECORDING: (FORK_OFFERED, answered(), e.ForkAnswered()),
    StreamState.CANCELLING: (FORK_OFFERED, e.Stopped()),
    StreamState.STOPPING: (FORK_OFFERED, answered(), e.ForkAnswered(), e.Stopped()),
    StreamState.STOPPED: (e.Stopped(), e.ForkReleased()),
    StreamState.FAILED: (FORK_OFFERED, refused(486), e.ForkReleased()),
}


# Streams


def begun(order: StreamOrder | None = None, plan: Plan = PLAN) -> Outcome:
    """Begin a stream."""
    return begin(
        sid=STREAM_SID,
        call_sid=CALL_SID,
        account_sid=ACCOUNT_SID,
        order=order or StreamOrder(),
        plan=plan,
        now_ms=NOW_MS,
    )


def on_leg(number: int, *events: e.LegEvent) -> tuple[e.LegHappened, ...]:
    """Address events to a leg."""
    return tuple(e.LegHappened(leg=number, event=event) for event in events)


def follow(stream: Stream, events: Iterable[e.Event | e.LegEvent], now_ms: int = NOW_MS) -> Outcome:
    """Apply events one after the other; the commands are those of the last one.

    What only a leg can take is for the first one, unless it is addressed.
    """
    outcome = Outcome(stream)
    for event in events:
        addressed = event if isinstance(event, e.Event) else e.LegHappened(leg=1, event=event)
        outcome = step(outcome.stream, addressed, now_ms)
    return outcome


def stream_in(state: StreamState, plan: Plan = PLAN) -> Stream:
    """Give a stream whose first leg is in that state."""
    stream = follow(begun(plan=plan).stream, PATHS[state]).stream
    if stream.legs[0].state is not state:
        raise AssertionError(f"the path to {state} leads to {stream.legs[0].state}")
    return stream


# Legs


def leg_in(state: StreamState, plan: Plan = PLAN) -> Leg:
    """Give a leg in that state."""
    return stream_in(state, plan).legs[0]


def leg_follow(
    leg: Leg,
    events: Iterable[e.LegEvent],
    now_ms: int = LATER_MS,
    plan: Plan = PLAN,
    muted: tuple[str, ...] = (),
) -> LegOutcome:
    """Apply events to a leg by the table; the commands are those of the last one.

    `muted` are the labels that are to be silent.
    """
    outcome = LegOutcome(leg)
    for event in events:
        transition = TABLE[outcome.leg.state][type(event)]
        outcome = transition.apply(outcome.leg, event, At(STREAM_SID, plan, now_ms, muted))
    return outcome


def happen(state: StreamState, *events: e.LegEvent, plan: Plan = PLAN) -> LegOutcome:
    """Let events happen to a leg in that state, a minute later."""
    return leg_follow(leg_in(state, plan), events, plan=plan)


def kinds(outcome: Outcome | LegOutcome) -> list[str]:
    """Name the commands."""
    return [type(command).__name__ for command in commands_of(outcome)]


def commands_of(outcome: Outcome | LegOutcome) -> list[e.LegCommand | e.EndCall]:
    """Give the commands, those for legs without their address."""
    return [c.command if isinstance(c, e.ForLeg) else c for c in outcome.commands]


def alerts(outcome: Outcome | LegOutcome) -> list[e.RaiseAlert]:
    """Give the alerts among the commands."""
    return [c for c in outcome.commands if isinstance(c, e.RaiseAlert)]
