"""A delivery that reaches servers on loopback."""

from ipaddress import ip_network

from siprec_control.callbacks.delivery import Delivery
from siprec_web.fetch import Fetcher
from siprec_web.guard import Guard
from tests.siprec.streams import ACCOUNT_SID

TOKEN = "c0ffee" * 5
LOOPBACK = ip_network("127.0.0.0/8")


def delivery() -> Delivery:
    """Give a delivery for the one account that there is."""
    return Delivery(Fetcher(Guard(allow=(LOOPBACK,))), {ACCOUNT_SID: TOKEN}.get)
