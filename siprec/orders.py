"""The rules of an order for a stream, the same from TwiML, the command line, and REST."""

import re
from urllib.parse import urlsplit

from siprec.errors import OrderError as OrderError
from siprec.model import StreamOrder

MAX_NAME_CHARS = 255
MAX_CONNECTOR_NAME_CHARS = 64
MAX_URL_CHARS = 2048
MAX_PARAMETERS = 99
MAX_PARAMETER_NAME_CHARS = 128
MAX_PARAMETER_VALUE_BYTES = 1024

BAD_FIELD = 12200
BAD_PARAMETER_NAME = 32111
BAD_PARAMETER_VALUE = 32112
FORBIDDEN_PARAMETER = 32113

# RFC 3261 token without !%*`': Kamailio sends a request with such a header name, but cannot read
# it back, and then writes all of it into its log, with the values of parameters.
_TOKEN = re.compile(r"[A-Za-z0-9\-._+~]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# TAB is the one control character that a header value may hold.
_CONTROL_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")

# A parameter travels as a header of its own name: these would change the INVITE itself.
# The single letters are compact forms.
_SIP_HEADERS = """
    via v from f to t call-id i cseq contact m max-forwards route record-route path
    content-length l content-type c content-encoding e content-disposition content-language
    mime-version require proxy-require supported k unsupported allow allow-events u accept
    accept-encoding accept-language authorization proxy-authorization www-authenticate
    proxy-authenticate authentication-info expires min-expires min-se session-expires x
    session-id rseq rack event o subscription-state refer-to r referred-by b replaces join
    target-dialog identity y identity-info n user-agent server date timestamp warning
    retry-after reason privacy p-asserted-identity p-preferred-identity service-route
"""
FORBIDDEN_HEADERS = frozenset(_SIP_HEADERS.split())


def check_order(order: StreamOrder) -> None:
    """Refuse an order that no call could follow, whatever the connectors and streams are.

    Raises:
        OrderError: names the field; code 12200, or 32111 to 32113 for a parameter.
    """
    if why := stream_name_fault(order.name):
        raise OrderError("name", BAD_FIELD, why)
    if why := connector_name_fault(order.connector_name):
        raise OrderError("connector_name", BAD_FIELD, why)
    if order.status_callback is not None and (why := _url_fault(order.status_callback)):
        raise OrderError("status_callback", BAD_FIELD, why)
    if len(order.parameters) > MAX_PARAMETERS:
        raise OrderError("parameters", BAD_FIELD, f"are more than {MAX_PARAMETERS}")
    seen: set[str] = set()
    for name, value in order.parameters:
        check_parameter(name, value)
        if name.lower() in seen:
            raise OrderError("parameters", BAD_PARAMETER_NAME, f"name {name!r} stands twice")
        seen.add(name.lower())


def stream_name_fault(name: str) -> str | None:
    """Say what is wrong with the name of a stream; None when it is well, as the empty one is."""
    if len(name) > MAX_NAME_CHARS:
        return f"is over {MAX_NAME_CHARS} characters"
    # The REST path of a stream may end in its name, and "/" arrives there unescaped.
    if "/" in name or _CONTROL.search(name):
        return "must not hold / or control characters"
    return None


def connector_name_fault(name: str) -> str | None:
    """Say what is wrong with the name of a connector; None when it is well."""
    if not name:
        return "must not be empty"
    if len(name) > MAX_CONNECTOR_NAME_CHARS:
        return f"is over {MAX_CONNECTOR_NAME_CHARS} characters"
    if "/" in name or not name.isprintable():
        return "must not hold / or unprintable characters"
    return None


def check_parameter(name: str, value: str) -> None:
    """Refuse a custom parameter that cannot stand as a header of the SIPREC INVITE.

    Raises:
        OrderError: of the field `parameters`, code 32111 to 32113.
    """
    if not _TOKEN.fullmatch(name) or len(name) > MAX_PARAMETER_NAME_CHARS:
        why = f"name {name[:MAX_PARAMETER_NAME_CHARS]!r} is not a SIP header name that can be sent"
        raise OrderError("parameters", BAD_PARAMETER_NAME, why)
    if name.lower() in FORBIDDEN_HEADERS:
        why = f"name {name!r} is a header that SIP itself uses"
        raise OrderError("parameters", FORBIDDEN_PARAMETER, why)
    # The value may be secret: it never stands in an error.
    if _CONTROL_IN_VALUE.search(value):
        why = f"value of {name!r} holds a line break, NUL or another control character"
        raise OrderError("parameters", BAD_PARAMETER_VALUE, why)
    if len(value.encode()) > MAX_PARAMETER_VALUE_BYTES:
        why = f"value of {name!r} is over {MAX_PARAMETER_VALUE_BYTES} bytes"
        raise OrderError("parameters", BAD_PARAMETER_VALUE, why)


def _url_fault(url: str) -> str | None:
    if len(url) > MAX_URL_CHARS:
        return f"is over {MAX_URL_CHARS} characters"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "holds a space or a character that a URL must escape"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    return None if usable else "must be an http: or https: URL with a host"
