"""A KSR for modules that import it, and a real redis-server."""

import secrets
import sys
from collections.abc import Iterator

import pytest

from siprec.store import Client, connect
from tests.control.processes import RedisServer
from tests.kemi.strict_ksr import StrictKsr

_KSR = StrictKsr()
# Outside Kamailio there is no such module; the façades import it by name.
sys.modules["KSR"] = _KSR  # type: ignore[assignment]

from tests.kemi.fork_rig import Rig  # noqa: E402
from tests.kemi.outboxes import OpenOutbox  # noqa: E402
from tests.kemi.recording import proxied_call  # noqa: E402
from tests.rtpengine.daemon import Rtpengine  # noqa: E402
from tests.rtpengine.media import RtpEndpoint  # noqa: E402


@pytest.fixture
def ksr() -> StrictKsr:
    """Give the KSR that the façades call, as new."""
    _KSR.reset()
    return _KSR


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Give a real redis-server on a unix socket."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Client]:
    """Give a connection of ours to it."""
    connection = connect(redis_server.url)
    yield connection
    connection.close()


@pytest.fixture
def prefix() -> str:
    """Give a key prefix that no other test has."""
    return f"t{secrets.token_hex(4)}:"


@pytest.fixture
def outbox() -> Iterator[OpenOutbox]:
    """Give an outbox."""
    opened = OpenOutbox()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def rtpengine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rtpengine]:
    """Run an rtpengine for the tests of a module."""
    with Rtpengine(tmp_path_factory.mktemp("rtpengine")) as daemon:
        yield daemon


@pytest.fixture
def rig(rtpengine: Rtpengine, ksr: StrictKsr, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Give a call in it, and a stream of the call."""
    media = proxied_call(rtpengine.ng, f"call {request.node.name}")
    rig = Rig(media)
    yield rig
    rig.loop.close()
    media.close()


@pytest.fixture
def recorders() -> Iterator[list[RtpEndpoint]]:
    """Give two endpoints of a recorder, for the m-lines of a fork."""
    both = [RtpEndpoint("recorder-1"), RtpEndpoint("recorder-2")]
    yield both
    for each in both:
        each.close()
