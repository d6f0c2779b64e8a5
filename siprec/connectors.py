"""What a connector must be before it is stored."""

from siprec.errors import ConnectorError as ConnectorError
from siprec.errors import SipUriError
from siprec.model import Connector
from siprec.srs_uri import parse_srs_uri

MAX_NAME_CHARS = 64

_INVALID_CONFIGURATION = 31942


def check_connector(connector: Connector) -> None:
    """Refuse a connector that no stream could use.

    Raises:
        ConnectorError: names the field; code 31942, or 32110 for the SRS URI.
    """
    if why := name_fault(connector.name):
        raise ConnectorError("name", _INVALID_CONFIGURATION, why)
    try:
        for srs in connector.srs:
            parse_srs_uri(srs.uri)
    except SipUriError as error:
        raise ConnectorError("srs", error.code, f"{error.part}: {error.why}") from error


def name_fault(name: str) -> str | None:
    """Say what is wrong with the name of a connector; None when it is well."""
    if not name:
        return "must not be empty"
    if len(name) > MAX_NAME_CHARS:
        return f"is over {MAX_NAME_CHARS} characters"
    if "/" in name or not name.isprintable():
        return "must not hold / or unprintable characters"
    return None
