"""Session-ID (RFC 7989) of ours for endpoints that have none; that of others stays as it is."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.scenarios.phone import Phone
from tests.scenarios.sip_text import Message
from tests.scenarios.stage import RECORD, Stage, dial

pytestmark = pytest.mark.daemon

NIL = "0" * 32


@pytest.fixture(scope="module")
def generating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run a stack that gives a Session-ID to who has none."""
    folder: Path = tmp_path_factory.mktemp("generating")
    with Stage(folder, settings={"sip": {"session_id": "generate"}}) as stage:
        yield stage


def halves(message: Message) -> tuple[str, str]:
    """Give the UUID of who wrote the message, and that of the other one."""
    local, _, remote = message.one("Session-ID").partition(";remote=")
    return local, remote


def reinvite(who: Phone, other: Phone) -> tuple[Message, Message]:
    """Renegotiate; give the request and the reply as they were received."""
    who.request("INVITE", sdp=who.sdp())
    request = other.expect("INVITE")
    other.reply(request, 200, "OK", sdp=other.sdp())
    reply = who.expect(200)
    who.ack(reply)
    other.expect("ACK")
    return request, reply


@pytest.mark.parametrize("has_one", [False, True], ids=["neither", "the caller"])
def test_endpoints_without_a_session_id_have_one_for_the_whole_call(
    generating: Stage, has_one: bool
) -> None:
    caller, callee = generating.pair()
    own = uuid4().hex
    headers = [("Session-ID", f"{own};remote={NIL}")] if has_one else []
    caller.invite(generating.number(RECORD, dial(callee)), headers=headers)
    invite = callee.expect("INVITE")
    ann, nobody = halves(invite)
    assert nobody == NIL
    assert (ann == own) is has_one
    callee.reply(invite, 200, "OK", sdp=callee.sdp())
    ok = caller.expect(200)
    bob, told = halves(ok)
    assert (told, len(bob)) == (ann, 32)
    caller.ack(ok)
    callee.expect("ACK")
    call = generating.wait_call(caller)
    assert call.session_id == f"{ann};remote={bob}"
    if not has_one:
        request, reply = reinvite(caller, callee)
        assert halves(request) == (ann, bob)
        assert halves(reply) == (bob, ann)
    request, reply = reinvite(callee, caller)
    assert halves(request) == (bob, ann)
    generating.wait_recording(caller)
    callee.request("BYE")
    bye = caller.expect("BYE")
    assert halves(bye) == (bob, ann)
    caller.reply(bye, 200, "OK")
    callee.expect(200)
    generating.wait_call_over(caller)


def test_no_session_id_is_added_unless_it_is_wished(stage: Stage) -> None:
    caller, callee = stage.pair()
    caller.invite(stage.number(RECORD, dial(callee)))
    invite = callee.expect("INVITE")
    assert invite.all("Session-ID") == []
    callee.reply(invite, 486, "Busy Here")
    caller.ack_refusal(caller.expect(480, 486))
