"""Calls whose parties speak SRTP: relayed as they are, and known to be secure."""

import pytest

from tests.scenarios.phone import answer, hang_up
from tests.scenarios.secure_phone import SecurePhone
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


def test_call_without_srtp_is_known_to_be_plain(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number(dial(callee)))
    answer(caller, callee)
    assert not stage.wait_call(caller).is_srtp
    hang_up(caller, callee)
    stage.wait_call_over(caller)
