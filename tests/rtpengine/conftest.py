"""Fixtures: a real rtpengine, and an answered call in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rtpengine.daemon import Rtpengine
from tests.rtpengine.media import AnsweredCall


@pytest.fixture
def rtpengine(tmp_path: Path) -> Iterator[Rtpengine]:
    """Run an rtpengine for this test alone."""
    with Rtpengine(tmp_path) as daemon:
        yield daemon


@pytest.fixture
def call(rtpengine: Rtpengine) -> Iterator[AnsweredCall]:
    """Anchor an answered call in `rtpengine`."""
    answered = AnsweredCall(rtpengine.ng, "call-1")
    yield answered
    answered.close()
