"""Real stacks, recorders and SIPps for a test, ended with it, their logs shown when it fails."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.scenarios.many_srs import ManySrsStage
from tests.scenarios.rig import Rig
from tests.scenarios.secure_stage import SecureStage
from tests.scenarios.stack import Settings
from tests.scenarios.stage import Stage
from tests.scenarios.studio import Studio

_TAIL_LINES = 200

STAGE: Settings = {
    "routing": {"gateway": None},
    "sip": {"allow": ["127.0.0.1/32", "127.0.0.3/32", "::1/128"]},
    "rtpengine": {"interface": "127.0.0.1,::1"},
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Give a place for what many tests of a file share, such as one stack."""
    with Rig(tmp_path_factory.mktemp("shared")) as rig:
        yield rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Give a place where a test starts stacks, recorders and SIPps of its own."""
    with Rig(tmp_path) as own:
        yield own


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Give one stack with its recorders and callee for all tests that do it no harm."""
    with Studio(tmp_path_factory.mktemp("studio")) as studio:
        yield studio
        assert studio.callee.errors == ""


@pytest.fixture
def no_errors(studio: Studio) -> Iterator[None]:
    """Check after the test that it brought no error line into the studio's log."""
    before = len(studio.stack.errors())
    yield
    assert studio.stack.errors()[before:] == []


@pytest.fixture(scope="session")
def any_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Give one stack for every test of calls; IPv4 and IPv6, without a gateway."""
    with Stage(tmp_path_factory.mktemp("stage"), settings=STAGE) as stage:
        yield stage


@pytest.fixture
def stage(any_stage: Stage) -> Iterator[Stage]:
    """Give the stack of all, which must not log an error during the test."""
    any_stage.new_errors()
    yield any_stage
    assert any_stage.new_errors() == []


@pytest.fixture(scope="session")
def any_secure_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureStage]:
    """Give one stack with TLS proxies, edges and certificates for every test of protection."""
    with SecureStage(tmp_path_factory.mktemp("secure")) as stage:
        yield stage


@pytest.fixture
def secure_stage(any_secure_stage: SecureStage) -> Iterator[SecureStage]:
    """Give the stack of all with TLS, which must not log an error during the test."""
    any_secure_stage.new_errors()
    yield any_secure_stage
    assert any_secure_stage.new_errors() == []


@pytest.fixture(scope="session")
def any_many_srs_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManySrsStage]:
    """Give one stack for every test of connectors with several recorders."""
    with ManySrsStage(tmp_path_factory.mktemp("many")) as stage:
        yield stage


@pytest.fixture
def many_srs_stage(any_many_srs_stage: ManySrsStage) -> Iterator[ManySrsStage]:
    """Give the stack of all for several recorders, which must not log an error during the test."""
    any_many_srs_stage.new_errors()
    yield any_many_srs_stage
    assert any_many_srs_stage.new_errors() == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the end of every log to the report of a test that failed."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            rig = value.rig if isinstance(value, Studio) else value
            if isinstance(rig, Rig | Stage):
                report.sections += [(name, _tail(text)) for name, text in rig.logs()]
    return report


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-_TAIL_LINES:])
