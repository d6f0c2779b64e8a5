"""What is said of commands that could not be understood."""

from siprec.alert_codes import advice_of
from siprec.alerts import Alert, AlertLevel
from siprec.changes import Changes
from siprec.inbox import CommandRefused
from siprec.model import Call
from siprec.refusals import Refusals
from siprec.verdict import Verdict
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, STREAM_SID

CALL = Call(sid=CALL_SID, account_sid=ACCOUNT_SID, sip_call_id="a@b")

BARE = CommandRefused(request_id="r", code=12200, text="v: is missing")
ABOUT = CommandRefused(
    request_id="q", code=31941, text="why", call_sid=CALL_SID, stream_sid=STREAM_SID
)


def test_each_becomes_an_alert_and_a_verdict_once() -> None:
    refusals = Refusals(lambda n: "0" * n)
    refusals.take(0, BARE, None, 5)
    refusals.take(7, ABOUT, CALL, 6)
    changes = Changes()
    refusals.tell(changes)
    (bare, about) = changes.alerts
    assert bare == (
        0,
        Alert(
            sid="NO" + "0" * 32,
            account_sid="",
            code=12200,
            level=AlertLevel.ERROR,
            text="v: is missing",
            created_ms=5,
            advice=advice_of(12200),
        ),
    )
    shard, alert = about
    assert (shard, alert.account_sid, alert.call_sid) == (7, CALL.account_sid, CALL_SID)
    assert (alert.stream_sid, alert.code) == (STREAM_SID, 31941)
    assert changes.verdicts == [
        (0, "r", Verdict(accepted=False, code=12200, text="v: is missing")),
        (7, "q", Verdict(accepted=False, code=31941, text="why")),
    ]
    again = Changes()
    refusals.tell(again)
    assert again == Changes()
