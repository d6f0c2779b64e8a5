"""What a debugger webhook is told of an alert."""

import json
from dataclasses import replace

from siprec.alerts import Alert, AlertLevel
from siprec.debugger import AlertCallback
from siprec.web_request import web_request
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, STREAM_SID

ALERT = Alert(
    sid="NO2a" + "1" * 30,
    account_sid=ACCOUNT_SID,
    code=32011,
    level=AlertLevel.WARNING,
    text="it answered 503 Busy",
    created_ms=1_767_322_445_678,
    call_sid=CALL_SID,
    stream_sid=STREAM_SID,
    connector_name="Default",
    srs="sip:srs",
    sip_status=503,
    sip_reason="Busy",
    advice="Wait.",
)
TOLD = AlertCallback(alert=ALERT, account_sid=ACCOUNT_SID, url="http://a/")


def test_alert_is_told_in_the_published_fields() -> None:
    fields = TOLD.fields
    payload = json.loads(fields.pop("Payload"))
    assert fields == {
        "Sid": ALERT.sid,
        "AccountSid": ACCOUNT_SID,
        "ParentAccountSid": "",
        "Timestamp": "2026-01-02T02:54:05.678000Z",
        "Level": "WARNING",
        "PayloadType": "application/json",
    }
    assert list(payload) == ["resource_sid", "service_sid", "error_code", "more_info", "webhook"]
    assert (payload["resource_sid"], payload["error_code"]) == (CALL_SID, "32011")
    assert payload["more_info"] == {
        "Msg": "it answered 503 Busy",
        "ErrorCode": "32011",
        "LogLevel": "WARNING",
        "CallSid": CALL_SID,
        "SiprecSid": STREAM_SID,
        "ConnectorName": "Default",
        "Srs": "sip:srs",
        "SipStatus": 503,
        "SipReason": "Busy",
        "Advice": "Wait.",
    }
    assert payload["webhook"]["request"]["url"] is None


def test_alert_of_a_request_tells_of_it() -> None:
    request = web_request("http://a/b", "GET", {"x": "", "y": "z z"}, 404, {"h": "v"}, b"gone")
    payload = json.loads(replace(TOLD, alert=replace(ALERT, request=request)).fields["Payload"])
    assert payload["webhook"] == {
        "type": "application/json",
        "request": {
            "url": "http://a/b",
            "method": "GET",
            "headers": {},
            "parameters": {"x": "", "y": "z z"},
        },
        "response": {"status_code": 404, "headers": {"h": "v"}, "body": "gone"},
    }


def test_alerts_of_a_stream_go_out_in_order() -> None:
    call = replace(ALERT, stream_sid=None)
    alone = replace(call, call_sid=None)
    keys = [replace(TOLD, alert=alert).order_key for alert in (ALERT, call, alone)]
    assert keys == [STREAM_SID, CALL_SID, ALERT.sid]


def test_alert_has_a_name_and_a_token_of_its_own() -> None:
    assert (TOLD.what, TOLD.token, TOLD.kind) == (f"alert {ALERT.sid}", ALERT.sid, "alert")
