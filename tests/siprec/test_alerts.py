"""What an alert is about."""

from siprec.alerts import About, Alert, AlertLevel, Alerts
from siprec.model import StreamState
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


def test_alert_about_no_call_names_none() -> None:
    alert = ALERTS.make(1, About(), 7, "text", NOW_MS)
    assert (alert.account_sid, alert.call_sid, alert.stream_sid) == ("", None, None)
