"""Where the INVITE of a leg goes: its SRS, or where that one sent us."""

from dataclasses import replace

from siprec.errors import SipUriError
from siprec.model import Leg
from siprec.sip_uri import parse_uri
from siprec.srs_uri import SrsUri, parse_srs_uri


def target_of(leg: Leg) -> SrsUri:
    """Give where the initial INVITE of a leg goes, from its edge and with its protection.

    Raises:
        SipUriError: no usable URI, or a redirection that leaves TLS.
    """
    own = parse_srs_uri(leg.srs)
    if not leg.redirect:
        return own
    other = parse_uri(leg.redirect)
    target = SrsUri(wire=replace(other, headers=""), secure=own.secure, edge=own.edge)
    if own.transport == "tls" and target.transport != "tls":
        raise SipUriError("transport", f"a redirection to {other} would leave TLS")
    return target
