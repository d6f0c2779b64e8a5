"""Documents that live calls are made to follow, by Twilio's SDK, from a real web server."""

from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from threading import Event
from urllib.parse import parse_qs, urlsplit

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from siprec.alerts import Alert
from siprec.document_store import PER_ACCOUNT
from siprec.live_documents import LiveDocument
from siprec.model import StreamState
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.stack import Settings
from tests.scenarios.stage import Stage, dial
from tests.scenarios.test_callbacks import token_of
from tests.scenarios.test_faults import kill
from tests.web.servers import Answer, Asked, Server, say

pytestmark = pytest.mark.daemon

SETTINGS: Settings = {
    "control": {
        "allow_private_urls": ["127.0.0.0/8"],
        "requests_per_s": 1000,
        "requests_burst": 5000,
    }
}
START = '<Start><Siprec name="live"/></Start>'
STOP = '<Stop><Siprec name="live"/></Stop>'
AGAIN = '<Start><Siprec name="again"/></Start>'
WAIT_S = 30.0


def document(*verbs: str) -> str:
    """Write a document."""
    return f"<Response>{''.join(verbs)}</Response>"


def doc(*verbs: str) -> Answer:
    """Answer with a document."""
    return say(200, document(*verbs).encode(), {"Content-Type": "application/xml"})


def by_path(answers: dict[str, Answer]) -> Answer:
    """Answer by the path that is asked for."""

    def reply(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        answers.get(urlsplit(asked.path).path, say(404))(handler, asked)

    return reply


class Calls:
    """A stack, Twilio's client for it, and calls that nobody records yet."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.token = token_of(stage)
        sid = stage.stack.runtime.settings.account.sid
        self.client = Client(sid, self.token, sid)
        self.client.api.base_url = f"http://127.0.0.1:{stage.stack.api_port}"

    def answered(self) -> tuple[Phone, Phone, str]:
        """Place a call; give both ends and its sid."""
        caller, callee = self.stage.pair()
        caller.invite(self.stage.number(dial(callee)))
        answer(caller, callee)
        return caller, callee, self.stage.wait_call(caller).sid

    def states(self, caller: Phone) -> dict[str, StreamState]:
        """Give the streams of a call by name."""
        return {each.order.name: each.state for each in self.stage.streams(caller)}

    def wait(self, caller: Phone, name: str, state: StreamState) -> None:
        """Wait until a stream is in that state."""
        poll(
            lambda: self.states(caller).get(name) is state,
            WAIT_S,
            why=lambda: f"{self.states(caller)}, {self.stage.alerts(caller)}",
        )

    def alerts(self, caller: Phone, count: int = 1) -> list[Alert]:
        """Wait for so many alerts of a call."""
        return poll(
            lambda: found if len(found := self.stage.alerts(caller)) >= count else None,
            WAIT_S,
            why=lambda: str(self.stage.alerts(caller)),
        )

    def done(self, sid: str) -> None:
        """Wait until a call follows no document any more."""
        store = self.stage.stack.store.documents
        account = self.client.account_sid
        poll(lambda: store.count(account) == 0, WAIT_S, why=lambda: f"{sid} follows one")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Give a stack whose documents may come from loopback."""
    with Stage(tmp_path_factory.mktemp("live"), settings=SETTINGS) as made:
        yield made


@pytest.fixture
def calls(stage: Stage) -> Calls:
    return Calls(stage)


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Close at the end what a test has opened."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_url_is_fetched_signed_with_the_parameters_of_the_call_and_followed(
    calls: Calls, opened: ExitStack, method: str
) -> None:
    server = opened.enter_context(Server(doc(START)))
    caller, callee, sid = calls.answered()
    url = f"{server.url}voice?a=b"
    updated = calls.client.calls(sid).update(url=url, method=method)
    assert (updated.sid, updated.status) == (sid, "in-progress")
    calls.wait(caller, "live", StreamState.RECORDING)
    (asked,) = server.asked
    query = urlsplit(asked.path).query
    text = query if method == "GET" else asked.body.decode()
    fields = {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}
    assert (asked.method, fields["CallSid"], fields["CallStatus"]) == (method, sid, "in-progress")
    form = {} if method == "GET" else fields
    signature = asked.headers["x-twilio-signature"]
    full = f"{server.url.rstrip('/')}{asked.path}"
    assert RequestValidator(calls.token).validate(full, form, signature)
    hang_up(caller, callee)
    assert calls.stage.alerts(caller) == []
    calls.done(sid)


