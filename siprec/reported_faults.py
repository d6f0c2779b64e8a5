"""Faults that others report through the inbox, as the alerts that they become. Pure."""

from typing import NamedTuple

from siprec import inbox as i
from siprec.alerts import About
from siprec.leg_end import UNREACHABLE

REPORTS_LOST = 20503

Fault = i.CallNotEnded | i.CallbackFailed | i.DocumentFailed | i.ReportsDropped


class Told(NamedTuple):
    """What an alert says."""

    about: About
    code: int
    text: str


def told(fault: Fault) -> Told:
    """Say in an alert what was reported."""
    match fault:
        case i.CallNotEnded(call_sid=sid, account_sid=account_sid, text=text):
            return Told(About(account_sid=account_sid, call_sid=sid), UNREACHABLE, text)
        case i.CallbackFailed(code=code, text=text):
            return Told(About.callback(fault), code, text)
        case i.DocumentFailed(call_sid=sid, account_sid=account_sid, request=request):
            about = About(account_sid=account_sid, call_sid=sid, request=request)
            return Told(about, fault.code, fault.text)
        case _:
            dropped = f"the proxy of {fault.node} dropped {fault.count} reports"
            text = f"{dropped} while Redis was away"
            return Told(About(), REPORTS_LOST, text)
