"""What the proxy tells of calls that change: who is quiet, who the ends are, by what passes."""

from collections.abc import Sequence

import pytest

from siprec.call_changes import picture_of
from siprec.model import Call, Party, Side, StreamState
from siprec.sip_uri import aor
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.sip_text import Header, Message
from tests.scenarios.stage import RECORD, Stage, dial
from tests.scenarios.talk import talk

pytestmark = pytest.mark.daemon

CALLER, CALLEE = Side.CALLER, Side.CALLEE
RELIABLE: list[Header] = [("Supported", "100rel"), ("Require", "100rel")]

Pair = tuple[Phone, Phone]


@pytest.fixture
def pair(stage: Stage) -> Pair:
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
    poll(lambda: is_told(stage, pair), why=lambda: f"{stage.streams(pair[0])}")
    talk(*pair)
    hang_up(*pair)
    stream = stage.wait_stream(pair[0], StreamState.STOPPED)
    session = stage.wait_session(stream)
    assert (session.ended_by, session.metadata_errors) == ("src-bye", [])
    assert all(track.summary["payload_types"].get("8", 0) > 0 for track in session.tracks)
    assert len(session.tracks) == 2
    assert stage.alerts(pair[0]) == []
    return stage.wait_call_over(pair[0])


def is_told(stage: Stage, pair: Pair) -> bool:
    """Tell whether the SRS has been told how the call is now."""
    picture = picture_of(stage.wait_call(pair[0]))
    return all(stream.legs[-1].told == picture for stream in stage.streams(pair[0]))


# Who is quiet


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("who", list(Side))
@pytest.mark.parametrize(
    ("offered", "replied", "quiet"),
    [
        ("sendonly", "recvonly", "other"),
        ("recvonly", "sendonly", "self"),
        ("inactive", "inactive", "both"),
        ("sendrecv", "recvonly", "other"),
    ],
)
def test_hold_and_its_end_tell_who_is_quiet(
    stage: Stage, pair: Pair, method: str, who: Side, offered: str, replied: str, quiet: str
) -> None:
    one, two = turned(pair, who)
    change(one, two, method, offer=one.sdp(direction=offered), reply=two.sdp(direction=replied))
    sides = {"other": [other(who)], "self": [who], "both": list(Side)}[quiet]
    wait_quiet(stage, pair, *sides)
    change(two, one, method, offer=two.sdp(), reply=one.sdp())
    wait_quiet(stage, pair)
    end(stage, pair)


@pytest.mark.parametrize("who", list(Side))
def test_hold_of_rfc_2543_tells_that_the_other_is_quiet(
    stage: Stage, pair: Pair, who: Side
) -> None:
    one, two = turned(pair, who)
    change(one, two, offer=nowhere(one.sdp()), reply=two.sdp())
    wait_quiet(stage, pair, other(who))
    change(one, two, offer=one.sdp(), reply=two.sdp())
    wait_quiet(stage, pair)
    end(stage, pair)


@pytest.mark.parametrize("who", list(Side))
@pytest.mark.parametrize("status", [488, 491, 408])
def test_refused_hold_changes_nothing(stage: Stage, pair: Pair, who: Side, status: int) -> None:
    one, two = turned(pair, who)
    refuse(one, two, status, one.sdp(direction="inactive"))
    change(one, two, "UPDATE", asks=[("P-Asserted-Identity", '"Zoe" <sip:zoe@127.0.0.1>')])
    wait_party(stage, pair, who, "sip:zoe@127.0.0.1", "Zoe")
    assert stage.wait_call(pair[0]).quiet == ()
    end(stage, pair)


@pytest.mark.parametrize("who", list(Side))
def test_late_offer_of_a_reinvite_tells_who_is_quiet(stage: Stage, pair: Pair, who: Side) -> None:
    one, two = turned(pair, who)
    one.request("INVITE")
    two.reply(two.expect("INVITE"), 200, "OK", sdp=two.sdp(direction="sendonly"))
    one.ack(one.expect(200), sdp=one.sdp(direction="recvonly"))
    two.expect("ACK")
    wait_quiet(stage, pair, who)
    change(one, two, reply=two.sdp())
    wait_quiet(stage, pair)
    end(stage, pair)


def test_hold_of_rfc_2543_in_a_late_offer_tells_that_the_other_is_quiet(
    stage: Stage, pair: Pair
) -> None:
    caller, callee = pair
    change(caller, callee, reply=nowhere(callee.sdp()))
    wait_quiet(stage, pair, CALLER)
    change(caller, callee, reply=callee.sdp())
    wait_quiet(stage, pair)
    end(stage, pair)


