"""Many calls that wait for documents of a slow server: others are put through as if they were not.

Times are compared within one run. A call that waited with them would take seconds.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from statistics import median
from threading import Event

import pytest

from siprec_documents.library import TOO_MANY
from siprec_kemi.proxy.shares import FETCHES
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.stage import Stage, dial
from tests.scenarios.test_faults import seconds_to_ring
from tests.scenarios.test_twiml_http import SETTINGS, XML, document, number
from tests.web.servers import Asked, Server, say

pytestmark = [pytest.mark.daemon, pytest.mark.alone]

WAITING = 100
CALLS = 9
# Noise of a busy machine, for calls of some milliseconds.
NOISE = 3


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Give a stack whose documents may come from loopback."""
    with Stage(tmp_path_factory.mktemp("twiml"), settings=SETTINGS) as made:
        yield made


@contextmanager
def slow_server() -> Iterator[tuple[Server, Callable[[], None]]]:
    """Give a server that answers nobody until it is told to; then every call is rejected."""
    go_on = Event()

    def slow(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        go_on.wait(60)
        say(200, document("<Reject/>"), XML)(handler, asked)

    with Server(slow) as server:
        try:
            yield server, go_on.set
        finally:
            go_on.set()


def callers(stage: Stage, called: str, count: int) -> list[Phone]:
    """Let so many phones call a number, over TCP: they do not repeat what a burst loses."""
    phones = [stage.phone(f"w{n}", transport="tcp") for n in range(count)]
    for phone in phones:
        phone.invite(called)
    return phones


def all_rejected(phones: list[Phone]) -> None:
    """See that every call that waited is rejected as its document says."""
    for phone in phones:
        phone.ack_refusal(phone.expect(603, within_s=30))


def test_hundred_calls_that_wait_for_a_document_slow_no_other_call(stage: Stage) -> None:
    caller, callee = stage.pair()
    other = stage.number(dial(callee))

    def set_up_s() -> float:
        return median(seconds_to_ring(caller, callee, other) for _ in range(CALLS))

    set_up_s()
    before_s = set_up_s()
    with slow_server() as (server, go_on):
        phones = callers(stage, number(stage, "--url", f"{server.url}#rt=15000"), WAITING)
        poll(lambda: len(server.asked) == WAITING, why=lambda: f"{len(server.asked)} came")
        meanwhile_s = set_up_s()
        go_on()
        all_rejected(phones)
    alone_s = max(before_s, set_up_s())
    assert meanwhile_s <= NOISE * alone_s


def test_slow_server_of_one_account_does_not_keep_another_from_its_documents(
    stage: Stage, tmp_path: Path
) -> None:
    caller, callee = stage.pair()
    share, beyond = FETCHES // 2, 10
    own = tmp_path / "own.xml"
    own.write_bytes(document('<Reject reason="busy"/>'))
    quick = say(200, document(dial(callee)), XML)
    with slow_server() as (slow, go_on), Server(quick) as server:
        theirs = number(stage, "--url", server.url)
        another = stage.stack.json("account", "add", "another")["sid"]
        set_before = stage.stack.store.number(theirs)
        assert set_before
        stage.stack.store.put_number(replace(set_before, account_sid=another))
        waited_for = number(stage, "--url", f"{slow.url}#rt=15000", "--twiml", str(own))
        phones = callers(stage, waited_for, share)
        poll(lambda: len(slow.asked) == share, why=lambda: f"{len(slow.asked)} came")
        # An account with its share of waiting calls goes by what it has: 486 instead of 603.
        late = callers(stage, waited_for, beyond)
        for phone in late:
            phone.ack_refusal(phone.expect(486))
        assert len(slow.asked) == share
        (alert,) = poll(lambda: stage.alerts(late[0]))
        assert (alert.code, alert.text) == (11200, TOO_MANY)
        caller.invite(theirs)
        answer(caller, callee)
        hang_up(caller, callee)
        assert len(server.asked) == 1
        go_on()
        all_rejected(phones)
