"""Calls whose parties speak SRTP: relayed as they are, and known to be secure."""

import pytest

from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.secure_phone import SUITE, SecurePhone
from tests.scenarios.stage import RECORD, Stage, dial
from tests.scenarios.talk import talk

pytestmark = pytest.mark.daemon


def secure_phone(stage: Stage, name: str) -> SecurePhone:
    return SecurePhone(name, stage.proxy)


def test_call_with_srtp_is_relayed_secure_and_recorded_by_a_plain_recorder(stage: Stage) -> None:
    with secure_phone(stage, "alice") as caller, secure_phone(stage, "bob") as callee:
        caller.invite(stage.number(RECORD, dial(callee)))
        invite, reply = answer(caller, callee)
        assert " RTP/SAVP " in invite.body
        assert " RTP/SAVP " in reply.body
        stage.wait_recording(caller)
        talk(caller, callee)
        assert caller.rtp.in_clear == callee.rtp.in_clear == 0
        assert stage.wait_call(caller).is_srtp
        hang_up(caller, callee)
        session = stage.wait_recorded(caller)
        assert [track.summary["payload_types"].get("8", 0) >= 15 for track in session.tracks] == [
            True,
            True,
        ]
        stage.wait_call_over(caller)


def test_offer_of_sdes_is_passed_on_as_strong_as_it_is(stage: Stage) -> None:
    with secure_phone(stage, "alice") as caller, secure_phone(stage, "bob") as callee:
        caller.invite(stage.number(dial(callee)))
        first, reply = answer(caller, callee)
        caller.request("INVITE", sdp=caller.sdp())
        again = callee.expect("INVITE")
        callee.reply(again, 200, "OK", sdp=callee.sdp())
        caller.ack(caller.expect(200))
        callee.expect("ACK")
        talk(caller, callee)
        for body in (first.body, again.body):
            assert f"a=crypto:1 {SUITE} " in body
            assert "a=fingerprint" not in body
            assert not any(weak in body for weak in (" NULL_", " F8_")), body
        assert reply.body.count("a=crypto:") == 1
        hang_up(caller, callee)
        stage.wait_call_over(caller)


def test_offer_of_dtls_is_passed_on_with_a_fingerprint(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number(dial(callee)), sdp=dtls_sdp(caller, "actpass"))
    invite = callee.expect("INVITE")
    callee.reply(invite, 200, "OK", sdp=dtls_sdp(callee, "active"))
    reply = caller.expect(200)
    caller.ack(reply)
    callee.expect("ACK")
    for body in (invite.body, reply.body):
        assert " UDP/TLS/RTP/SAVP " in body
        assert body.count("a=fingerprint:sha-256 ") == 1
    assert stage.wait_call(caller).is_srtp
    hang_up(caller, callee)
    stage.wait_call_over(caller)


def dtls_sdp(phone: Phone, setup: str) -> str:
    """Write an SDP of DTLS-SRTP; nobody shakes hands in the test."""
    fingerprint = ":".join(["AB"] * 32)
    plain = phone.sdp().replace(" RTP/AVP ", " UDP/TLS/RTP/SAVP ")
    return f"{plain}a=setup:{setup}\r\na=fingerprint:sha-256 {fingerprint}\r\n"


def test_call_without_srtp_is_known_to_be_plain(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number(dial(callee)))
    answer(caller, callee)
    assert not stage.wait_call(caller).is_srtp
    hang_up(caller, callee)
    stage.wait_call_over(caller)
