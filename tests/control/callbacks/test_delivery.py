"""One callback, sent to a real web server: what is tried, and what the answer means."""

import base64
from collections.abc import Iterator
from urllib.parse import parse_qsl

import pytest

from siprec.model import CallbackMethod
from siprec.record import RecordError
from siprec.store import StoreUnavailable
from siprec_control.callbacks.delivery import Delivery, Outcome
from siprec_control.callbacks.queues import Fault
from siprec_web.fetch import Fetcher
from siprec_web.guard import Guard
from tests.control.callbacks.receiver import Receiver
from tests.control.callbacks.sending import LOOPBACK, TOKEN, delivery
from tests.siprec.callbacks import callback

pytestmark = pytest.mark.daemon


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


def fault_of(outcome: Outcome) -> Fault:
    """Give why it was not delivered."""
    assert outcome.fault is not None
    return outcome.fault


@pytest.mark.parametrize("status", [200, 204])
def test_answer_2xx_is_a_delivery(receiver: Receiver, status: int) -> None:
    receiver.answer = lambda request: status
    assert delivery().send(callback(receiver.url())) == Outcome()
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("status", "is_final"), [(400, True), (404, True), (408, False), (429, False), (500, False)]
)
def test_answer_that_is_an_error_is_15003_and_only_some_are_final(
    receiver: Receiver, status: int, is_final: bool
) -> None:
    receiver.answer = lambda request: status
    made = callback(receiver.url("/x?key=secret"))
    outcome = delivery().send(made)
    place = f"siprec-started to POST http://127.0.0.1:{receiver.port}/x"
    fault = fault_of(outcome)
    assert (fault.code, fault.text) == (15003, f"{place}: the answer was {status}")
    request = fault.request
    assert request is not None
    assert (request.url, request.method) == (receiver.url("/x"), "POST")
    assert dict(parse_qsl(request.variables, keep_blank_values=True)) == made.fields
    assert (request.status, request.body) == (status, "")
    assert "content-length=0" in request.headers
    assert (outcome.is_final, outcome.is_deaf) == (is_final, False)
    assert len(receiver.requests) == 1


def test_fragment_says_how_often_it_is_tried_with_the_same_token(receiver: Receiver) -> None:
    answers = iter([503, 404, 200])
    receiver.answer = lambda request: next(answers)
    made = callback(receiver.url(fragment="rc=2&rp=4xx,5xx"), method=CallbackMethod.GET)
    assert delivery().send(made) == Outcome()
    assert {request.token for request in receiver.requests} == {made.event.token}
    assert all(request.is_signed_with(TOKEN) for request in receiver.requests)
    assert len(receiver.requests) == 3
    # The fragment was not sent.
    assert "rc" not in receiver.requests[0].url


def test_server_that_does_not_answer_is_deaf(receiver: Receiver) -> None:
    receiver.answer = receiver.hang
    outcome = delivery().send(callback(receiver.url(fragment="rt=200&rc=0")))
    assert fault_of(outcome).code == 11200
    assert (outcome.is_final, outcome.is_deaf) == (False, True)


def test_server_that_is_not_there_is_deaf() -> None:
    with Receiver() as gone:
        url = gone.url()
    outcome = delivery().send(callback(url))
    assert fault_of(outcome).code == 11200
    assert (outcome.is_final, outcome.is_deaf) == (False, True)


def test_login_is_basic_authentication_and_stands_neither_in_the_signed_url_nor_in_faults(
    receiver: Receiver,
) -> None:
    receiver.answer = lambda request: 403
    url = receiver.url().replace("//", "//ann:s%2Fhush@")
    outcome = delivery().send(callback(url))
    (request,) = receiver.requests
    login = base64.b64encode(b"ann:s/hush").decode()
    assert request.headers["authorization"] == f"Basic {login}"
    assert request.is_signed_with(TOKEN)
    assert "hush" not in fault_of(outcome).text


@pytest.mark.parametrize("url", ["https://", "ftp://a.example/", "https://a.example/#rc=9"])
def test_url_that_cannot_be_used_is_final(url: str) -> None:
    outcome = delivery().send(callback(url))
    assert (fault_of(outcome).code, outcome.is_final) == (11200, True)


def test_address_that_may_not_be_reached_is_final(receiver: Receiver) -> None:
    strict = Delivery(Fetcher(Guard()), lambda sid: TOKEN)
    outcome = strict.send(callback(receiver.url()))
    assert (fault_of(outcome).code, outcome.is_final) == (11200, True)
    assert receiver.requests == []


def test_account_that_is_gone_is_final(receiver: Receiver) -> None:
    outcome = delivery().send(callback(receiver.url(), account_sid="AC" + "9" * 32))
    assert (fault_of(outcome).code, outcome.is_final) == (11200, True)
    assert receiver.requests == []


@pytest.mark.parametrize(
    "error", [StoreUnavailable("Redis: away"), RecordError("token", "its key is missing")]
)
def test_token_that_cannot_be_read_now_is_tried_again(receiver: Receiver, error: Exception) -> None:
    def away(sid: str) -> str | None:
        raise error

    outcome = Delivery(Fetcher(Guard(allow=(LOOPBACK,))), away).send(callback(receiver.url()))
    assert f"the account's token cannot be read: {error}" in fault_of(outcome).text
    assert (outcome.is_final, outcome.is_deaf) == (False, False)
    assert receiver.requests == []
