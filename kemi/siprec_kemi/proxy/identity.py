"""Who the ends of a call say that they are: P-Asserted-Identity, else From or To (RFC 4916)."""

from siprec.errors import SipUriError
from siprec.model import Party
from siprec.sip_uri import parse_name_addr
from siprec_kemi import ksr
from siprec_kemi.proxy.policy import Policy


def first_party(header: str, tag: str, *, asserted: Party | None) -> Party:
    """Give an end of a call that begins, as From or To has it, and what is asserted of it."""
    written = _party(header, tag)
    if asserted is None or asserted.uri == written.uri:
        return written
    return Party(name=asserted.name, uri=asserted.uri, tag=tag, dialog_uri=written.uri)


def party_in(header: str) -> Party:
    """Give the end that a header names."""
    return _party(header, "")


def asserted_party(policy: Policy) -> Party | None:
    """Give who the sender of the message at hand is, as a trusted peer says (RFC 3325).

    None when nobody says so whom the operator trusts, or when it is to be kept private.
    """
    value = ksr.header("P-Asserted-Identity")
    if not value or _is_private() or not policy.trusts(ksr.text("$si")):
        return None
    try:
        address = parse_name_addr(value)
    except SipUriError:
        return None
    return Party(name=address.display, uri=address.uri)


def _is_private() -> bool:
    values = (each for value in ksr.headers("Privacy") for each in value.split(";"))
    return any(each.strip().lower() == "id" for each in values)


def _party(header: str, tag: str) -> Party:
    value = ksr.header(header)
    try:
        address = parse_name_addr(value)
    except SipUriError:
        return Party(name="", uri=value[:255], tag=tag)
    return Party(name=address.display, uri=address.uri, tag=tag)
