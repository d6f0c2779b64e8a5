"""`siprec call` and `siprec alert` over a real redis-server."""

import json
from dataclasses import replace

import pytest

from siprec.alerts import Alert, AlertLevel
from siprec.keys import ShardKeys
from siprec.model import Stream, StreamOrder
from siprec.record import to_json
from siprec.web_request import web_request
from tests.control.conftest import ACCOUNT, CALL, Stack

pytestmark = pytest.mark.daemon

Output = pytest.CaptureFixture[str]


def test_live_calls_are_listed(stack: Stack, capsys: Output) -> None:
    assert stack.run("call", "list") == 0
    stack.put(CALL)
    assert stack.run("call", "list") == 0
    empty, titles, row = capsys.readouterr().out.splitlines()
    assert empty == "no live calls"
    assert titles.split() == ["CALL", "NUMBER", "CALLER", "STARTED", "TALKED", "STATE"]
    assert row.split()[:3] == [CALL.sid, "+15550001", "sip:ann@example.com"]
    assert row.endswith("live")


def test_ended_calls_are_listed_on_request(stack: Stack, capsys: Output) -> None:
    stack.put(replace(CALL, ended_ms=CALL.started_ms + 3500, end_reason="bye"))
    assert stack.run("call", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert stack.run("call", "list", "--all") == 0
    assert capsys.readouterr().out.rstrip().endswith("2.5 s   ended (bye)")


def test_call_is_shown_with_its_streams(stack: Stack, capsys: Output) -> None:
    stream = Stream(
        sid="SR" + CALL.sid[2:26] + "00000001",
        call_sid=CALL.sid,
        account_sid=ACCOUNT,
        order=StreamOrder(name="mine"),
    )
    stack.put(CALL)
    stack.put(stream)
    assert stack.run("call", "show", CALL.sid) == 0
    out = capsys.readouterr().out
    assert r"caller      Ann \x1b[2J <sip:ann@example.com>" in out
    assert "callee      sip:bob@example.com\n" in out
    assert f"{stream.sid}  mine  Default" in out
    assert stack.run("call", "show", CALL.sid, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["sip_call_id"] == "abc@host"
    assert shown["streams"][0]["order"]["name"] == "mine"


@pytest.mark.parametrize(
    ("sid", "why"), [("nonsense", "is not a CA sid"), (CALL.sid, f"CALL: no call {CALL.sid}")]
)
def test_unknown_call_is_an_error(stack: Stack, capsys: Output, sid: str, why: str) -> None:
    assert stack.run("call", "show", sid) == 1
    assert why in capsys.readouterr().err


def test_alerts_are_listed_newest_first(stack: Stack, capsys: Output) -> None:
    for number, code in enumerate((31940, 32011, 32102)):
        alert = Alert(
            sid=f"NO05{number:030x}",
            account_sid=ACCOUNT,
            code=code,
            level=AlertLevel.ERROR,
            text="went\nwrong",
            created_ms=1_700_000_000_000 + number,
            call_sid=CALL.sid,
        )
        stack.redis.xadd(ShardKeys(stack.prefix, 5).alerts, {"d": to_json(alert)})
    assert stack.run("alert", "list", "--limit", "2") == 0
    rows = [line.split()[1:] for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [
        [f"NO05{2:030x}", "error", "32102", CALL.sid, "went\\nwrong"],
        [f"NO05{1:030x}", "error", "32011", CALL.sid, "went\\nwrong"],
    ]
    assert stack.run("alert", "list", "--json") == 0
    codes = [alert["code"] for alert in json.loads(capsys.readouterr().out)]
    assert codes == [32102, 32011, 31940]


def test_alert_about_a_connector_alone_names_it(stack: Stack, capsys: Output) -> None:
    alert = Alert(
        sid=f"NO05{1:030x}",
        account_sid=ACCOUNT,
        code=32011,
        level=AlertLevel.WARNING,
        text="gone",
        created_ms=1_700_000_000_000,
        connector_name="Cloud",
    )
    stack.redis.xadd(ShardKeys(stack.prefix, 5).alerts, {"d": to_json(alert)})
    assert stack.run("alert", "list") == 0
    row = capsys.readouterr().out.splitlines()[1].split()[1:]
    assert row == [alert.sid, "warning", "32011", "Cloud", "gone"]


def test_no_alerts_is_a_sentence(stack: Stack, capsys: Output) -> None:
    assert stack.run("alert", "list") == 0
    assert capsys.readouterr().out == "no alerts\n"


def test_alert_is_shown_with_all_that_it_tells(stack: Stack, capsys: Output) -> None:
    alert = Alert(
        sid=f"NO05{9:030x}",
        account_sid=ACCOUNT,
        code=15003,
        level=AlertLevel.ERROR,
        text="went wrong",
        created_ms=1_700_000_000_000,
        srs="sip:srs.example.com",
        sip_status=503,
        sip_reason="Busy",
        advice="Wait.",
        request=web_request("http://a/", "POST", {"x": "y"}, 404, {"h": "v"}, b"nobody"),
    )
    stack.redis.xadd(ShardKeys(stack.prefix, 5).alerts, {"d": to_json(alert)})
    assert stack.run("alert", "show", alert.sid) == 0
    out = capsys.readouterr().out
    told = {line[:11].strip(): line[11:].strip() for line in out.splitlines()}
    assert told["what to do"] == "Wait."
    assert (told["srs"], told["sip answer"]) == ("sip:srs.example.com", "503 Busy")
    assert (told["request"], told["sent"]) == ("POST http://a/", "x=y")
    assert (told["http answer"], told["body"]) == ("404 h=v", "nobody")
    assert "call" not in told
    assert stack.run("alert", "show", alert.sid, "--json") == 0
    assert json.loads(capsys.readouterr().out)["request"]["status"] == 404


@pytest.mark.parametrize(
    ("sid", "why"), [("nonsense", "is not a NO sid"), (f"NO05{1:030x}", "NO…: no alert")]
)
def test_unknown_alert_is_an_error(stack: Stack, capsys: Output, sid: str, why: str) -> None:
    assert stack.run("alert", "show", sid) == 1
    assert why in capsys.readouterr().err
