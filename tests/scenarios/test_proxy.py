"""What a proxy must stand: strange requests, strangers, loops, and those who would misuse it."""

import os
import socket
import time

import pytest

from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.sip_text import Message, parse
from tests.scenarios.stage import RECORD, Stage, dial
from tests.scenarios.talk import talk

pytestmark = pytest.mark.daemon


def changed(message: Message, name: str, value: str | None) -> Message:
    """Give the message with another value of a header, or without it."""
    headers = [(n, v) for n, v in message.headers if n.lower() != name.lower()]
    if value is not None:
        headers.insert(1, (name, value))
    return Message(message.start, tuple(headers), message.body)


@pytest.fixture
def recorded(stage: Stage) -> tuple[Phone, Phone]:
    """Give a caller and a callee whose call is being recorded."""
    caller, callee = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee)))
    answer(caller, callee)
    stage.wait_recording(caller)
    return caller, callee


def invite_of(caller: Phone, number: str) -> Message:
    """Write a first INVITE without sending it."""
    caller.forget()
    host, port = caller.proxy
    caller.target = f"sip:{number}@{host}:{port}"
    caller.remote = f"<{caller.target}>"
    return caller.compose("INVITE", sdp=caller.sdp())


def test_options_to_the_proxy_is_answered(stage: Stage) -> None:
    caller = stage.phone("alice")
    host, port = caller.proxy
    caller.target = f"sip:{host}:{port}"
    caller.remote = f"<{caller.target}>"
    caller.request("OPTIONS")
    assert "INVITE" in caller.expect(200).one("Allow")


def test_max_forwards_of_zero_gets_483(stage: Stage) -> None:
    caller, callee = stage.pair()
    invite = invite_of(caller, stage.number(dial(callee)))
    caller.send(changed(invite, "Max-Forwards", "0"))
    caller.expect(483)
    assert callee.hears_nothing()


def test_max_forwards_is_counted_down(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.send(invite_of(caller, stage.number(dial(callee))))
    invite = callee.expect("INVITE")
    assert invite.one("Max-Forwards") == "69"
    callee.reply(invite, 486, "Busy Here")
    caller.expect(486)


def test_invite_that_passed_the_proxy_before_gets_482(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number(dial(callee)))
    invite = callee.expect("INVITE")
    again = changed(invite, "Via", caller.compose("INVITE").one("Via"))
    host, port = caller.proxy
    callee.send(Message(f"INVITE sip:{host}:{port} SIP/2.0", again.headers, invite.body))
    callee.expect(482)
    callee.reply(invite, 486, "Busy Here")
    caller.expect(486)


def test_unknown_methods_and_cancels_of_nothing_are_refused(stage: Stage) -> None:
    caller = stage.phone("alice")
    invite = invite_of(caller, "1")
    for method, status in (("SUBSCRIBE", 405), ("PUBLISH", 405), ("CANCEL", 481)):
        request = changed(invite, "CSeq", f"1 {method}")
        request = changed(request, "Via", caller.compose(method).one("Via"))
        caller.send(Message(invite.start.replace("INVITE", method), request.headers))
        caller.expect(status)


def test_request_of_an_unknown_dialog_gets_481(stage: Stage) -> None:
    caller = stage.phone("alice")
    invite_of(caller, "1")
    caller.remote_tag = "unknown"
    for method in ("BYE", "INVITE", "INFO", "UPDATE"):
        caller.request(method)
        caller.expect(481)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("CSeq", "1 BYE"),
        ("CSeq", "one INVITE"),
        ("CSeq", None),
        ("Call-ID", None),
        ("From", None),
        ("To", None),
        ("Max-Forwards", "many"),
    ],
)
def test_malformed_request_gets_a_refusal_or_nothing(
    any_stage: Stage, header: str, value: str | None
) -> None:
    caller, callee = any_stage.pair()
    number = any_stage.number(dial(callee))
    caller.send(changed(invite_of(caller, number), header, value))
    reply = caller.next(0.5)
    assert reply is None or 400 <= reply.status < 500
    assert callee.hears_nothing(0.1)
    caller.invite(number)
    callee.reply(callee.expect("INVITE"), 486, "Busy Here")
    caller.expect(486)