@pytest.mark.parametrize("who", list(Side))
def test_reinvite_answered_by_a_reliable_183_tells_who_is_quiet(
    stage: Stage, pair: Pair, who: Side
) -> None:
    one, two = turned(pair, who)
    one.request("INVITE", sdp=one.sdp(direction="sendonly"), headers=RELIABLE[:1])
    request = two.expect("INVITE")
    reliable_183(one, two, request, two.sdp(direction="recvonly"))
    two.reply(request, 200, "OK")
    one.ack(one.expect(200))
    two.expect("ACK")
    wait_quiet(stage, pair, other(who))
    change(one, two, offer=one.sdp(), reply=two.sdp())
    wait_quiet(stage, pair)
    end(stage, pair)


# Before the answer


def reliable_183(
    one: Phone, two: Phone, request: Message, sdp: str, *, prack: str = "", reply: str = ""
) -> None:
    """Let `two` answer with a reliable 183, and `one` acknowledge it."""
    two.reply(request, 183, "Session Progress", sdp=sdp, headers=[("RSeq", "7"), *RELIABLE[1:]])
    progress = one.expect(183)
    one.follow(progress)
    rack = [("RAck", f"7 {progress.cseq} INVITE")]
    one.request("PRACK", sdp=prack, headers=rack)
    two.reply(two.expect("PRACK"), 200, "OK", sdp=reply)
    answered = one.expect(200)
    if answered.body:
        one.remote_media = answered.media


def pick_up(stage: Stage, pair: Pair, invite: Message, sdp: str = "") -> None:
    """Let a callee that rang answer; the call is recorded then."""
    caller, callee = pair
    callee.reply(invite, 200, "OK", sdp=sdp)
    reply = caller.expect(200)
    caller.remote_tag = reply.to_tag
    caller.send(caller.compose("ACK", cseq=reply.cseq))
    callee.expect("ACK")
    stage.wait_recording(caller)


def ring(stage: Stage, sdp: str | None = None) -> tuple[Pair, Message]:
    """Let a caller that takes reliable replies ring; give the callee's INVITE."""
    caller, callee = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee)), sdp=sdp, headers=RELIABLE[:1])
    return (caller, callee), callee.expect("INVITE")


def test_call_that_begins_on_hold_tells_who_is_quiet(stage: Stage) -> None:
    caller, callee = pair = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee)), sdp=caller.sdp(direction="sendonly"))
    invite = callee.expect("INVITE")
    callee.reply(invite, 200, "OK", sdp=callee.sdp(direction="recvonly"))
    caller.ack(caller.expect(200))
    callee.expect("ACK")
    wait_quiet(stage, pair, CALLEE)
    change(caller, callee, offer=caller.sdp(), reply=callee.sdp())
    wait_quiet(stage, pair)
    end(stage, pair)


def test_late_offer_of_a_call_tells_who_is_quiet(stage: Stage) -> None:
    caller, callee = pair = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee)), sdp="")
    callee.reply(callee.expect("INVITE"), 200, "OK", sdp=callee.sdp(direction="recvonly"))
    caller.ack(caller.expect(200), sdp=caller.sdp(direction="sendonly"))
    callee.expect("ACK")
    wait_quiet(stage, pair, CALLEE)
    change(callee, caller, offer=callee.sdp(), reply=caller.sdp())
    wait_quiet(stage, pair)
    end(stage, pair)


def test_answer_in_a_reliable_183_counts(stage: Stage) -> None:
    pair, invite = ring(stage)
    reliable_183(*pair, invite, pair[1].sdp(direction="recvonly"))
    pick_up(stage, pair, invite)
    wait_quiet(stage, pair, CALLEE)
    change(*pair, offer=pair[0].sdp(), reply=pair[1].sdp())
    wait_quiet(stage, pair)
    end(stage, pair)


@pytest.mark.parametrize("direction", ["sendonly", "sendrecv"])
def test_answer_in_prack_to_an_offer_in_a_reliable_183_counts(stage: Stage, direction: str) -> None:
    pair, invite = ring(stage, sdp="")
    caller, callee = pair
    reliable_183(
        *pair, invite, callee.sdp(direction="sendrecv"), prack=caller.sdp(direction=direction)
    )
    pick_up(stage, pair, invite)
    wait_quiet(stage, pair, *([CALLEE] if direction == "sendonly" else []))
    if direction == "sendonly":
        change(*pair, offer=caller.sdp(), reply=callee.sdp())
        wait_quiet(stage, pair)
    end(stage, pair)


def test_second_offer_in_prack_counts(stage: Stage) -> None:
    pair, invite = ring(stage)
    caller, callee = pair
    reliable_183(
        *pair,
        invite,
        callee.sdp(),
        prack=caller.sdp(direction="sendonly"),
        reply=callee.sdp(direction="recvonly"),
    )
    pick_up(stage, pair, invite)
    wait_quiet(stage, pair, CALLEE)
    change(*pair, offer=caller.sdp(), reply=callee.sdp())
    wait_quiet(stage, pair)
    end(stage, pair)


