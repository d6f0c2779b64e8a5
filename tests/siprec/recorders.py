"""A recorder with calls and streams, made by what happens to them."""

import itertools

from siprec import events as e
from siprec import inbox as i
from siprec.model import Call, Connector, Party, Srs, Stream, StreamOrder
from siprec.recorder import Recorder
from siprec.settings import LimitSettings
from siprec.sids import make_call_sid, make_stream_sid
from siprec.verdict import Verdict
from tests.siprec.streams import ACCOUNT_SID, FORK_OFFERED, NOW_MS, answered

SHARD = 0x2A
LIMITS = LimitSettings(tracks_per_call=4, call_s=3600)
CALLER, CALLEE = Party(tag="a"), Party(tag="b")
NAMES = itertools.count()


def connector_of(account_sid: str, name: str) -> Connector | None:
    """Give the one connector there is."""
    known = account_sid == ACCOUNT_SID and name == "Default"
    return (
        Connector(account_sid=account_sid, name=name, srs=(Srs(uri="sip:srs"),)) if known else None
    )


def no_connector(account_sid: str, name: str) -> Connector | None:
    """Fail as the look-up does while Redis is away."""
    raise LookupError("Redis is away")


def make_recorder(limits: LimitSettings = LIMITS) -> Recorder:
    """Make a recorder whose random digits count up."""
    numbers = itertools.count()
    return Recorder(limits, lambda n: f"{next(numbers):0{n}x}")


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
    recorder: Recorder, *orders: StreamOrder, call: Call | None = None, shard: int = SHARD
) -> Call:
    """Let a call be answered; give it."""
    call = call or make_call(shard)
    recorder.apply(shard, i.CallAnswered(call=call, orders=orders), connector_of, NOW_MS)
    return call


def start(recorder: Recorder, call: Call, order: StreamOrder) -> Verdict:
    """Order a stream; give the verdict."""
    entry = i.StartOrdered(request_id="r", call_sid=call.sid, order=order)
    recorder.apply(SHARD, entry, connector_of, NOW_MS)
    return recorder.take_changes().verdicts[-1][2]


def stop(recorder: Recorder, stream_sid: str) -> Verdict:
    """Order the end of a stream; give the verdict."""
    entry = i.StopOrdered(request_id="r", stream_sid=stream_sid)
    recorder.apply(SHARD, entry, connector_of, NOW_MS)
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
    recorder.apply(SHARD, entry, connector_of, NOW_MS)


def stream_of(recorder: Recorder, call: Call, ordinal: int = 1) -> Stream:
    """Give a stream of a call."""
    stream = recorder.stream(make_stream_sid(call.sid, ordinal))
    if stream is None:
        raise AssertionError(f"{call.sid} has no stream {ordinal}")
    return stream


def record(recorder: Recorder, call: Call, ordinal: int = 1) -> None:
    """Let a stream record."""
    for event in (FORK_OFFERED, answered(), e.ForkAnswered()):
        recorder.happen(make_stream_sid(call.sid, ordinal), event, NOW_MS)
