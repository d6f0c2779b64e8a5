"""How many sessions each SRS has."""

from siprec import events as e
from siprec.health import srs_key
from siprec.model import Plan, StreamState
from siprec.sessions import Sessions
from tests.siprec.streams import ACCOUNT_SID, begun, follow, stream_in

A, B = "sip:a.example", "sip:b.example"
KEY_A, KEY_B = (srs_key(ACCOUNT_SID, "Default", uri) for uri in (A, B))
PARALLEL = Plan(srs=(A, B), is_parallel=True)


def test_sessions_count_each_leg_until_its_end() -> None:
    sessions = Sessions()
    before = begun(plan=PARALLEL).stream
    sessions.changed(None, before)
    sessions.changed(None, begun(plan=Plan(srs=(A,))).stream)
    assert dict(sessions.counts) == {KEY_A: 2, KEY_B: 1}
    after = follow(before, [e.Stopped(), e.LegHappened(leg=2, event=e.ForkReleased())]).stream
    sessions.changed(before, after)
    assert dict(sessions.counts) == {KEY_A: 2}
    sessions.changed(after, None)
    assert dict(sessions.counts) == {KEY_A: 1}


def test_sessions_that_ended_do_not_count() -> None:
    sessions = Sessions()
    sessions.changed(None, stream_in(StreamState.FAILED, Plan(srs=(A,))))
    assert not sessions.counts
