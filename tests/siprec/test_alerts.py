"""What an alert is about."""

from siprec.alert_codes import advice_of
from siprec.alerts import About, Alert, AlertLevel, Alerts
from siprec.inbox import CallbackFailed
from siprec.model import StreamState
from siprec.record import from_json
from siprec.web_request import web_request
from tests.siprec.recorders import make_call
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, NOW_MS, STREAM_SID, stream_in

ALERTS = Alerts(lambda n: "f" * n)


def test_alert_about_a_stream_names_it_and_its_call_and_connector() -> None:
    about = About.stream(stream_in(StreamState.RECORDING))
    assert ALERTS.make(0x2A, about, 7, "text", NOW_MS, AlertLevel.WARNING) == Alert(
        sid="NO2a" + "f" * 30,
        account_sid=ACCOUNT_SID,
        code=7,
        level=AlertLevel.WARNING,
        text="text",
        created_ms=NOW_MS,
        call_sid=CALL_SID,
        stream_sid=STREAM_SID,
        connector_name="Default",
    )


def test_alert_about_a_call_names_a_connector_only_if_told() -> None:
    call = make_call()
    alert = ALERTS.make(1, About.call(call), 7, "text", NOW_MS)
    assert (alert.call_sid, alert.stream_sid, alert.connector_name) == (call.sid, None, None)
    assert (alert.account_sid, alert.level) == (ACCOUNT_SID, AlertLevel.ERROR)
    assert ALERTS.make(1, About.call(call, "X"), 7, "text", NOW_MS).connector_name == "X"


def test_alert_tells_what_the_srs_answered_and_what_to_do() -> None:
    about = About(srs="sip:srs", sip_status=503, sip_reason="Busy")
    alert = ALERTS.make(1, about, 32011, "text", NOW_MS)
    assert (alert.srs, alert.sip_status, alert.sip_reason) == ("sip:srs", 503, "Busy")
    assert alert.advice == advice_of(32011, 503)


def test_alert_about_a_callback_tells_of_its_request() -> None:
    request = web_request("http://a/", "POST", {"a": "b"}, 404)
    failed = CallbackFailed(
        call_sid=CALL_SID, account_sid=ACCOUNT_SID, code=15003, text="text", request=request
    )
    assert ALERTS.make(1, About.callback(failed), 15003, "text", NOW_MS).request == request


def test_alert_saved_by_an_older_version_is_read() -> None:
    old = f'{{"sid":"NO1","account_sid":"{ACCOUNT_SID}","code":1,"level":"error","text":"x"'
    alert = from_json(Alert, old + ',"created_ms":5}')
    assert (alert.advice, alert.srs, alert.request) == ("", None, None)


def test_alert_about_no_call_names_none() -> None:
    alert = ALERTS.make(1, About(), 7, "text", NOW_MS)
    assert (alert.account_sid, alert.call_sid, alert.stream_sid) == ("", None, None)
