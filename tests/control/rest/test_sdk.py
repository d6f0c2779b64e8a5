"""Twilio's Python SDK, unmodified, against a running stack: what works there works here."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from siprec.model import StreamState
from siprec.sids import make_call_sid
from tests.control.rest.conftest import Api

pytestmark = pytest.mark.daemon


def test_stream_is_started_recorded_and_stopped(api: Api, client: Client) -> None:
    call = api.studio.call(None)
    sid = call.call().sid
    started = client.calls(sid).siprec.create(
        name="my stream",
        connector_name="Second",
        track="both_tracks",
        parameter1_name="Agent",
        parameter1_value="Bob",
    )
    assert (started.name, started.status) == ("my stream", "in-progress")
    assert (started.account_sid, started.call_sid) == (api.sid, sid)
    assert started.uri == (f"/2010-04-01/Accounts/{api.sid}/Calls/{sid}/Siprec/{started.sid}.json")
    stream = call.recording("my stream")
    assert stream.sid == started.sid
    api.studio.hear(stream, 0.3, api.studio.second)

    stopped = client.calls(sid).siprec("my stream").update(status="stopped")
    assert (stopped.sid, stopped.status) == (started.sid, "stopped")
    over = call.stream("my stream", StreamState.STOPPED)
    assert api.studio.session(over, api.studio.second).parameters == [("Agent", "Bob")]
    # Once more changes nothing, by sid as by name.
    assert client.calls(sid).siprec(started.sid).update(status="stopped").status == "stopped"
    call.hang_up()


# What the SDK does with aiohttp is theirs.
@pytest.mark.filterwarnings("ignore:.*is deprecated and will be removed:DeprecationWarning")
def test_async_client_does_the_same(api: Api) -> None:
    call = api.studio.call(None)
    sid = call.call().sid

    async def drive() -> tuple[str | None, str | None]:
        async with AsyncTwilioHttpClient() as http:
            client = Client(api.sid, api.token, http_client=http)
            client.api.base_url = api.base
            started = await client.calls(sid).siprec.create_async(name="async")
            stopped = await client.calls(sid).siprec(started.sid).update_async(status="stopped")
            return started.status, stopped.status

    assert asyncio.run(drive()) == ("in-progress", "stopped")
    call.stream("async", StreamState.STOPPED)
    call.hang_up()


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"connector_name": "nowhere"}, 31940),
        ({"track": "all_tracks"}, 31941),
        ({"name": "a/b"}, 20001),
        ({"status_callback": "ftp://x"}, 20001),
        ({"status_callback": "http://x/#rc=99"}, 20001),
        ({"status_callback_method": "PUT"}, 20001),
        ({"parameter1_name": "Via", "parameter1_value": "x"}, 32113),
        ({"parameter2_value": "x"}, 20001),
    ],
)
def test_refused_start_raises_with_its_code(
    api: Api, client: Client, order: dict[str, str], code: int
) -> None:
    call = api.studio.call(None)
    with pytest.raises(TwilioRestException) as caught:
        client.calls(call.call().sid).siprec.create(**order)
    call.hang_up()
    assert (caught.value.status, caught.value.code) == (400, code)
    assert call.streams() == []


def test_duplicate_name_and_a_track_too_many_are_refused(api: Api, client: Client) -> None:
    call = api.studio.call(None)
    siprec = client.calls(call.call().sid).siprec
    siprec.create(name="one")
    with pytest.raises(TwilioRestException, match="one"):
        siprec.create(name="one")
    siprec.create(name="two")
    with pytest.raises(TwilioRestException) as caught:
        siprec.create(name="three", track="inbound_track")
    assert (caught.value.status, caught.value.code) == (400, 31960)
    assert {stream.order.name for stream in call.streams()} == {"one", "two"}
    call.hang_up()


def test_what_is_not_there_is_404(api: Api, client: Client) -> None:
    call = api.studio.call(None)
    sid = call.call().sid
    acts: list[Callable[[], object]] = [
        lambda: client.calls(make_call_sid(5, "0" * 22)).siprec.create(),
        lambda: client.calls("nonsense").fetch(),
        lambda: client.calls(sid).siprec("nothing").update(status="stopped"),
    ]
    for act in acts:
        with pytest.raises(TwilioRestException) as caught:
            act()
        assert (caught.value.status, caught.value.code) == (404, 20404)
    call.hang_up()
    with pytest.raises(TwilioRestException) as caught:
        client.calls(sid).siprec.create()
    assert (caught.value.status, caught.value.code) == (400, 21220)


def test_wrong_token_is_401(api: Api) -> None:
    for name, password in ((api.sid, "wrong"), ("AC" + "0" * 32, api.token)):
        with pytest.raises(TwilioRestException) as caught:
            api.client(name, password).calls(make_call_sid(5, "0" * 22)).fetch()
        assert (caught.value.status, caught.value.code) == (401, 20003)


def test_calls_are_listed_page_by_page_and_filtered(api: Api, client: Client) -> None:
    calls = [api.studio.call(None) for _ in range(3)]
    sids = [call.call().sid for call in calls]
    numbers = [call.call().number for call in calls]
    live = [call.sid for call in client.calls.list(status="in-progress", page_size=1)]
    assert set(live) >= set(sids)
    assert len(live) == len(set(live))
    (found,) = client.calls.list(to=numbers[1])
    assert (found.sid, found.status, found.direction) == (sids[1], "in-progress", "inbound")
    assert found.start_time is not None
    assert [c.sid for c in client.calls.list(to=numbers[1], start_time_after=found.start_time)]
    calls[1].hang_up()
    over = client.calls(sids[1]).fetch()
    assert (over.status, over.to) == ("completed", numbers[1])
    assert int(over.duration or "-1") >= 0
    assert sids[1] not in [call.sid for call in client.calls.list(status="in-progress")]
    for call in (calls[0], calls[2]):
        call.hang_up()


def test_live_call_follows_a_document(api: Api, client: Client) -> None:
    call = api.studio.call(None)
    sid = call.call().sid
    start = '<Response><Start><Siprec name="by doc"/></Start></Response>'
    client.calls(sid).update(twiml=start)
    call.recording("by doc")
    client.calls(sid).update(twiml='<Response><Stop><Siprec name="by doc"/></Stop></Response>')
    call.stream("by doc", StreamState.STOPPED)
    for twiml, code in (
        ("<Response><Dial>+1555</Dial></Response>", 12200),
        ("<Response>", 12100),
        ("<Response><Say>hello</Say></Response>", 12200),
    ):
        with pytest.raises(TwilioRestException) as caught:
            client.calls(sid).update(twiml=twiml)
        assert (caught.value.status, caught.value.code) == (400, code)
    call.hang_up()


def test_calls_are_not_originated(client: Client) -> None:
    with pytest.raises(TwilioRestException, match="not originated here") as caught:
        client.calls.create(to="+1555", from_="+1556", twiml="<Response/>")
    assert caught.value.status == 400


def test_alerts_are_listed_and_fetched(api: Api, client: Client) -> None:
    call = api.studio.call("unknown-connector")
    sid = call.call().sid
    call.hang_up()
    (alert,) = [each for each in client.monitor.v1.alerts.list() if each.resource_sid == sid]
    assert (alert.error_code, alert.log_level) == ("31940", "error")
    fetched = client.monitor.v1.alerts(alert.sid or "").fetch()
    assert (fetched.alert_text, fetched.account_sid) == (alert.alert_text, api.sid)
    told = dict(parse_qsl(fetched.request_variables or ""))
    assert told["CallSid"] == sid
    assert "ConnectorName" in told
    paged = [each.sid for each in client.monitor.v1.alerts.list(page_size=1, limit=3)]
    assert len(paged) == len(set(paged)) > 0
    assert client.monitor.v1.alerts.list(log_level="debug") == []
    assert sid in {each.resource_sid for each in client.monitor.v1.alerts.list(log_level="error")}


def test_alerts_are_shown_to_their_account_alone(api: Api, client: Client) -> None:
    call = api.studio.call("unknown-connector")
    sid = call.call().sid
    call.hang_up()
    (alert,) = [each for each in client.monitor.v1.alerts.list() if each.resource_sid == sid]
    made = api.studio.stack.json("account", "add", "sees nothing")
    url = f"{api.base}/v1/Alerts"
    for path, status in ((url, 200), (f"{url}/{alert.sid}", 404)):
        answer = requests.get(path, auth=(made["sid"], made["token"]), timeout=30)
        assert answer.status_code == status
        assert sid not in answer.text


def test_alerts_are_filtered_by_when_they_were_made(api: Api, client: Client) -> None:
    call = api.studio.call("unknown-connector")
    sid = call.call().sid
    call.hang_up()
    alerts = client.monitor.v1.alerts
    (alert,) = [each for each in alerts.list() if each.resource_sid == sid]
    at = alert.date_created
    assert at is not None
    day = timedelta(days=1)

    def sids(**filters: datetime) -> set[str | None]:
        return {each.sid for each in alerts.list(**filters)}

    assert alert.sid in sids(start_date=at - day, end_date=at + day)
    assert alert.sid not in sids(start_date=at + day)
    assert alert.sid not in sids(end_date=at - day)
