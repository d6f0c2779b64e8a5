"""A recorder with calls and streams, made by what happens to them."""

import itertools

from siprec import events as e
from siprec import inbox as i
from siprec.connector import Connector, Srs
from siprec.model import Call, Party, Stream, StreamOrder, Track
from siprec.plans import Choose
from siprec.recorder import Choice, Recorder
from siprec.settings import LimitSettings
from siprec.sids import make_call_sid, make_stream_sid
from siprec.verdict import Verdict
from siprec_web.overrides import url_fault
from tests.siprec.streams import ACCOUNT_SID, FORK_OFFERED, NOW_MS, answered

SHARD = 0x2A
LIMITS = LimitSettings(tracks_per_call=4, call_s=3600)
CALLER, CALLEE = Party(tag="a"), Party(tag="b")
NAMES = itertools.count()


CONNECTOR = Connector(account_sid=ACCOUNT_SID, name="Default", srs=(Srs(uri="sip:srs"),))


def offering(connector: Connector = CONNECTOR) -> Choose:
    """Let that connector be the one there is, and all its SRSs be fit to record."""

    def choose(account_sid: str, name: str) -> Choice | None:
        if (account_sid, name) != (connector.account_sid, connector.name):
            return None
        return Choice(connector, tuple(srs.uri for srs in connector.srs if not srs.drained))

    return choose


choose_default = offering()


def choose_nothing(account_sid: str, name: str) -> Choice | None:
    """Fail as the look-up does while Redis is away."""
    raise LookupError("Redis is away")


def make_recorder(limits: LimitSettings = LIMITS) -> Recorder:
    """Make a recorder whose random digits count up."""
    numbers = itertools.count()
    return Recorder(limits, lambda n: f"{next(numbers):0{n}x}", url_fault)


def make_call(shard: int = SHARD) -> Call:
    """Give an answered call that no test has seen."""
    return Call(
        sid=make_call_sid(shard, f"{next(NAMES):022x}"),
        account_sid=ACCOUNT_SID,
        sip_call_id="a@b",
        caller=CALLER,
        callee=CALLEE,
        started_ms=NOW_MS - 5_000,
        answered_ms=NOW_MS,
    )


def answer(
    recorder: Recorder,
    *orders: StreamOrder,
    call: Call | None = None,
    shard: int = SHARD,
    choose: Choose = choose_default,
) -> Call:
    """Let a call be answered; give it."""
    call = call or make_call(shard)
    recorder.apply(shard, i.CallAnswered(call=call, orders=orders), choose, NOW_MS)
    return call


def start(
    recorder: Recorder, call: Call, order: StreamOrder, choose: Choose = choose_default
) -> Verdict:
    """Order a stream; give the verdict."""
    entry = i.StartOrdered(request_id="r", call_sid=call.sid, order=order)
    recorder.apply(SHARD, entry, choose, NOW_MS)
    return recorder.take_changes().verdicts[-1][2]


def stop(recorder: Recorder, stream_sid: str) -> Verdict:
    """Order the end of a stream; give the verdict."""
    entry = i.StopOrdered(request_id="r", stream_sid=stream_sid)
    recorder.apply(SHARD, entry, choose_default, NOW_MS)
    return recorder.take_changes().verdicts[-1][2]


def pause(
    recorder: Recorder, stream_sid: str, track: Track = Track.BOTH, *, is_resumed: bool = False
) -> Verdict:
    """Order a pause, or its end; give the verdict."""
    entry = i.PauseOrdered(
        request_id="r", stream_sid=stream_sid, track=track, is_resumed=is_resumed
    )
    recorder.apply(SHARD, entry, choose_default, NOW_MS)
    return recorder.take_changes().verdicts[-1][2]


def bye(recorder: Recorder, call: Call, tags: str = "ab", status: int = 200) -> None:
    """Let a BYE with these tags, a letter each, have its final reply, as the proxy reports it."""
    entry = i.ByeAnswered(
        call_sid=call.sid,
        from_tag=tags[0],
        to_tag=tags[1],
        status=status,
        at_ms=NOW_MS,
        media_released=status < 300,
    )
    recorder.apply(SHARD, entry, choose_default, NOW_MS)


def stream_of(recorder: Recorder, call: Call, ordinal: int = 1) -> Stream:
    """Give a stream of a call."""
    stream = recorder.stream(make_stream_sid(call.sid, ordinal))
    if stream is None:
        raise AssertionError(f"{call.sid} has no stream {ordinal}")
    return stream


def happen(
    recorder: Recorder, call: Call, *events: e.LegEvent, leg: int = 1, now_ms: int = NOW_MS
) -> None:
    """Let events happen to a leg of the first stream of a call."""
    for event in events:
        recorder.happen_to_leg(make_stream_sid(call.sid, 1), leg, event, now_ms)


def record(recorder: Recorder, call: Call, ordinal: int = 1, leg: int = 1) -> None:
    """Let a leg of a stream record."""
    for event in (FORK_OFFERED, answered(), e.ForkAnswered()):
        recorder.happen_to_leg(make_stream_sid(call.sid, ordinal), leg, event, NOW_MS)
