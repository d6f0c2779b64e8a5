"""Steps of calls that change, and waiting for what is known of them then."""

from collections.abc import Sequence

from siprec.call_changes import picture_of
from siprec.model import Call, Party, Side, StreamState
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.sip_text import Header, Message
from tests.scenarios.stage import RECORD, Stage, dial
from tests.scenarios.talk import talk

CALLER, CALLEE = Side.CALLER, Side.CALLEE

Pair = tuple[Phone, Phone]


def recorded_pair(stage: Stage) -> Pair:
    """Give a caller and a callee whose call is being recorded."""
    caller, callee = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee)))
    answer(caller, callee)
    stage.wait_recording(caller)
    return caller, callee


def turned(pair: Pair, who: Side) -> Pair:
    """Give that side first, then the other."""
    return pair if who is CALLER else (pair[1], pair[0])


def other(side: Side) -> Side:
    """Give the other side."""
    return CALLEE if side is CALLER else CALLER


def nowhere(sdp: str) -> str:
    """Put a call on hold as RFC 2543 had it."""
    lines = ("c=IN IP4 0.0.0.0" if line.startswith("c=") else line for line in sdp.splitlines())
    return "".join(f"{line}\r\n" for line in lines)


def change(
    one: Phone,
    two: Phone,
    method: str = "INVITE",
    *,
    offer: str = "",
    reply: str = "",
    asks: Sequence[Header] = (),
    says: Sequence[Header] = (),
) -> tuple[Message, Message]:
    """Let `one` send a request in the dialog; give it, and the 2xx, as they arrive."""
    one.request(method, sdp=offer, headers=asks)
    request = two.expect(method)
    two.reply(request, 200, "OK", sdp=reply, headers=says)
    answered = one.expect(200)
    if method == "INVITE":
        one.ack(answered, sdp="" if offer else one.sdp())
        two.expect("ACK")
    return request, answered


def refuse(one: Phone, two: Phone, status: int, offer: str) -> None:
    """Let a re-INVITE be refused."""
    one.request("INVITE", sdp=offer)
    two.reply(two.expect("INVITE"), status, "No")
    one.expect(status)
    two.expect("ACK")


def wait_quiet(stage: Stage, pair: Pair, *sides: Side) -> None:
    """Wait until exactly these sides are known to be quiet."""

    def is_known() -> bool:
        call = stage.call(pair[0])
        return call is not None and set(call.quiet) == set(sides)

    poll(is_known, why=lambda: f"{stage.call(pair[0])}")


def wait_party(stage: Stage, pair: Pair, side: Side, uri: str, name: str) -> Party:
    """Wait until a side is known as somebody."""

    def party() -> Party | None:
        found = stage.wait_call(pair[0]).party(side)
        return found if (found.uri, found.name) == (uri, name) else None

    found = poll(party, why=lambda: f"{stage.call(pair[0])}")
    assert found is not None
    return found


def end(stage: Stage, pair: Pair) -> Call:
    """Talk and hang up once the SRS knows all; the call was recorded, and nothing went wrong."""
    stage.wait_recording(pair[0])
    poll(lambda: is_told(stage, pair), why=lambda: f"{stage.streams(pair[0])}")
    talk(*pair)
    hang_up(*pair)
    stream = stage.wait_stream(pair[0], StreamState.STOPPED)
    session = stage.wait_session(stream)
    assert (session.ended_by, session.metadata_errors) == ("src-bye", [])
    heard = [track.payload_types for track in session.tracks]
    assert [each.get(8, 0) > 0 for each in heard] == [True, True], heard
    assert stage.alerts(pair[0]) == []
    return stage.wait_call_over(pair[0])


def is_told(stage: Stage, pair: Pair) -> bool:
    """Tell whether the SRS has been told how the call is now."""
    picture = picture_of(stage.wait_call(pair[0]))
    streams = stage.streams(pair[0])
    return all(stream.legs[-1].told == stream.plan.fit(picture) for stream in streams)
