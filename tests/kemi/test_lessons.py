"""What a controller learns from transitions: lines in the log, circuits, suspicions."""

import pytest

from siprec import events as e
from siprec.connector import Connector, Srs
from siprec.model import Call
from siprec.store import Client, Store, StoreUnavailable
from siprec_kemi.src.lessons import Lessons
from siprec_kemi.src.pools import Pools
from tests.kemi.health_world import alive
from tests.kemi.recording import Recording
from tests.kemi.strict_ksr import StrictKsr
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, FORK_OFFERED, NOW_MS, answered, refused

A = "sip:a.example"
# One failure opens the circuit, which is logged.
POOL = Connector(account_sid=ACCOUNT_SID, name="Pool", srs=(Srs(uri=A),), failures=1)
CALL = Call(sid=CALL_SID, account_sid=ACCOUNT_SID, sip_call_id="a@b", answered_ms=NOW_MS)
OPEN = f"{ACCOUNT_SID} Pool {A}: circuit open after 1 failures: "
CLOSED = f"{ACCOUNT_SID} Pool {A}: circuit closed\n"


class School:
    """Lessons from a stream toward one SRS, which just answered a health check."""

    def __init__(self, store: Store, ksr: StrictKsr) -> None:
        self._ksr = ksr
        self.recording = Recording(CALL, POOL, NOW_MS)
        self.pools = Pools(store, "one", lambda: self.recording.recorder.sessions)
        self.health = alive(store, POOL)
        self.known: Connector | None = POOL
        self.is_away = False
        self._lessons = Lessons(self.pools, self.health.watch, self._find)

    def _find(self, account_sid: str, name: str) -> Connector | None:
        assert (account_sid, name) == (ACCOUNT_SID, POOL.name)
        if self.is_away:
            raise StoreUnavailable("Redis: away")
        return self.known

    def learn(self, *events: e.LegEvent) -> list[str]:
        """Let events happen to the leg, and learn from what changed; give what was logged."""
        self._ksr.reset()
        self.recording.happen(NOW_MS, *events)
        self._lessons.learn(self.recording.recorder.take_changes())
        return [str(text) for _, text in self._ksr.named("log")]

    def is_suspected(self) -> bool:
        """Tell whether the SRS is asked at once."""
        self.health.watch.care()
        return self.health.asked() == [A]


@pytest.fixture
def school(client: Client, prefix: str, ksr: StrictKsr) -> School:
    return School(Store(client, prefix), ksr)


def line(school: School, what: str) -> str:
    return f"{CALL_SID} {school.recording.sid} leg 1 {A} {what}\n"


def test_each_transition_of_a_leg_is_a_line(school: School) -> None:
    assert school.learn() == [line(school, "- Started forking")]
    assert school.learn(FORK_OFFERED, answered()) == [
        line(school, "forking ForkOffered inviting"),
        line(school, "inviting SrsAnswered connecting"),
    ]
    assert school.learn() == []


def test_srs_that_takes_a_call_closes_its_circuit(school: School) -> None:
    school.learn()
    school.pools.failed(POOL, A, "503", NOW_MS)
    assert CLOSED not in school.learn(FORK_OFFERED, answered())
    assert CLOSED in school.learn(e.ForkAnswered())
    # Only when the recording begins: what comes later says nothing new.
    school.pools.failed(POOL, A, "503", NOW_MS)
    assert CLOSED not in school.learn(e.Stopped())


def test_srs_that_fails_a_call_is_counted_and_suspected(school: School) -> None:
    logged = school.learn(FORK_OFFERED, refused(503))
    assert [text for text in logged if text.startswith(OPEN)] != []
    assert school.is_suspected()
    # The rest of its ending is no second failure.
    assert not any("circuit" in text for text in school.learn(e.ForkReleased()))
    assert not school.is_suspected()


def test_refusal_that_each_srs_would_give_is_nobodys_fault(school: School) -> None:
    logged = school.learn(FORK_OFFERED, refused(603))
    assert not any("circuit" in text for text in logged)
    assert not school.is_suspected()


@pytest.mark.parametrize("is_away", [True, False])
def test_outcome_without_a_connector_is_logged_all_the_same(school: School, is_away: bool) -> None:
    school.is_away, school.known = is_away, None
    logged = school.learn(FORK_OFFERED, refused(503))
    assert len(logged) == 3
    assert not any("circuit" in text for text in logged)
    assert not school.is_suspected()
