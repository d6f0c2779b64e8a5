"""The harness itself: a call over a stack of its own, and sounds that are what they should be."""

from itertools import pairwise

import pytest

from siprec_srs.g711 import LAWS
from tests.scenarios.polling import poll
from tests.scenarios.rig import Rig
from tests.scenarios.sounds import FRAME_BYTES, frames, gaps, place_in, tone


@pytest.mark.daemon
def test_stack_carries_a_call_and_ends(rig: Rig) -> None:
    stack = rig.stack()
    callee = rig.sipp("basic-call/callee.xml", port=stack.gateway_port)
    caller = rig.sipp(
        "basic-call/caller.xml",
        port=stack.ports.take(),
        remote=stack.proxy,
        service="+15550001",
        duration_ms=100,
        keys={"caller_name": "Ann"},
    )
    assert caller.done().succeeded == 1
    assert callee.done().succeeded == 1
    poll(lambda: not stack.store.calls())
    assert stack.pids("src")
    assert stack.errors() == []
    stack.stop()
    assert stack.pids("src") == []


def test_frames_are_found_where_they_were_cut_out() -> None:
    sent = frames("a", 10)
    part = (sent * 3)[4 * FRAME_BYTES : 27 * FRAME_BYTES]
    assert place_in(part, sent) == 4
    torn = part[:FRAME_BYTES] + part[3 * FRAME_BYTES :]
    assert place_in(torn, sent) is None
    assert (gaps(part, sent), gaps(torn, sent)) == ([], [(1, 2)])
    assert place_in(part, frames("b", 10)) is None


@pytest.mark.parametrize("law", ["PCMA", "PCMU"])
def test_tone_decodes_to_a_sine(law: str) -> None:
    decoded = memoryview(LAWS[law].decode(tone(1000, 0.1, is_ulaw=law == "PCMU"))).cast("h")
    assert max(decoded) == pytest.approx(16384, rel=0.05)
    assert min(decoded) == pytest.approx(-16384, rel=0.05)
    crossings = sum(a < 0 <= b for a, b in pairwise(decoded))
    assert crossings == pytest.approx(100, abs=2)
