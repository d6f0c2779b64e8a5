"""Why a recording session ends, for the Reason header of our BYE and for its metadata. Pure."""

from typing import NamedTuple

from siprec.model import Call, Leg

NORMAL, TEMPORARY_FAILURE, TIMER_EXPIRY = 16, 41, 102


class Reason(NamedTuple):
    """A Q.850 cause (RFC 3326 §2) and a text for people."""

    cause: int
    text: str
    protocol: str = "Q.850"

    def __str__(self) -> str:
        """Write it as the header's value."""
        return f'{self.protocol};cause={self.cause};text="{self.text}"'


_OF_CALL = {
    "bye": Reason(NORMAL, "the call ended"),
    "media-gone": Reason(TEMPORARY_FAILURE, "the media of the call is gone"),
    "too-long": Reason(TIMER_EXPIRY, "the call lasted too long"),
    "unrecorded": Reason(NORMAL, "the call was ended: not all of it was recorded"),
}
_FAILED = Reason(TEMPORARY_FAILURE, "the recording failed")
_STOPPED = Reason(NORMAL, "the recording was stopped")
_ENDED = Reason(NORMAL, "the call ended")


def reason_of(call: Call, leg: Leg) -> Reason:
    """Give why the session of a leg ends now."""
    if leg.error_code is not None:
        return _FAILED
    if call.ended_ms is None:
        return _STOPPED
    return _OF_CALL.get(call.end_reason or "", _ENDED)
