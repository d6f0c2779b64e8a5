"""Who the ends of calls that change are: by P-Asserted-Identity, or From (RFC 4916)."""

import pytest

from siprec.model import Side
from siprec.sip_uri import aor
from tests.scenarios.renegotiation import (
    CALLEE,
    CALLER,
    Pair,
    change,
    end,
    other,
    recorded_pair,
    turned,
    wait_party,
    wait_quiet,
)
from tests.scenarios.stage import RECORD, Stage, dial

pytestmark = pytest.mark.daemon


@pytest.fixture
def pair(stage: Stage) -> Pair:
    """Give a caller and a callee whose call is being recorded."""
    return recorded_pair(stage)


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
