"""Documents of real numbers at a real web server that is slow, fails, redirects, or comes back."""

from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from threading import Event
from urllib.parse import parse_qs, urlsplit

import pytest
from twilio.request_validator import RequestValidator

from siprec.model import StreamState
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.stack import Settings
from tests.scenarios.stage import RECORD, Stage, dial
from tests.scenarios.test_callbacks import token_of
from tests.web.servers import Answer, Asked, Server, say

pytestmark = pytest.mark.daemon

SETTINGS: Settings = {"control": {"allow_private_urls": ["127.0.0.0/8"]}}
XML = {"Content-Type": "application/xml"}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Phone]:
    """Give who answers where the default route leads to."""
    with Phone("gateway", ("127.0.0.1", 0)) as phone:
        yield phone


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, gateway: Phone) -> Iterator[Stage]:
    """Give a stack whose documents may come from loopback."""
    route = {"gateway": f"sip:127.0.0.1:{gateway.wire.address[1]}"}
    settings = {**SETTINGS, "routing": route}
    with Stage(tmp_path_factory.mktemp("twiml"), settings=settings) as made:
        gateway.proxy = ("127.0.0.1", made.stack.sip_port)
        yield made


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Close at the end what a test has opened."""
    with ExitStack() as stack:
        yield stack


def document(*verbs: str) -> bytes:
    """Write a document."""
    return f"<Response>{''.join(verbs)}</Response>".encode()


def number(stage: Stage, *options: str) -> str:
    """Set a number that no test used before."""
    made = stage.number("<Reject/>")
    stage.stack.cli("number", "set", made, *options)
    return made


def served(stage: Stage, opened: ExitStack, answer: Answer) -> Server:
    """Start a web server."""
    return opened.enter_context(Server(answer))


def recorded(stage: Stage, caller: Phone, callee: Phone) -> None:
    """Let the call be answered; it is recorded, and ends."""
    answer(caller, callee)
    stage.wait_recording(caller)
    hang_up(caller, callee)
    stage.wait_stream(caller, StreamState.STOPPED)


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_document_is_fetched_with_the_parameters_of_the_call_and_signed(
    stage: Stage, opened: ExitStack, method: str
) -> None:
    caller, callee = stage.pair()
    server = served(stage, opened, say(200, document(RECORD, dial(callee)), XML))
    called = number(stage, "--url", f"{server.url}voice?a=b", "--method", method)
    caller.invite(called)
    recorded(stage, caller, callee)
    (asked,) = server.asked
    query = urlsplit(asked.path).query
    text = query if method == "GET" else asked.body.decode()
    fields = {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}
    call = stage.wait_call(caller)
    assert fields["CallSid"] == call.sid
    assert (fields["To"], fields["CallStatus"]) == (called, "ringing")
    url = f"{server.url.rstrip('/')}{asked.path}"
    validator = RequestValidator(token_of(stage))
    form = {} if method == "GET" else fields
    assert validator.validate(url, form, asked.headers["x-twilio-signature"])
    assert stage.alerts(caller) == []


def test_document_is_kept_as_long_as_its_headers_say(stage: Stage, opened: ExitStack) -> None:
    caller, callee = stage.pair()
    kept = {"Cache-Control": "max-age=600"}
    server = served(stage, opened, say(200, document(RECORD, dial(callee)), kept))
    called = number(stage, "--url", server.url)
    for _ in range(2):
        caller.invite(called)
        recorded(stage, caller, callee)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("broken", "code"),
    [(say(500), 11200), (say(200, b"<Response><Dial>"), 12100), (say(200, b"<Oops/>"), 12200)],
)
def test_document_that_is_no_use_is_taken_from_elsewhere(
    stage: Stage, opened: ExitStack, broken: Answer, code: int
) -> None:
    caller, callee = stage.pair()
    first = served(stage, opened, broken)
    second = served(stage, opened, say(200, document(RECORD, dial(callee)), XML))
    caller.invite(number(stage, "--url", first.url, "--fallback-url", second.url))
    recorded(stage, caller, callee)
    (alert,) = stage.alerts(caller)
    assert alert.code == code
    assert first.url in alert.text
    assert alert.request is not None
    assert (alert.request.url, alert.request.method) == (first.url, "POST")


def test_document_that_does_not_come_in_the_time_of_its_fragment_is_taken_from_elsewhere(
    stage: Stage, opened: ExitStack
) -> None:
    caller, callee = stage.pair()
    is_over = Event()
    opened.callback(is_over.set)

    def never(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        is_over.wait(60)

    first = served(stage, opened, never)
    second = served(stage, opened, say(200, document(RECORD, dial(callee)), XML))
    caller.invite(number(stage, "--url", f"{first.url}#rt=300", "--fallback-url", second.url))
    recorded(stage, caller, callee)
    (alert,) = stage.alerts(caller)
    assert alert.code == 11200
    assert "300 ms" in alert.text


def test_number_with_a_document_of_its_own_follows_that_in_the_end(
    stage: Stage, opened: ExitStack
) -> None:
    caller, callee = stage.pair()
    gone = served(stage, opened, say(404))
    own = stage.stack.folder / "own.xml"
    own.write_bytes(document(RECORD, dial(callee)))
    caller.invite(number(stage, "--url", gone.url, "--twiml", str(own)))
    recorded(stage, caller, callee)
    assert [alert.code for alert in stage.alerts(caller)] == [11200]


def test_call_without_any_document_goes_by_the_default_route_unrecorded(
    stage: Stage, gateway: Phone
) -> None:
    caller, _ = stage.pair()
    caller.invite(number(stage, "--url", "http://169.254.169.254/latest"))
    answer(caller, gateway)
    alerts = poll(lambda: stage.alerts(caller))
    assert stage.streams(caller) == []
    hang_up(caller, gateway)
    assert {alert.code for alert in alerts} == {11200}
    assert any("may not be reached" in alert.text for alert in alerts)


def test_redirect_is_followed_and_streams_started_before_it_count(
    stage: Stage, opened: ExitStack
) -> None:
    caller, callee = stage.pair()

    def reply(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        last = document(dial(callee))
        first = document(RECORD, '<Redirect method="GET">/next?x=y</Redirect>')
        say(200, last if asked.path.startswith("/next") else first, XML)(handler, asked)

    server = served(stage, opened, reply)
    caller.invite(number(stage, "--url", server.url))
    recorded(stage, caller, callee)
    assert [asked.method for asked in server.asked] == ["POST", "GET"]
    assert stage.alerts(caller) == []


def test_redirects_without_end_are_ended(stage: Stage, opened: ExitStack) -> None:
    caller, _ = stage.pair()
    server = served(stage, opened, say(200, document("<Redirect>/again</Redirect>"), XML))
    caller.invite(number(stage, "--url", server.url))
    caller.ack_refusal(caller.expect(480))
    assert len(server.asked) == 10
    (alert,) = poll(lambda: stage.alerts(caller))
    assert (alert.code, "10 documents" in alert.text) == (12200, True)


def test_caller_who_gives_up_while_the_document_is_fetched_rings_nobody(
    stage: Stage, opened: ExitStack
) -> None:
    caller, callee = stage.pair()
    go_on = Event()

    def slow(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        go_on.wait(20)
        say(200, document(RECORD, dial(callee)), XML)(handler, asked)

    server = served(stage, opened, slow)
    caller.invite(number(stage, "--url", server.url))
    poll(lambda: server.asked)
    caller.cancel()
    replies = [caller.expect(200, 487) for _ in range(2)]
    assert {(reply.method, reply.status) for reply in replies} == {("CANCEL", 200), ("INVITE", 487)}
    caller.ack_refusal(next(reply for reply in replies if reply.status == 487))
    go_on.set()
    assert callee.hears_nothing()
