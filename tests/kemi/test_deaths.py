"""SRSs that die while they record: what a real rtpengine heard of them decides."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from rtpengine_ng.client import ask
from rtpengine_ng.messages import subscribe_answer, subscribe_request
from siprec import events as e
from siprec.connector import Connector, Delivery, Srs
from siprec.health import SrsHealth, key_in
from siprec.model import Call, Leg, StreamState
from siprec.store import Client, Store
from siprec_kemi.clock import now_ms as real_now_ms
from siprec_kemi.src import deaths as module
from siprec_kemi.src.deaths import ASK_AGAIN_S, RTCP_SILENT_MS, TURN_S, Deaths
from siprec_kemi.src.forks import Forks
from siprec_kemi.src.pools import WRITE_MS, Pools
from tests.kemi.recording import SHARD, NgLoop, Recording, call_of, proxied_call, send_rtcp
from tests.kemi.strict_ksr import StrictKsr
from tests.rtpengine.daemon import Rtpengine
from tests.rtpengine.media import AnsweredCall, RtpEndpoint, recorder_answer
from tests.siprec.streams import ACCOUNT_SID

pytestmark = pytest.mark.daemon

A, B = "sip:a.example", "sip:b.example"
POOL = Connector(
    account_sid=ACCOUNT_SID,
    name="Pool",
    srs=(Srs(uri=A), Srs(uri=B)),
    delivery=Delivery.PARALLEL,
)
RECORDED_MS = 60_000
"""For how long the legs have recorded when the SRS is found dead."""


class CountingForks(Forks):
    """Counts the questions."""

    asked: list[int]

    def when_heard(self, call: Call, leg: Leg, heard: Callable[[int | None], None]) -> None:
        """Ask, and note of which leg."""
        self.asked.append(leg.number)
        super().when_heard(call, leg, heard)


class Deathwatch:
    """A stream that records at A and at B; A did not answer its last health check."""

    def __init__(self, store: Store, media: AnsweredCall, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1_000.0
        # rtpengine has a clock of its own.
        self.now_ms = real_now_ms()
        monkeypatch.setattr(module, "monotonic_s", lambda: self.now_s)
        monkeypatch.setattr(module, "now_ms", lambda: self.now_ms)
        self._store = store
        self.began_ms = self.now_ms - RECORDED_MS
        self.recording = Recording(call_of(media, self.began_ms), POOL, self.began_ms)
        for leg in (1, 2):
            self.recording.record(self.began_ms, leg=leg)
        self.recording.events()
        self.health = SrsHealth(
            key=key_in(POOL, A),
            reachable=False,
            text="408 Request Timeout",
            checked_ms=self.now_ms - 1_000,
            answered_ms=self.now_ms - 31_000,
        )
        self.loop = NgLoop()
        self.forks = CountingForks(
            stream_of=self.recording.recorder.stream,
            happen=lambda *_: None,
            end_call=lambda *_: None,
            register=self.loop.sockets.append,
        )
        self.forks.asked = []
        self._pools = Pools(store, "one", lambda: self.recording.recorder.sessions)
        self.deaths = Deaths(self._pools, self.recording.recorder, self.forks)
        self._pool_ms = self.now_ms

    def find(self, health: SrsHealth) -> None:
        """Let somebody's health check be known."""
        self._store.put_health(health)
        self._pool_ms += WRITE_MS
        self._pools.care(self._pool_ms)

    def care(self) -> list[e.LegEvent]:
        """Take a turn, wait for what rtpengine says, and give what happened to legs."""
        self.deaths.care()
        self.settle()
        return self.recording.events()

    def settle(self) -> None:
        """Wait until rtpengine has answered all that was asked before."""
        done: list[int | None] = []
        (file,) = self.recording.recorder.live_calls()
        Forks.when_heard(self.forks, file.call, Leg(), done.append)
        self.loop.until(self.forks, lambda: done)


@pytest.fixture
def media(rtpengine: Rtpengine, prefix: str) -> Iterator[AnsweredCall]:
    call = proxied_call(rtpengine.ng, f"call {prefix}")
    yield call
    call.close()


@pytest.fixture
def watch(
    media: AnsweredCall,
    client: Client,
    prefix: str,
    ksr: StrictKsr,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Deathwatch]:
    opened = Deathwatch(Store(client, prefix), media, monkeypatch)
    yield opened
    opened.loop.close()


def send_rtcp_of_a(watch: Deathwatch, media: AnsweredCall, recorders: list[RtpEndpoint]) -> int:
    """Fork the call to A, and let A send RTCP; give when rtpengine had it, in its seconds."""
    tags, fork_tag = [media.caller.tag, media.callee.tag], watch.recording.leg().fork_tag
    reply = ask(media.ng, subscribe_request(media.call_id, tags, fork_tag))
    ask(media.ng, subscribe_answer(media.call_id, fork_tag, recorder_answer(*recorders)))
    send_rtcp(recorders[0], str(reply["sdp"]))
    heard: list[int | None] = []

    def is_heard() -> bool:
        (file,) = watch.recording.recorder.live_calls()
        Forks.when_heard(watch.forks, file.call, watch.recording.leg(), heard.append)
        return any(heard)

    watch.loop.until(watch.forks, is_heard)
    watch.settle()
    heard_ms = heard[-1]
    assert heard_ms is not None
    return heard_ms