def test_redirects_lead_on_relative_ones_too_and_a_pause_waits(
    calls: Calls, opened: ExitStack
) -> None:
    server = opened.enter_context(
        Server(
            by_path(
                {
                    "/a/first": doc(START, '<Redirect method="GET">second?x=y</Redirect>'),
                    "/a/second": doc('<Pause length="1"/>', "<Redirect>/last</Redirect>"),
                    "/last": doc(STOP),
                }
            )
        )
    )
    caller, callee, sid = calls.answered()
    calls.client.calls(sid).update(url=f"{server.url}a/first")
    calls.wait(caller, "live", StreamState.STOPPED)
    assert [asked.method for asked in server.asked] == ["POST", "GET", "POST"]
    assert server.asked[1].path.startswith("/a/second?x=y&")
    calls.done(sid)
    hang_up(caller, callee)
    assert calls.stage.alerts(caller) == []


def test_redirects_without_end_are_ended_with_an_alert_and_the_call_goes_on(
    calls: Calls, opened: ExitStack
) -> None:
    server = opened.enter_context(Server(doc("<Redirect>/again</Redirect>")))
    caller, callee, sid = calls.answered()
    calls.client.calls(sid).update(url=server.url)
    (alert,) = calls.alerts(caller)
    assert (alert.code, "20 were followed" in alert.text) == (12200, True)
    assert len(server.asked) == 21
    calls.done(sid)
    assert calls.client.calls(sid).fetch().status == "in-progress"
    hang_up(caller, callee)


def test_what_stands_before_a_pause_is_done_at_once_and_the_rest_later(calls: Calls) -> None:
    caller, callee, sid = calls.answered()
    calls.client.calls(sid).update(twiml=document(START, '<Pause length="1"/>', STOP, AGAIN))
    assert set(calls.states(caller)) == {"live"}
    calls.wait(caller, "live", StreamState.STOPPED)
    calls.wait(caller, "again", StreamState.RECORDING)
    calls.done(sid)
    hang_up(caller, callee)
    assert calls.stage.alerts(caller) == []


def test_twiml_with_a_redirect_goes_on_with_what_is_fetched(
    calls: Calls, opened: ExitStack
) -> None:
    server = opened.enter_context(Server(doc(STOP)))
    caller, callee, sid = calls.answered()
    calls.client.calls(sid).update(twiml=document(START, f"<Redirect>{server.url}</Redirect>"))
    calls.wait(caller, "live", StreamState.STOPPED)
    hang_up(caller, callee)
    assert calls.stage.alerts(caller) == []


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (say(500), 11200),
        (say(200, b"<Response><Start>"), 12100),
        (doc("<Say>hello</Say>"), 12200),
        (doc(START, "<Dial>+1555</Dial>"), 12200),
    ],
)
def test_fall_back_is_followed_where_the_first_url_is_no_use(
    calls: Calls, opened: ExitStack, broken: Answer, code: int
) -> None:
    first, second = opened.enter_context(Server(broken)), opened.enter_context(Server(doc(AGAIN)))
    caller, callee, sid = calls.answered()
    calls.client.calls(sid).update(url=first.url, fallback_url=second.url, fallback_method="GET")
    calls.wait(caller, "again", StreamState.RECORDING)
    assert [asked.method for asked in second.asked] == ["GET"]
    assert set(calls.states(caller)) == {"again"}
    (alert,) = calls.alerts(caller)
    assert (alert.code, first.url in alert.text) == (code, True)
    assert alert.request is not None
    assert (alert.request.url, alert.request.variables[:9]) == (first.url, "AccountSi")
    calls.done(sid)
    hang_up(caller, callee)


