"""Connectors that a call must have: refused without, ended when nobody records any more."""

import time
from collections.abc import Callable

import pytest

from siprec.actions import EndCall
from siprec.connector import Connector, Srs
from siprec.health import srs_key
from siprec.model import Call
from siprec_kemi.proxy.farewell import LOST
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.sip_text import Message
from tests.scenarios.stage import Stage, dial
from tests.scenarios.talk import talk

pytestmark = pytest.mark.daemon

START = '<Start><Siprec name="all" connectorName="{}"/></Start>'
HIDDEN = "10.9.8.7:5060"


def connect(
    stage: Stage, name: str, uri: str, *, required: bool = True, end_call_s: int | None = None
) -> str:
    """Set a connector, and give the `<Start>` of a stream to it."""
    connector = Connector(
        account_sid=account_of(stage),
        name=name,
        srs=(Srs(uri=uri),),
        required=required,
        end_call_s=end_call_s,
        options_s=5,
    )
    stage.stack.store.put_connector(connector)
    return START.format(name)


def account_of(stage: Stage) -> str:
    sid = stage.stack.runtime.settings.account.sid
    assert sid
    return sid


def wait_found_dead(stage: Stage, name: str, uri: str) -> None:
    """Wait until the checks of health have found out that a recorder is not there."""
    key = srs_key(account_of(stage), name, uri)

    def is_dead() -> bool:
        health = stage.stack.store.healths().get(key)
        return health is not None and not health.reachable

    poll(is_dead)


def dead_uri(stage: Stage) -> str:
    """Give the URI of a recorder that is not there."""
    return f"sip:127.0.0.1:{stage.stack.ports.take()};transport=tcp"


# Refused at the INVITE


def test_call_without_a_living_recorder_that_it_must_have_gets_503(stage: Stage) -> None:
    caller, callee = stage.pair()
    uri = dead_uri(stage)
    start = connect(stage, "Must", uri)
    wait_found_dead(stage, "Must", uri)
    number = stage.number(start, dial(callee))
    before = time.monotonic()
    caller.invite(number)
    reply = caller.expect(503)
    print(f"503 after {(time.monotonic() - before) * 1000:.1f} ms")
    assert reply.one("Retry-After") == "30"
    caller.ack_refusal(reply)
    assert callee.hears_nothing()
    call = stage.wait_call_over(caller)
    assert call.end_reason == "503"
    assert stage.streams(caller) == []
    (alert,) = poll(lambda: stage.alerts(caller))
    assert alert.code == 32011
    assert "'Must'" in alert.text


@pytest.mark.parametrize("required", [False, True])
def test_call_is_untouched_when_its_recorder_is_not_required_or_not_known_dead(
    any_stage: Stage, required: bool
) -> None:
    caller, callee = any_stage.pair()
    uri, name = dead_uri(any_stage), f"May{required}"
    start = connect(any_stage, name, uri, required=required)
    if not required:
        wait_found_dead(any_stage, name, uri)
    caller.invite(any_stage.number(start, dial(callee)))
    answer(caller, callee)
    talk(caller, callee)
    hang_up(caller, callee)
    any_stage.wait_call_over(caller)


def test_recorder_that_comes_back_lets_calls_through(stage: Stage) -> None:
    caller, callee = stage.pair()
    uri = dead_uri(stage)
    start = connect(stage, "Back", uri)
    wait_found_dead(stage, "Back", uri)
    number = stage.number(start, dial(callee))
    caller.invite(number)
    caller.ack_refusal(caller.expect(503))

    def rings() -> bool:
        caller.invite(number)
        invite = callee.next(0.2)
        if invite is not None:
            callee.reply(invite, 486, "Busy Here")
        caller.ack_refusal(caller.expect(503 if invite is None else 486))
        return invite is not None

    stage.recorder_alone(listen=uri.removeprefix("sip:").partition(";")[0])
    poll(rings)


# Ended by us


@pytest.fixture
def end_of(stage: Stage) -> Callable[[Phone], Call]:
    """Give what asks for the end of a phone's call, as a controller does."""

    def end(phone: Phone) -> Call:
        call = stage.wait_call(phone)
        action = EndCall(
            call_sid=call.sid,
            account_sid=call.account_sid,
            sip_call_id=call.sip_call_id,
            from_tag=call.caller.tag,
            to_tag=call.callee.tag,
            reason="nobody records it any more",
        )
        stage.stack.store.orders.action(call.node, action)
        return call

    return end


