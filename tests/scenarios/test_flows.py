"""Call flows of RFC 8068, section 3.2: what the SRS is told at each step, and all of it."""

from uuid import uuid4

import pytest

from siprec.model import Call
from siprec.sip_uri import aor
from tests.scenarios.flow_metadata import flow, golden
from tests.scenarios.phone import Phone, answer, hang_up, in_name_addr
from tests.scenarios.polling import poll
from tests.scenarios.stage import RECORD, Stage, dial
from tests.scenarios.studio import Studio
from tests.scenarios.talk import Talk

pytestmark = [pytest.mark.daemon, pytest.mark.usefixtures("no_errors")]


def parties(call: Call) -> dict[str, str]:
    """Name the two of a call."""
    return {aor(call.caller.uri): "sip:ann", aor(call.callee.uri): "sip:bob"}


def test_basic_call_is_told_in_full_by_the_invite(studio: Studio) -> None:
    call = studio.call("both-tracks")
    stream = call.recording("both")
    studio.hear(stream, 0.5)
    session = studio.srs.session_of(stream.sid)
    assert session is not None
    assert flow(parties(call.call()), session) == golden("basic")
    call.hang_up()
    studio.session(stream)


def test_end_of_the_call_is_told_by_the_bye(studio: Studio) -> None:
    call = studio.call("both-tracks")
    stream = call.recording("both")
    studio.hear(stream, 0.5)
    call.hang_up()
    session = studio.session(stream)
    assert flow(parties(call.call()), session) == golden("end")
    told = session.summary["metadata_history"][-1]
    assert all(each["stop"] for each in told["sessions"].values())
    assert [each["disassociated"] is None for each in told["participants"].values()] == [False] * 2


# A call that changes


class Changing:
    """A recorded call of two phones that talk all the time, and renegotiate."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.caller, self.callee = stage.phone("Ann"), stage.phone("Bob")
        self.caller.invite(stage.number(RECORD, dial(self.callee)))
        answer(self.caller, self.callee)
        self._stream = stage.wait_recording(self.caller)
        self._told = 1
        self.parties = parties(stage.wait_call(self.caller))

    def reinvite(
        self, who: Phone, offer: str, reply: str, ids: tuple[str, str] | None = None
    ) -> None:
        """Renegotiate directions, with a Session-ID of each end; wait until the SRS knows."""
        other = self.callee if who is self.caller else self.caller
        ours, theirs = [[("Session-ID", each)] for each in ids] if ids else [[], []]
        who.request("INVITE", sdp=who.sdp(direction=offer), headers=ours)
        other.reply(
            other.expect("INVITE"), 200, "OK", sdp=other.sdp(direction=reply), headers=theirs
        )
        who.ack(who.expect(200))
        other.expect("ACK")
        self._told += 1
        poll(self._is_told, why=lambda: str(self._stage.srs.session_of(self._stream.sid)))

    def _is_told(self) -> bool:
        session = self._stage.srs.session_of(self._stream.sid)
        return session is not None and len(session.summary["metadata_history"]) == self._told

    def over(self) -> str:
        """Hang up; give all that the SRS was told."""
        hang_up(self.caller, self.callee)
        session = self._stage.wait_session(self._stream)
        assert self._stage.alerts(self.caller) == []
        assert session.problems == []
        return flow(self.parties, session)


def test_hold_and_its_end_are_told_by_who_sends_and_receives(stage: Stage) -> None:
    call = Changing(stage)
    with Talk(call.caller, call.callee) as talking:
        call.reinvite(call.caller, "sendonly", "recvonly")
        talking.go_on()
        call.reinvite(call.caller, "sendrecv", "sendrecv")
        talking.go_on()
    assert talking.lost == ([], [])
    assert call.over() == golden("hold")


def test_transfer_by_reinvite_is_told_as_another_participant_of_the_session(
    stage: Stage,
) -> None:
    call = Changing(stage)
    call.callee.local = '"Carol" <sip:carol@127.0.0.1>'
    call.parties["sip:carol@127.0.0.1"] = "sip:carol"
    ann, carol = uuid4().hex, uuid4().hex
    ids = f"{carol};remote={ann}", f"{ann};remote={carol}"
    call.reinvite(call.callee, "sendrecv", "sendrecv", ids)
    call.callee.local = in_name_addr(call.callee.local)
    assert call.over() == golden("transfer")


def test_transfer_by_refer_is_told_as_another_session_of_the_group(stage: Stage) -> None:
    ann, bob, carol = (stage.phone(name) for name in ("Ann", "Bob", "Carol"))
    ann.invite(stage.number(RECORD, dial(bob)))
    answer(ann, bob)
    first = stage.wait_recording(ann)
    known = parties(stage.wait_call(ann))
    number = stage.number(RECORD, dial(carol))
    refer = [("Refer-To", f"<sip:{number}@127.0.0.1>"), ("Referred-By", f"<{bob.contact}>")]
    bob.request("REFER", headers=refer)
    ann.reply(ann.expect("REFER"), 202, "Accepted")
    bob.expect(202)
    hang_up(bob, ann)
    session = stage.wait_session(first)
    again = stage.phone("Ann")
    again.invite(number, headers=[("Referred-By", f"<{bob.contact}>")])
    answer(again, carol)
    second = stage.wait_recording(again)
    known[aor(stage.wait_call(again).callee.uri)] = "sip:carol"
    hang_up(again, carol)
    assert flow(known, session, stage.wait_session(second)) == golden("refer")