def test_verb_that_makes_no_sense_is_named_in_the_alert(calls: Calls, opened: ExitStack) -> None:
    server = opened.enter_context(Server(doc(START, "<Reject/>")))
    caller, callee, sid = calls.answered()
    calls.client.calls(sid).update(url=server.url)
    (alert,) = calls.alerts(caller)
    assert (alert.code, "<Reject> cannot be followed" in alert.text) == (12200, True)
    calls.done(sid)
    assert calls.states(caller) == {}
    hang_up(caller, callee)


def test_private_address_is_not_reached_and_an_alert_says_so(calls: Calls) -> None:
    caller, callee, sid = calls.answered()
    calls.client.calls(sid).update(url="http://169.254.169.254/latest")
    (alert,) = calls.alerts(caller)
    assert (alert.code, "may not be reached" in alert.text) == (11200, True)
    calls.done(sid)
    hang_up(caller, callee)


def test_step_that_is_refused_is_an_alert_and_the_next_one_follows(
    calls: Calls, opened: ExitStack
) -> None:
    nobody = '<Start><Siprec name="x" connectorName="Nobody"/></Start>'
    server = opened.enter_context(Server(doc(STOP, nobody, AGAIN)))
    caller, callee, sid = calls.answered()
    calls.client.calls(sid).update(url=server.url)
    calls.wait(caller, "again", StreamState.RECORDING)
    calls.done(sid)
    assert sorted(alert.code for alert in calls.alerts(caller, 2)) == [31940, 31952]
    hang_up(caller, callee)


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


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"url": "ftp://h/"}, "Url: URL must begin"),
        ({"url": "/relative"}, "Url: "),
        ({"url": "http://h/#rc=99"}, "Url: URL fragment: rc"),
        ({"url": "http://h/", "method": "PUT"}, "Method: 'PUT'"),
        ({"url": "http://h/", "fallback_url": "http://"}, "FallbackUrl: "),
        ({"url": "http://h/", "fallback_url": "http://g/", "fallback_method": "x"}, "FallbackMet"),
        ({"url": "http://h/", "fallback_method": "GET"}, "FallbackUrl: is missing"),
        ({"url": "http://h/", "twiml": "<Response/>"}, "One of Status, Twiml and Url"),
        ({"method": "GET"}, "One of Status, Twiml and Url"),
        ({"twiml": "<Response/>", "method": "GET"}, "Method: does not go with Twiml"),
        ({"status": "completed", "method": "GET"}, "Method: goes with Url only"),
        ({"twiml": document(START, "<Pause/>", "<Dial>+1555</Dial>")}, "Twiml: line 1: <Dial>"),
        ({"twiml": document("<Redirect>next</Redirect>")}, "Twiml: line 1: <Redirect>"),
    ],
)
def test_field_that_cannot_be_used_is_named_and_nothing_is_done(
    calls: Calls, fields: dict[str, str], named: str
) -> None:
    caller, callee, sid = calls.answered()
    with pytest.raises(TwilioRestException) as caught:
        calls.client.calls(sid).update(**fields)
    assert caught.value.status == 400
    assert named in caught.value.msg
    assert calls.states(caller) == {}
    assert calls.stage.stack.store.documents.count(calls.client.account_sid) == 0
    hang_up(caller, callee)


def test_documents_of_an_account_are_so_many_at_most(calls: Calls) -> None:
    caller, callee, sid = calls.answered()
    store, account = calls.stage.stack.store.documents, calls.client.account_sid
    others = [f"CA00{number:022x}00000000" for number in range(PER_ACCOUNT)]
    for other in others:
        store.put(LiveDocument(token="t", call_sid=other, account_sid=account), delay_ms=600_000)
    waits = document(START, "<Pause/>", STOP)
    with pytest.raises(TwilioRestException) as caught:
        calls.client.calls(sid).update(twiml=waits)
    assert (caught.value.status, caught.value.code) == (429, 20429)
    assert calls.states(caller) == {}
    for other in others:
        store.remove(account, other)
    calls.client.calls(sid).update(twiml=waits)
    calls.wait(caller, "live", StreamState.STOPPED)
    hang_up(caller, callee)