@pytest.mark.parametrize("who", list(Side))
@pytest.mark.parametrize("repeats", [False, True])
def test_update_before_the_answer_counts(stage: Stage, who: Side, repeats: bool) -> None:
    """Also when the 2xx repeats the SDP of the 183, which means nothing (RFC 6337 §3.1.1)."""
    pair, invite = ring(stage)
    early = pair[1].sdp()
    reliable_183(*pair, invite, early)
    one, two = turned(pair, who)
    change(
        one, two, "UPDATE", offer=one.sdp(direction="sendonly"), reply=two.sdp(direction="recvonly")
    )
    pick_up(stage, pair, invite, early if repeats else "")
    wait_quiet(stage, pair, other(who))
    change(one, two, offer=one.sdp(), reply=two.sdp())
    wait_quiet(stage, pair)
    end(stage, pair)


def test_of_two_early_dialogs_of_a_branch_the_one_that_answers_counts(stage: Stage) -> None:
    """A proxy behind us has forked: two devices, of which the first is on hold."""
    pair, invite = ring(stage)
    caller, callee = pair
    desk, mobile = callee.tag, f"{callee.tag}m"
    held, live = callee.sdp(direction="recvonly", port=9), callee.sdp()
    order = ((mobile, live), (desk, held))
    for tag, sdp in order:
        callee.tag = tag
        callee.reply(invite, 183, "Session Progress", sdp=sdp)
        caller.follow(caller.expect(183))
    callee.tag = mobile
    callee.reply(invite, 200, "OK", sdp=live)
    caller.ack(caller.expect(200))
    callee.expect("ACK")
    stage.wait_recording(caller)
    assert stage.wait_call(caller).callee.tag == mobile
    wait_quiet(stage, pair)
    end(stage, pair)


# Who the ends are


@pytest.mark.parametrize("who", list(Side))
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("has_sdp", [True, False])
def test_asserted_identity_of_who_asks_is_taken(
    stage: Stage, pair: Pair, who: Side, method: str, has_sdp: bool
) -> None:
    one, two = turned(pair, who)
    asks = [("P-Asserted-Identity", '"Carol" <sip:carol@127.0.0.1>')]
    offer = one.sdp() if has_sdp else ""
    reply = two.sdp() if has_sdp or method == "INVITE" else ""
    change(one, two, method, offer=offer, reply=reply, asks=asks)
    party = wait_party(stage, pair, who, "sip:carol@127.0.0.1", "Carol")
    assert party.since_ms is not None
    assert stage.wait_call(pair[0]).former[0].side is who
    end(stage, pair)


@pytest.mark.parametrize("who", list(Side))
def test_asserted_identity_of_who_answers_is_taken(stage: Stage, pair: Pair, who: Side) -> None:
    one, two = turned(pair, other(who))
    says = [("P-Asserted-Identity", '"Carol" <sip:carol@127.0.0.1>')]
    change(one, two, offer=one.sdp(), reply=two.sdp(), says=says)
    wait_party(stage, pair, who, "sip:carol@127.0.0.1", "Carol")
    end(stage, pair)


@pytest.mark.parametrize("who", list(Side))
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_from_of_a_request_tells_who_it_is(
    stage: Stage, pair: Pair, who: Side, method: str
) -> None:
    one, two = turned(pair, who)
    one.local = '"Dan" <sip:dan@127.0.0.1>'
    change(one, two, method, offer=one.sdp(), reply=two.sdp())
    wait_party(stage, pair, who, "sip:dan@127.0.0.1", "Dan")
    end(stage, pair)


def test_asserted_identity_that_is_private_is_not_taken(stage: Stage, pair: Pair) -> None:
    caller, callee = pair
    private = [
        ("P-Asserted-Identity", '"Carol" <sip:carol@127.0.0.1>'),
        ("Privacy", "user; id"),
    ]
    change(
        callee,
        caller,
        offer=callee.sdp(direction="inactive"),
        reply=caller.sdp(direction="inactive"),
        asks=private,
    )
    wait_quiet(stage, pair, CALLER, CALLEE)
    assert aor(stage.wait_call(caller).callee.uri) != "sip:carol@127.0.0.1"
    change(callee, caller, offer=callee.sdp(), reply=caller.sdp())
    wait_quiet(stage, pair)
    end(stage, pair)


def test_asserted_identity_of_a_stranger_is_not_taken(stage: Stage) -> None:
    """Its address is in no network that may call."""
    caller, callee = pair = stage.phone("alice"), stage.phone("bob", host="127.0.0.2")
    asserted = [("P-Asserted-Identity", '"Carol" <sip:carol@127.0.0.1>')]
    number = stage.number(RECORD, dial(callee))
    caller.invite(number)
    callee.reply(callee.expect("INVITE"), 200, "OK", sdp=callee.sdp(), headers=asserted)
    caller.ack(caller.expect(200))
    callee.expect("ACK")
    stage.wait_recording(caller)
    assert f"sip:{number}@" in stage.wait_call(caller).callee.uri
    callee.local = '"Dan" <sip:dan@127.0.0.1>'
    change(callee, caller, "UPDATE", asks=asserted)
    wait_party(stage, pair, CALLEE, "sip:dan@127.0.0.1", "Dan")
    end(stage, pair)
