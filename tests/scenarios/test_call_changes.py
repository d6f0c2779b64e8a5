"""What is known of calls that change: who is quiet, by the offers and answers that pass."""

import pytest

from siprec.model import Side
from tests.scenarios.phone import Phone
from tests.scenarios.renegotiation import (
    CALLEE,
    CALLER,
    Pair,
    change,
    end,
    nowhere,
    other,
    recorded_pair,
    refuse,
    turned,
    wait_party,
    wait_quiet,
)
from tests.scenarios.sip_text import Header, Message
from tests.scenarios.stage import RECORD, Stage, dial

pytestmark = pytest.mark.daemon

RELIABLE: list[Header] = [("Supported", "100rel"), ("Require", "100rel")]


@pytest.fixture
def pair(stage: Stage) -> Pair:
    """Give a caller and a callee whose call is being recorded."""
    return recorded_pair(stage)


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