def begin(stage: Stage, caller: Phone, callee: Phone, target: str = "") -> None:
    """Let the two talk, in a call that may have to be ended."""
    start = connect(stage, "Ends", stage.srs.uri, end_call_s=5)
    caller.invite(stage.number(start, target or dial(callee)))
    answer(caller, callee)
    stage.wait_recording(caller)


def is_ended(phone: Phone, tags: tuple[str, str]) -> Message:
    """See the phone get a BYE of its dialog, from the other end, and take it."""
    bye = phone.expect("BYE")
    assert (bye.from_tag, bye.to_tag) == tags
    assert bye.one("Call-ID") == phone.call_id
    assert bye.one("Reason") == LOST
    phone.reply(bye, 200, "OK")
    return bye


def both_are_ended(call: Call, caller: Phone, callee: Phone) -> tuple[Message, Message]:
    """See both parties get BYE, and nothing else after their answers."""
    byes = (
        is_ended(caller, (call.callee.tag, call.caller.tag)),
        is_ended(callee, (call.caller.tag, call.callee.tag)),
    )
    assert caller.hears_nothing()
    assert callee.hears_nothing()
    return byes


@pytest.mark.parametrize("transports", [("udp", "udp"), ("tcp", "tcp"), ("udp", "tcp")])
def test_call_is_ended_by_bye_to_both(
    stage: Stage, end_of: Callable[[Phone], Call], transports: tuple[str, str]
) -> None:
    caller = stage.phone("alice", transport=transports[0])
    callee = stage.phone("bob", transport=transports[1])
    begin(stage, caller, callee)
    talk(caller, callee)
    to_caller, to_callee = both_are_ended(end_of(caller), caller, callee)
    assert to_callee.cseq > caller.cseq
    assert to_caller.uri == caller.contact
    assert to_callee.uri == callee.contact
    assert to_caller.all("Route") == to_callee.all("Route") == []


def reinvite(who: Phone, other: Phone) -> None:
    """Renegotiate the media of the call."""
    who.request("INVITE", sdp=who.sdp())
    other.reply(other.expect("INVITE"), 200, "OK", sdp=other.sdp())
    who.ack(who.expect(200))
    other.expect("ACK")


def test_call_renegotiated_by_both_sides_is_ended_with_higher_numbers(
    stage: Stage, end_of: Callable[[Phone], Call]
) -> None:
    caller, callee = stage.pair()
    begin(stage, caller, callee)
    for who, other in ((caller, callee), (callee, caller), (callee, caller)):
        reinvite(who, other)
    to_caller, to_callee = both_are_ended(end_of(caller), caller, callee)
    assert to_callee.cseq > caller.cseq
    assert to_caller.cseq > callee.cseq


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("hidden", ["caller", "callee"])
@pytest.mark.parametrize("moved", [False, True], ids=["", "renegotiated"])
def test_call_with_a_phone_behind_a_nat_is_ended(
    stage: Stage, end_of: Callable[[Phone], Call], hidden: str, transport: str, moved: bool
) -> None:
    caller, callee = (
        stage.phone(name, transport=transport, claims=HIDDEN if hidden == name else None)
        for name in ("caller", "callee")
    )
    host, port = callee.wire.address
    target = f"<Dial><Sip>sip:bob@{host}:{port};transport={transport}</Sip></Dial>"
    begin(stage, caller, callee, target)
    if moved:
        reinvite(caller, callee)
        reinvite(callee, caller)
    both_are_ended(end_of(caller), caller, callee)


def test_phone_that_hangs_up_at_the_same_time_is_answered(
    stage: Stage, end_of: Callable[[Phone], Call]
) -> None:
    caller, callee = stage.pair()
    begin(stage, caller, callee)
    call = end_of(caller)
    bye = caller.expect("BYE")
    caller.request("BYE")
    caller.reply(bye, 200, "OK")
    first, second = callee.expect("BYE"), callee.expect("BYE")
    callee.reply(first, 200, "OK")
    callee.reply(second, 481, "Call/Transaction Does Not Exist")
    assert caller.expect(200, 481).method == "BYE"
    assert call.sip_call_id == caller.call_id


def test_end_of_a_call_that_is_over_changes_nothing(
    stage: Stage, end_of: Callable[[Phone], Call]
) -> None:
    caller, callee = stage.pair()
    begin(stage, caller, callee)
    hang_up(caller, callee)
    call = stage.wait_call_over(caller)
    assert end_of(caller) == call
    assert caller.hears_nothing()
    assert callee.hears_nothing()
    assert stage.call(caller) == call
    assert stage.alerts(caller) == []
