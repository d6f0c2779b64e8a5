"""Documents that live calls are made to follow, by Twilio's SDK, from a real web server."""

from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import parse_qs, urlsplit

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

from siprec.document_store import PER_ACCOUNT
from siprec.live_documents import LiveDocument
from siprec.model import StreamState
from tests.scenarios.live_calls import (
    AGAIN,
    SETTINGS,
    START,
    STOP,
    WAIT_S,
    Calls,
    by_path,
    doc,
    document,
)
from tests.scenarios.phone import answer, hang_up
from tests.scenarios.stage import Stage, dial
from tests.scenarios.test_required import connect
from tests.web.servers import Answer, Server, say

pytestmark = pytest.mark.daemon


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


def test_stream_whose_callback_cannot_be_sent_is_recorded_without_one(
    calls: Calls, opened: ExitStack
) -> None:
    start = '<Start><Siprec name="live" statusCallback="http://h/#rc=99"/></Start>'
    server = opened.enter_context(Server(doc(start)))
    caller, callee, sid = calls.answered()
    calls.client.calls(sid).update(url=server.url)
    calls.wait(caller, "live", StreamState.RECORDING)
    (alert,) = calls.alerts(caller)
    assert (alert.code, "'live' has no callbacks" in alert.text) == (12200, True)
    calls.done(sid)
    hang_up(caller, callee)


@pytest.mark.parametrize("fields", [{"status": "completed"}, {"url": "at the server"}])
def test_call_is_hung_up_by_a_document_or_instead_of_it(
    calls: Calls, opened: ExitStack, fields: dict[str, str]
) -> None:
    server = opened.enter_context(Server(doc('<Pause length="1"/>', "<Hangup/>", START)))
    start = connect(calls.stage, "Ends", calls.stage.srs.uri, end_call_s=5)
    caller, callee = calls.stage.pair()
    caller.invite(calls.stage.number(start, dial(callee)))
    answer(caller, callee)
    sid = calls.stage.wait_call(caller).sid
    calls.client.calls(sid).update(twiml=document('<Pause length="180"/>', START))
    if "url" in fields:
        fields = {"url": server.url}
    calls.client.calls(sid).update(**fields)
    for phone in (caller, callee):
        phone.reply(phone.expect("BYE", within_s=WAIT_S), 200, "OK")
    calls.done(sid)
    assert set(calls.states(caller)) == {"all"}
