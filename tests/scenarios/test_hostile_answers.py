"""Five hundred damaged answers in one call: each is taken or refused, and the call never hears."""

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from siprec.alerts import Alert, AlertLevel
from siprec.errors import SdpError
from siprec.model import Stream, StreamOrder, StreamState
from siprec.sdp import Offer, Profile, check_answer
from tests.scenarios.many_srs import ManySrsStage, Spoken
from tests.scenarios.mutant_srs import CASE_HEADER, Answered, MutantSrs
from tests.scenarios.polling import poll

pytestmark = [pytest.mark.daemon, pytest.mark.alone]

SEED = 20_261_123
CASES = 500
AT_ONCE = 20
BAD_ANSWER = 32102
PROGRAMS = ("redis", "rtpengine", "proxy", "src")
# The mutant never shakes hands, and rtpengine says what it cannot send.
NO_HANDSHAKE = "SRTP output wanted, but no crypto suite was negotiated"
KINDS = (Profile.AVP, Profile.SAVP, Profile.DTLS)
FAILED, RECORDING, STOPPED = StreamState.FAILED, StreamState.RECORDING, StreamState.STOPPED

# How a stream ends, and its alerts: code and level.
Outcome = tuple[StreamState, list[tuple[int, AlertLevel]]]


@pytest.fixture
def mutant() -> Iterator[MutantSrs]:
    with MutantSrs(SEED) as mutant:
        yield mutant


def deserved(offer: Offer, answered: Answered) -> Outcome:
    """Tell what must become of a stream with such an answer."""
    if answered.sdp is None:
        return FAILED, [(BAD_ANSWER, AlertLevel.ERROR)]
    try:
        checked = check_answer(offer, answered.sdp)
    except SdpError as error:
        return FAILED, [(error.code, AlertLevel.ERROR)]
    return STOPPED, [(BAD_ANSWER, AlertLevel.WARNING)] if checked.refused else []


class Onslaught:
    """Streams of one call to the mutant: a case each, in the clear, with SDES and with DTLS."""

    def __init__(self, stage: ManySrsStage, mutant: MutantSrs, spoken: Spoken) -> None:
        self._store = stage.stack.store
        self._mutant = mutant
        self.call_sid = stage.wait_call(spoken.caller).sid
        secure = f"{mutant.uri};secure=true"
        options = ("--options-s", "0", "--failures", "100")
        starts = (
            stage.connect(mutant.uri, options=options),
            stage.connect(secure, options=(*options, "--keys-in-clear")),
            stage.connect(secure, options=(*options, "--keys-in-clear", "--keying", "dtls")),
        )
        self._connectors = [start.split('connectorName="')[1].split('"')[0] for start in starts]
        self.outcomes: Counter[tuple[Profile, StreamState]] = Counter()

    def send(self, cases: Sequence[int]) -> None:
        """Let as many streams begin at once, stop those that record, and judge all."""
        begun = {case: self._start(case) for case in cases}
        for sid in begun.values():
            if self._wait(sid, FAILED, RECORDING).state is RECORDING:
                assert self._store.orders.stop(sid).accepted
        over = {case: self._wait(sid, FAILED, STOPPED) for case, sid in begun.items()}
        alerts = self._store.alerts(5 * len(cases))
        for case, stream in over.items():
            self._judge(case, stream, [a for a in alerts if a.stream_sid == stream.sid])

    def _start(self, case: int) -> str:
        name = self._connectors[case % len(self._connectors)]
        order = StreamOrder(connector_name=name, parameters=((CASE_HEADER, str(case)),))
        verdict = self._store.orders.start(self.call_sid, order)
        assert verdict.stream_sid, verdict
        return verdict.stream_sid

    def _wait(self, sid: str, *states: StreamState) -> Stream:
        def reached() -> Stream | None:
            stream = self._store.stream(sid)
            return stream if stream is not None and stream.state in states else None

        return poll(reached, why=lambda: f"{self._store.stream(sid)}")

    def _judge(self, case: int, stream: Stream, alerts: list[Alert]) -> None:
        (leg,) = stream.legs
        answered = self._mutant.answers[leg.call_id]
        what = f"case {case}: {answered}\n{stream}\n{alerts}"
        assert leg.offer is not None, what
        assert leg.offer.sdp == answered.offer, what
        told = [(alert.code, alert.level) for alert in alerts]
        assert (stream.state, told) == deserved(leg.offer, answered), what
        assert not any(key in alert.text for alert in alerts for key in answered.keys), what
        assert self._mutant.acknowledged.count(leg.call_id) == 1, what
        assert self._mutant.hung_up.count(leg.call_id) == 1, what
        self.outcomes[KINDS[case % len(KINDS)], stream.state] += 1


def test_call_with_damaged_answers_goes_on_and_nothing_is_left(
    any_many_srs_stage: ManySrsStage, mutant: MutantSrs
) -> None:
    stage, stack = any_many_srs_stage, any_many_srs_stage.stack
    stage.new_errors()
    running = {program: stack.pids(program) for program in PROGRAMS}
    with stage.spoken_call() as spoken:
        onslaught = Onslaught(stage, mutant, spoken)
        ports = stack.rtp_ports_in_use()
        for first in range(0, CASES, AT_ONCE):
            onslaught.send(range(first, min(first + AT_ONCE, CASES)))
        spoken.talking.go_on()
        poll(lambda: stack.rtp_ports_in_use() == ports)
        assert stack.store.streams(onslaught.call_sid, live_only=True) == []
    assert {program: stack.pids(program) for program in PROGRAMS} == running
    assert [line for line in stage.new_errors() if NO_HANDSHAKE not in line] == []
    # The answers are neither harmless nor deadly.
    each = {(profile, state) for profile in KINDS for state in (FAILED, STOPPED)}
    assert onslaught.outcomes.keys() == each
    assert onslaught.outcomes.total() == len(mutant.answers) == CASES
    assert mutant.strange == []
    # Some take media, and none that came was in the clear where it must not be.
    assert min(mutant.packets[Profile.AVP], mutant.packets[Profile.SAVP]) > 0
    assert mutant.clear_packets == 0
