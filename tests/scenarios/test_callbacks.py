"""Status callbacks of real calls at a real web server that fails, hangs, and comes back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest

from siprec.alerts import Alert
from siprec.model import StreamState
from tests.control.callbacks.receiver import Receiver, Request
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.stack import Settings
from tests.scenarios.stage import Stage, dial
from tests.scenarios.test_faults import kill

pytestmark = pytest.mark.daemon

SETTINGS: Settings = {"control": {"allow_private_urls": ["127.0.0.0/8"]}}
FIELDS = [
    *("AccountSid", "CallSid", "From", "To", "CallStatus", "ApiVersion", "Direction"),
    *("SiprecSid", "SiprecName", "SiprecEvent", "Timestamp"),
]
STARTED, STOPPED, ERROR = "siprec-started", "siprec-stopped", "siprec-error"
WAIT_S = 30.0


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Give a stack whose callbacks may go to loopback."""
    with Stage(tmp_path_factory.mktemp("callbacks"), settings=SETTINGS) as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


def start(
    url: str,
    *,
    name: str = "all",
    method: str = "POST",
    connector: str = "Default",
    track: str = "",
) -> str:
    """Write a `<Start>` of a stream that calls back."""
    attributes = {
        "name": name,
        "connectorName": connector,
        "statusCallback": url,
        "statusCallbackMethod": method,
        "track": track or "both_tracks",
    }
    written = " ".join(f"{key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<Start><Siprec {written}/></Start>"


def token_of(stage: Stage) -> str:
    """Give the token of the default account."""
    token: str = json.loads((stage.stack.state / "account.json").read_text())["token"]
    return token


def call(stage: Stage, *starts: str) -> tuple[Phone, Phone]:
    """Let a call of a document with these streams be answered."""
    caller, callee = stage.pair()
    caller.invite(stage.number(*starts, dial(callee)))
    answer(caller, callee)
    return caller, callee


def of(requests: list[Request], name: str) -> list[Request]:
    """Give the requests about a stream."""
    return [request for request in requests if request.fields["SiprecName"] == name]


def test_life_of_streams_is_told_in_order_with_all_fields_by_get_and_post(
    stage: Stage, receiver: Receiver
) -> None:
    caller, callee = call(
        stage,
        start(receiver.url("/post?a=b%20c"), name="by post", track="inbound_track"),
        start(receiver.url("/get?a=b%20c"), name="by get", method="GET", track="outbound_track"),
    )
    receiver.wait_for(2)
    (paused,) = [s for s in stage.streams(caller) if s.order.name == "by post"]
    stage.stack.cli("stream", "pause", paused.sid, "--wait")
    receiver.wait_for(3)
    stage.stack.cli("stream", "resume", paused.sid, "--wait")
    receiver.wait_for(4)
    hang_up(caller, callee)
    requests = receiver.wait_for(6)
    posts, gets = of(requests, "by post"), of(requests, "by get")
    lives = [STARTED, "siprec-paused", "siprec-resumed", STOPPED]
    assert [request.event for request in posts] == lives
    assert [request.event for request in gets] == [STARTED, STOPPED]
    assert {(request.method, request.path) for request in posts} == {("POST", "/post")}
    assert {(request.method, request.path) for request in gets} == {("GET", "/get")}
    token = token_of(stage)
    assert all(request.is_signed_with(token) for request in requests)
    assert len({request.token for request in requests}) == 6
    first, last = posts[0].fields, posts[-1].fields
    assert list(first) == FIELDS
    assert list(gets[0].fields) == ["a", *FIELDS]
    known = stage.wait_call(caller)
    assert (first["AccountSid"], first["CallSid"]) == (known.account_sid, known.sid)
    assert (first["SiprecSid"], first["To"]) == (paused.sid, known.number)
    assert first["From"].startswith("sip:alice@")
    assert (first["CallStatus"], last["CallStatus"]) == ("in-progress", "completed")
    assert (first["ApiVersion"], first["Direction"]) == ("2010-04-01", "inbound")
    assert first["Timestamp"] < last["Timestamp"]
    assert first["Timestamp"].endswith("Z")


def test_refused_streams_of_a_document_are_told_and_the_others_run(
    stage: Stage, receiver: Receiver
) -> None:
    names = ("one", "two", "three")
    caller, callee = call(
        stage,
        *(start(receiver.url(), name=name) for name in names),
        start(receiver.url(), name="nobody", connector="Nobody", track="inbound_track"),
    )
    requests = receiver.wait_for(4)
    (too_many,), (unknown,) = of(requests, "three"), of(requests, "nobody")
    assert (too_many.event, too_many.fields["SiprecErrorCode"]) == (ERROR, "31960")
    assert (unknown.event, unknown.fields["SiprecErrorCode"]) == (ERROR, "31940")
    assert list(too_many.fields) == [*FIELDS, "SiprecError", "SiprecErrorCode"]
    assert [each.event for name in ("one", "two") for each in of(requests, name)] == [STARTED] * 2
    hang_up(caller, callee)
    assert [each.event for each in receiver.wait_for(6)[4:]] == [STOPPED] * 2


def test_recorder_that_refuses_is_an_error_and_no_stop_follows(
    stage: Stage, receiver: Receiver
) -> None:
    with Receiver() as nobody:
        port = nobody.port
    stage.stack.cli("connector", "set", "Dead", "--srs", f"sip:127.0.0.1:{port}")
    caller, callee = call(
        stage,
        start(receiver.url(), name="dead", connector="Dead"),
        start(receiver.url(), name="live"),
    )
    receiver.wait_for(2)
    hang_up(caller, callee)
    requests = receiver.wait_for(3)
    stage.wait_call_over(caller)
    stage.wait_stream(caller, StreamState.STOPPED)
    (error,) = of(requests, "dead")
    assert (error.event, error.fields["SiprecErrorCode"]) == (ERROR, "32011")
    assert error.fields["SiprecError"]
    assert [each.event for each in of(receiver.requests, "live")] == [STARTED, STOPPED]


def given_up_of(stage: Stage, stream_sid: str) -> list[dict[str, Any]]:
    """Give what was given up of a stream."""
    found: list[dict[str, Any]] = stage.stack.json("callback", "list")
    return [each for each in found if each["callback"]["event"]["stream_sid"] == stream_sid]


def test_receiver_that_answers_with_an_error_is_an_alert_and_may_be_served_by_hand(
    stage: Stage, receiver: Receiver
) -> None:
    receiver.answer = lambda request: 404 if request.event == STARTED else 200
    caller, callee = call(stage, start(receiver.url("/gone?key=secret")))
    stage.wait_recording(caller)
    (alert,) = poll(lambda: stage.alerts(caller), WAIT_S, why=lambda: stage.stack.log)
    stream = stage.wait_recording(caller)
    assert (alert.code, alert.stream_sid) == (15003, stream.sid)
    assert alert.text == f"siprec-started to POST {receiver.url('/gone')}: the answer was 404"
    request = alert.request
    assert request is not None
    assert (request.url, request.method) == (receiver.url("/gone"), "POST")
    assert (request.status, f"SiprecSid={stream.sid}" in request.variables) == (404, True)
    (given_up,) = given_up_of(stage, stream.sid)
    receiver.answer = lambda request: 200
    before = len(receiver.requests)
    stage.stack.cli("callback", "resend", given_up["callback"]["event"]["token"])
    again = receiver.wait_for(before + 1)[before]
    assert (again.event, again.token) == (STARTED, given_up["callback"]["event"]["token"])
    assert again.is_signed_with(token_of(stage))
    hang_up(caller, callee)
    assert receiver.wait_for(before + 2)[-1].event == STOPPED
    assert given_up_of(stage, stream.sid) == []


def test_address_that_may_not_be_reached_is_an_alert(stage: Stage) -> None:
    caller, callee = call(stage, start("http://169.254.169.254/latest/meta-data"))
    (alert,) = poll(lambda: stage.alerts(caller), WAIT_S, why=lambda: stage.stack.log)
    assert alert.code == 11200
    assert "169.254.169.254" in alert.text
    hang_up(caller, callee)
    stage.wait_recorded(caller)


def test_receiver_that_fails_and_hangs_gets_all_in_order_across_a_kill_of_the_worker(
    tmp_path: Path, receiver: Receiver
) -> None:
    with Stage(tmp_path, settings=SETTINGS) as stage, Receiver() as quick:
        receiver.answer = lambda request: 503
        url = receiver.url(fragment="rc=0&rt=2000&tt=2000")
        streams = [
            start(url, name="ill", track="inbound_track"),
            start(quick.url(), name="well", track="outbound_track"),
        ]
        caller, callee = call(stage, *streams)
        receiver.wait_for(2)
        assert [each.event for each in quick.wait_for(1)] == [STARTED]
        receiver.answer = receiver.hang
        count = len(receiver.requests)
        receiver.wait_for(count + 1)
        # One is under way at this very moment.
        (old, *_) = stage.stack.pids("callbacks")
        kill(stage.stack.pids("callbacks"))
        hang_up(caller, callee)
        stage.wait_call_over(caller)
        receiver.release()
        poll(
            lambda: STOPPED in receiver.events,
            WAIT_S,
            why=lambda: f"{receiver.events}\n{stage.stack.log}",
        )
        assert [each.event for each in quick.wait_for(2, WAIT_S)] == [STARTED, STOPPED]
        (new, *_) = stage.stack.pids("callbacks")
        assert new != old
        events = receiver.events
        assert events == sorted(events, key=[STARTED, STOPPED].index)
        tokens = {event: set[str]() for event in (STARTED, STOPPED)}
        for request in receiver.requests:
            tokens[request.event].add(request.token)
            assert request.is_signed_with(token_of(stage))
        assert [len(each) for each in tokens.values()] == [1, 1]
        assert stage.alerts(caller) == []


def test_alert_of_a_busy_recorder_tells_the_debugger_webhook_all_of_it(
    stage: Stage, receiver: Receiver
) -> None:
    url = receiver.url("/debug")
    stage.stack.cli("account", "set", "--debugger-url", f"{url}#rc=1")
    try:
        srs, begin = stage.recorder("--refuse", "503")
        raised: list[Alert] = []

        def one_that_is_told() -> tuple[Alert, Request] | None:
            """Let a call raise an alert; give one that was told: the worker knows the URL soon."""
            caller, callee = call(stage, begin)
            raised.extend(poll(lambda: stage.alerts(caller), WAIT_S, why=lambda: stage.stack.log))
            hang_up(caller, callee)
            sids = {request.fields["Sid"]: request for request in receiver.requests}
            return next(((each, sids[each.sid]) for each in raised if each.sid in sids), None)

        alert, request = poll(one_that_is_told, WAIT_S, why=lambda: f"{receiver.requests}")
    finally:
        stage.stack.cli("account", "set", "--debugger-url", "")
    assert request.is_signed_with(token_of(stage))
    fields = request.fields
    assert (fields["Sid"], fields["AccountSid"]) == (alert.sid, alert.account_sid)
    assert (fields["Level"], fields["PayloadType"]) == ("ERROR", "application/json")
    payload = json.loads(fields["Payload"])
    assert (payload["resource_sid"], payload["error_code"]) == (alert.call_sid, "32011")
    told = payload["more_info"]
    assert (told["Srs"], told["SipStatus"]) == (srs.uri, 503)
    assert (told["SiprecSid"], told["ConnectorName"]) == (alert.stream_sid, alert.connector_name)
    assert told["Advice"] == alert.advice != ""


def test_document_with_a_url_that_cannot_be_used_is_recorded_all_the_same(
    stage: Stage, receiver: Receiver
) -> None:
    caller, callee = call(stage, start(receiver.url(fragment="rc=99")))
    stage.wait_recording(caller)
    (alert,) = poll(lambda: stage.alerts(caller), WAIT_S, why=lambda: stage.stack.log)
    assert alert.code == 12200
    assert "URL fragment: rc must be a number from 0 to 5" in alert.text
    hang_up(caller, callee)
    stage.wait_recorded(caller)
    assert receiver.requests == []
