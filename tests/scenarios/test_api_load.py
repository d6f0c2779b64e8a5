"""Whatever happens to the API, calls are set up as if it were not there: `make bench-api` in short.

Times of one run are compared, of rounds that alternate. What must not be is a call that waits for
the API: it would wait for seconds where set-up takes milliseconds.
"""

from contextlib import closing
from pathlib import Path

import pytest

from bench.api import KEYS, Api, compare
from bench.hammer import TOO_MANY
from tests.scenarios.ports import PortBlock

pytestmark = [pytest.mark.daemon, pytest.mark.alone]

# Half as much again is the noise of a busy machine, for which equal rounds vouch.
NOISE = 1.5
# Other stacks of this session may run beside: their ports are not for us.
RTP_PORTS = 2000


@pytest.mark.timeout(400)
def test_set_up_does_not_depend_on_the_api(tmp_path: Path) -> None:
    with closing(PortBlock(RTP_PORTS)) as ports:
        rtp_ports = ports.take_range(RTP_PORTS)
        found = compare(tmp_path, rate=25, seconds=5, times=3, rtp_ports=rtp_ports)
    idle = found[Api.IDLE]
    assert [rounds.failed for rounds in found.values()] == [0] * len(Api)
    for api in (Api.DEAD, Api.HUNG):
        apart_ms = abs(found[api].p50_ms - idle.p50_ms)
        assert apart_ms <= max(idle.between_rounds_ms, idle.p50_ms * (NOISE - 1)), found
    # Each key got what it may, and was told that it may no more.
    answers = found[Api.LIMIT].answers
    assert answers[TOO_MANY] >= KEYS
    assert answers["200"] > answers[TOO_MANY]
    best_ms = min(each.p99 for each in found[Api.LIMIT].setups)
    assert best_ms <= 2 * idle.p99_ms, found