def test_garbage_is_harmless(any_stage: Stage) -> None:
    caller, callee = any_stage.pair()
    number = any_stage.number(dial(callee))
    whole = str(invite_of(caller, number)).encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(caller.proxy)
        for size in (0, 1, 4, 100, 1400, 9000):
            sender.send(os.urandom(size))
        for end in range(0, len(whole) // 2, 29):
            sender.send(whole[:end])
        sender.send(b"INVITE " * 5000)
        sender.send(b"\r\n\r\n" * 100)
        sender.send(whole.replace(b"alice", b"\xff\xfe\x00\xe4"))
    for data in (os.urandom(5000), b"INVITE sip:x SIP/2.0\r\nContent-Length: 99999999\r\n\r\n"):
        with socket.create_connection(caller.proxy) as connection:
            connection.sendall(data)
    while callee.next(0.2) is not None:
        pass
    caller.invite(number)
    callee.reply(callee.expect("INVITE"), 486, "Busy Here")
    caller.expect(486)


def test_name_in_latin_1_passes_as_it_is(stage: Stage) -> None:
    caller, callee = stage.pair()
    invite = str(invite_of(caller, stage.number(RECORD, dial(callee))))
    caller.wire.send(invite.replace('alice"', 'Zo\xeb"').encode("latin-1"), caller.proxy)
    received = callee.wire.receive(5)
    assert received is not None
    assert b'From: "Zo\xeb" <' in received[0]
    callee.reply(parse(*received), 486, "Busy Here")
    caller.expect(486)


def test_flood_of_a_stranger_is_dropped_while_a_listed_peer_is_served(any_stage: Stage) -> None:
    stranger = any_stage.phone("mallory", host="127.0.0.2")
    caller, callee = any_stage.phone("alice", host="127.0.0.3"), any_stage.phone("bob")
    number = any_stage.number(dial(callee))
    refused = 0
    for _ in range(5):
        for _ in range(100):
            stranger.invite("1")
        before = time.monotonic()
        caller.invite(number)
        callee.reply(callee.expect("INVITE"), 486, "Busy Here")
        caller.ack_refusal(caller.expect(486))
        callee.expect("ACK")
        assert time.monotonic() - before < 2
        while (reply := stranger.next(0.05)) is not None:
            assert reply.status == 403
            refused += 1
    assert refused < 300


def test_preloaded_route_to_elsewhere_is_refused(stage: Stage) -> None:
    caller, victim = stage.pair()
    invite = invite_of(caller, "1")
    host, port = victim.wire.address
    own = f"<sip:{caller.proxy[0]}:{caller.proxy[1]};lr>"
    for routes in ([f"<sip:{host}:{port};lr>"], [own, f"<sip:{host}:{port};lr>"]):
        forged = Message(invite.start, (*(("Route", r) for r in routes), *invite.headers))
        forged = changed(forged, "Via", caller.compose("INVITE").one("Via"))
        caller.send(Message(forged.start, forged.headers, invite.body))
        assert 400 <= caller.expect(403, 404).status < 500
    assert victim.hears_nothing()


def test_request_uri_elsewhere_is_not_followed(stage: Stage) -> None:
    caller, victim = stage.pair()
    caller.invite("1", uri=victim.contact)
    caller.expect(404)
    assert victim.hears_nothing()


@pytest.mark.parametrize("forgery", ["call_id", "parameter", "none"])
def test_in_dialog_request_with_a_forged_route_is_refused(
    stage: Stage, recorded: tuple[Phone, Phone], forgery: str
) -> None:
    caller, callee = recorded
    victim, mallory = stage.phone("victim"), stage.phone("mallory")
    invite_of(mallory, "1")
    mallory.remote_tag, mallory.target = "some", victim.contact
    routes = list(caller.routes)
    if forgery == "parameter":
        mallory.call_id = caller.call_id
        at = routes[0].index("sp=CA") + 40
        routes[0] = routes[0][:at] + "0" * 16 + routes[0][at + 16 :]
    elif forgery == "none":
        routes = [f"<sip:{caller.proxy[0]}:{caller.proxy[1]};lr>"]
    mallory.routes = routes
    for method in ("INFO", "INVITE", "BYE"):
        mallory.request(method)
        assert mallory.expect(403, 481).status
    assert victim.hears_nothing()
    talk(caller, callee)
    hang_up(caller, callee)
    stage.wait_recorded(caller)
