"""Why a session ends, as the SRS is told."""

from dataclasses import replace

import pytest

from siprec.bye_reason import reason_of
from siprec.model import Call, Leg
from tests.siprec.streams import CALL_SID, NOW_MS

LIVE = Call(sid=CALL_SID, account_sid="AC1", sip_call_id="c", answered_ms=NOW_MS)
LEG = Leg()


@pytest.mark.parametrize(
    ("call", "leg", "header"),
    [
        (LIVE, LEG, 'Q.850;cause=16;text="the recording was stopped"'),
        (LIVE, replace(LEG, error_code=32011), 'Q.850;cause=41;text="the recording failed"'),
        *(
            (replace(LIVE, ended_ms=NOW_MS, end_reason=reason), LEG, header)
            for reason, header in (
                ("bye", 'Q.850;cause=16;text="the call ended"'),
                ("487", 'Q.850;cause=16;text="the call ended"'),
                (None, 'Q.850;cause=16;text="the call ended"'),
                ("media-gone", 'Q.850;cause=41;text="the media of the call is gone"'),
                ("too-long", 'Q.850;cause=102;text="the call lasted too long"'),
            )
        ),
    ],
)
def test_reason_is_that_of_the_leg_or_of_the_call(call: Call, leg: Leg, header: str) -> None:
    assert str(reason_of(call, leg)) == header
