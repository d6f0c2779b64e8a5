"""Documents of live calls while workers die, newer ones come, and calls end."""

from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from threading import Event

import pytest
from twilio.base.exceptions import TwilioRestException

from siprec.model import StreamState
from tests.scenarios.live_calls import AGAIN, SETTINGS, START, STOP, WAIT_S, Calls, doc, document
from tests.scenarios.phone import hang_up
from tests.scenarios.stage import Stage
from tests.scenarios.test_faults import kill
from tests.web.servers import Asked, Server

pytestmark = pytest.mark.daemon


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Give a stack whose documents may come from loopback."""
    with Stage(tmp_path_factory.mktemp("live-faults"), settings=SETTINGS) as made:
        yield made


@pytest.fixture
def calls(stage: Stage) -> Calls:
    return Calls(stage)


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Close at the end what a test has opened."""
    with ExitStack() as stack:
        yield stack


def test_worker_that_is_killed_during_a_pause_is_succeeded(calls: Calls) -> None:
    caller, callee, sid = calls.answered()
    calls.client.calls(sid).update(twiml=document(START, '<Pause length="3"/>', STOP, AGAIN))
    calls.wait(caller, "live", StreamState.RECORDING)
    kill(calls.stage.stack.pids("callbacks"))
    calls.wait(caller, "live", StreamState.STOPPED)
    calls.wait(caller, "again", StreamState.RECORDING)
    calls.done(sid)
    assert len(calls.stage.streams(caller)) == 2
    hang_up(caller, callee)
    assert calls.stage.alerts(caller) == []


def test_worker_that_is_killed_while_it_fetches_is_succeeded(
    calls: Calls, opened: ExitStack
) -> None:
    first = Event()

    def hang_once(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        if not first.is_set():
            first.set()
            handler.rfile.read(1)
        else:
            doc(START)(handler, asked)

    server = opened.enter_context(Server(hang_once))
    caller, callee, sid = calls.answered()
    calls.client.calls(sid).update(url=f"{server.url}#rt=15000")
    assert first.wait(WAIT_S)
    kill(calls.stage.stack.pids("callbacks"))
    calls.wait(caller, "live", StreamState.RECORDING)
    calls.done(sid)
    assert len(server.asked) == 2
    assert len(calls.stage.streams(caller)) == 1
    hang_up(caller, callee)
    assert calls.stage.alerts(caller) == []


def test_newer_update_takes_the_place_of_a_document_that_waits(calls: Calls) -> None:
    caller, callee, sid = calls.answered()
    calls.client.calls(sid).update(twiml=document('<Pause length="1"/>', START))
    calls.client.calls(sid).update(twiml=document('<Pause length="3"/>', AGAIN))
    calls.wait(caller, "again", StreamState.RECORDING)
    assert set(calls.states(caller)) == {"again"}
    calls.done(sid)
    hang_up(caller, callee)


def test_newer_update_takes_the_place_of_a_document_that_is_fetched(
    calls: Calls, opened: ExitStack
) -> None:
    came, go_on, gone = Event(), Event(), Event()

    def slow(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        came.set()
        go_on.wait(WAIT_S)
        doc(START)(handler, asked)
        gone.set()

    server = opened.enter_context(Server(slow))
    caller, callee, sid = calls.answered()
    calls.client.calls(sid).update(url=server.url)
    assert came.wait(WAIT_S)
    calls.client.calls(sid).update(twiml=document('<Pause length="2"/>', AGAIN))
    go_on.set()
    assert gone.wait(WAIT_S)
    calls.wait(caller, "again", StreamState.RECORDING)
    assert set(calls.states(caller)) == {"again"}
    calls.done(sid)
    hang_up(caller, callee)
    assert calls.stage.alerts(caller) == []


def test_call_that_is_over_meanwhile_ends_its_document_silently(
    calls: Calls, opened: ExitStack
) -> None:
    server = opened.enter_context(Server(doc(START)))
    caller, callee, sid = calls.answered()
    waits = document('<Pause length="2"/>', f"<Redirect>{server.url}</Redirect>")
    calls.client.calls(sid).update(twiml=waits)
    hang_up(caller, callee)
    calls.stage.wait_call_over(caller)
    calls.done(sid)
    assert server.asked == []
    assert calls.stage.alerts(caller) == []
    with pytest.raises(TwilioRestException) as caught:
        calls.client.calls(sid).update(url=server.url)
    assert (caught.value.status, caught.value.code) == (400, 21220)