def test_srs_without_rtcp_is_dead_since_it_last_answered(watch: Deathwatch) -> None:
    watch.find(watch.health)
    text = "408 Request Timeout, and no RTCP comes"
    assert watch.care() == [e.SrsDied(text=text, since_ms=watch.health.answered_ms)]
    assert watch.recording.leg().state is StreamState.STOPPING
    # The other leg has an SRS that nobody found dead.
    assert watch.recording.leg(2).state is StreamState.RECORDING
    assert watch.forks.asked == [1]


def test_srs_that_never_answered_is_dead_since_it_began_to_record(watch: Deathwatch) -> None:
    watch.find(replace(watch.health, answered_ms=0, text=""))
    text = "OPTIONS is not answered, and no RTCP comes"
    assert watch.care() == [e.SrsDied(text=text, since_ms=watch.began_ms)]


def test_srs_that_answered_in_the_future_of_another_clock_is_dead_now(watch: Deathwatch) -> None:
    watch.find(replace(watch.health, answered_ms=watch.now_ms + 5_000))
    (died,) = watch.care()
    assert isinstance(died, e.SrsDied)
    assert died.since_ms == watch.now_ms


def test_srs_that_sends_rtcp_lives_until_it_is_silent(
    watch: Deathwatch, media: AnsweredCall, recorders: list[RtpEndpoint]
) -> None:
    heard_ms = send_rtcp_of_a(watch, media, recorders)
    watch.find(watch.health)
    watch.now_ms = heard_ms + RTCP_SILENT_MS - 1
    assert watch.care() == []
    watch.now_s += TURN_S
    watch.now_ms += 1
    (died,) = watch.care()
    assert isinstance(died, e.SrsDied)
    assert died.since_ms == heard_ms
    assert watch.forks.asked == [1, 1]


def test_leg_that_began_after_the_check_is_a_last_resort_and_is_left(watch: Deathwatch) -> None:
    watch.find(replace(watch.health, checked_ms=watch.began_ms))
    assert watch.care() == []
    assert watch.forks.asked == [1]


def test_srs_that_answers_is_not_asked_after(watch: Deathwatch) -> None:
    watch.find(replace(watch.health, reachable=True))
    assert (watch.care(), watch.forks.asked) == ([], [])


def test_leg_that_ended_before_the_answer_came_is_left(watch: Deathwatch) -> None:
    watch.find(watch.health)
    watch.deaths.care()
    watch.recording.recorder.drop(SHARD)
    watch.loop.until(watch.forks, lambda: watch.forks.next_due_s() is None)
    assert (watch.recording.events(), watch.forks.asked) == ([], [1])


def test_leg_that_does_not_record_is_not_asked_after(watch: Deathwatch) -> None:
    watch.recording.happen(watch.now_ms, e.Stopped())
    watch.recording.events()
    watch.find(watch.health)
    assert (watch.care(), watch.forks.asked) == ([], [])


# How often


def test_legs_are_looked_at_once_a_turn_and_asked_after_less_often(watch: Deathwatch) -> None:
    # A last resort: nothing is ever made of what rtpengine says.
    watch.find(replace(watch.health, checked_ms=watch.began_ms))
    watch.care()
    assert watch.deaths.due_s == watch.now_s + TURN_S
    again_s = watch.now_s + ASK_AGAIN_S
    while watch.deaths.due_s < again_s:
        watch.now_s = watch.deaths.due_s
        watch.care()
    watch.now_s = again_s - 0.5
    watch.care()
    assert watch.forks.asked == [1]
    watch.now_s = again_s
    watch.care()
    assert watch.forks.asked == [1, 1]


def test_leg_whose_srs_sent_rtcp_is_asked_after_when_that_is_long_enough_ago(
    watch: Deathwatch, media: AnsweredCall, recorders: list[RtpEndpoint]
) -> None:
    watch.now_ms = send_rtcp_of_a(watch, media, recorders) + 5_000
    watch.find(watch.health)
    began_s, began_ms = watch.now_s, watch.now_ms
    for after_s in range(0, RTCP_SILENT_MS // 1_000 - 5):
        watch.now_s, watch.now_ms = began_s + after_s, began_ms + after_s * 1_000
        assert watch.care() == []
    assert watch.forks.asked == [1]
    watch.now_s, watch.now_ms = watch.now_s + 1, watch.now_ms + 1_000
    assert [type(event) for event in watch.care()] == [e.SrsDied]


def test_srs_that_recovered_and_fails_again_is_asked_after_at_once(
    watch: Deathwatch, media: AnsweredCall, recorders: list[RtpEndpoint]
) -> None:
    send_rtcp_of_a(watch, media, recorders)
    for reachable in (False, True, False):
        watch.find(replace(watch.health, reachable=reachable))
        watch.care()
        watch.now_s += TURN_S
    assert watch.forks.asked == [1, 1]


def test_questions_are_spread_over_turns(
    watch: Deathwatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 1)
    watch.find(watch.health)
    watch.find(replace(watch.health, key=key_in(POOL, B)))
    watch.care()
    assert watch.forks.asked == [1]
    watch.now_s += TURN_S
    watch.care()
    assert watch.forks.asked == [1, 2]
    assert watch.recording.leg(2).state is StreamState.STOPPING
