"""Call flows of RFC 8068, section 3.2: what the SRS is told at each step, and all of it."""

import pytest

from siprec.model import Call
from siprec.sip_uri import aor
from tests.scenarios.flow_metadata import flow, golden
from tests.scenarios.studio import Studio

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
