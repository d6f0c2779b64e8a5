"""What a connector must be before it is stored. docs/connectors.md explains every field."""

import re
from collections.abc import Callable, Collection, Iterable
from ipaddress import IPv6Address

from siprec.connector import Connector, Digits, Keying, Srs
from siprec.errors import ConnectorError as ConnectorError
from siprec.errors import SipUriError
from siprec.orders import (
    BAD_PARAMETER_NAME,
    BAD_PARAMETER_VALUE,
    FORBIDDEN_HEADERS,
    FORBIDDEN_PARAMETER,
    OrderError,
    check_parameter,
    connector_name_fault,
)
from siprec.sdp import SUITES
from siprec.srs_uri import SrsUri, parse_srs_uri
from siprec.tls_profile import checked_tls, tls_profile

MAX_SRS = 16
MAX_HEADERS = 32
MAX_PREFIX_CHARS = 64
MAX_USER_CHARS = 256
MAX_SECRET_BYTES = 4096

CODECS = ("PCMU", "PCMA", "G722", "G729", "G723", "GSM", "speex", "opus")
"""What rtpengine can encode, by the names that it knows; measured with Debian 12's."""

INVALID_CONFIGURATION = 31942
INSECURE_TRANSPORT = 32209

_BOUNDS = {
    "answer_s": (1, 60),
    "total_s": (1, 300),
    "failures": (1, 100),
}
# Less than 90 s is what RFC 4028 §4 forbids to ask for.
_SESSION_EXPIRES_S = (90, 14_440)
_LOGIN_HEADERS = ("authorization", "proxy-authorization")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def check_connector(
    connector: Connector,
    *,
    edges: Collection[str] = (),
    others: Iterable[Connector] = (),
    now_ms: int = 0,
    addresses_of: Callable[[str], Collection[str]] = lambda host: (),
) -> Connector:
    """Refuse a connector that no stream could use; give it as it is to be stored.

    `edges` are the names of `[edges.NAME]`, `others` all stored connectors, of any account.
    `now_ms` tells whether a certificate has expired. `addresses_of` gives the addresses of a host,
    none when it cannot tell; it may wait. What is given back has its PEM normalised.

    Raises:
        ConnectorError: names the field (`srs[1].priority`); code 31942, 32110 (URI of an SRS),
            32111 to 32113 (a header), or 32209 (`secure` without TLS). Never quotes a secret.
    """
    if why := connector_name_fault(connector.name):
        raise _invalid("name", why)
    uris = _checked_srs(connector.srs, edges)
    _check_headers(connector)
    _check_credentials(connector)
    _check_media(connector)
    _check_protection(connector, uris)
    _check_times(connector)
    connector = checked_tls(connector, now_ms)
    _check_profile(connector, uris, others, addresses_of)
    return connector


def _invalid(field: str, why: str) -> ConnectorError:
    return ConnectorError(field, INVALID_CONFIGURATION, why)


def _checked_srs(srs: tuple[Srs, ...], edges: Collection[str]) -> list[SrsUri]:
    if not 1 <= len(srs) <= MAX_SRS:
        raise _invalid("srs", f"has {len(srs)} recorders, must have from 1 to {MAX_SRS}")
    uris: list[SrsUri] = []
    places: list[tuple[object, ...]] = []
    for i, one in enumerate(srs):
        field = f"srs[{i}]"
        try:
            uri = parse_srs_uri(one.uri)
        except SipUriError as error:
            raise ConnectorError(
                f"{field}.uri", error.code, f"{error.part}: {error.why}"
            ) from error
        if uri.edge is not None and uri.edge not in edges:
            raise _invalid(f"{field}.uri", f"edge: {_unknown_edge(uri.edge, edges)}")
        _check_range(f"{field}.priority", one.priority, 1, 100)
        _check_range(f"{field}.weight", one.weight, 1, 1000)
        if one.max_sessions is not None and one.max_sessions < 1:
            raise _invalid(f"{field}.max_sessions", "must be 1 or more")
        place = (uri.wire.user, *_address(uri), uri.transport)
        if place in places:
            raise _invalid(f"{field}.uri", f"is the same recorder as srs[{places.index(place)}]")
        uris.append(uri)
        places.append(place)
    return uris


def _unknown_edge(edge: str, edges: Collection[str]) -> str:
    known = f"known: {', '.join(sorted(edges))}" if edges else "none is configured"
    return f"the edge {edge} is unknown ({known})"


def _address(uri: SrsUri) -> tuple[str, int, str | None]:
    host = str(IPv6Address(uri.host)) if ":" in uri.host else uri.host.lower().rstrip(".")
    return host, uri.port or uri.default_port, uri.edge


def _check_headers(connector: Connector) -> None:
    prefix = connector.header_prefix
    if len(prefix) > MAX_PREFIX_CHARS:
        raise _invalid("header_prefix", f"is over {MAX_PREFIX_CHARS} characters")
    if prefix:
        _check_header("header_prefix", f"{prefix}Name", "")
        # "Con" with a parameter "tact" would be a Contact.
        if clash := next((h for h in sorted(FORBIDDEN_HEADERS) if _begins(h, prefix)), None):
            why = f"{prefix!r} is how {clash!r} begins, a header that SIP itself uses"
            raise ConnectorError("header_prefix", FORBIDDEN_PARAMETER, why)
    if len(connector.headers) > MAX_HEADERS:
        raise _invalid("headers", f"are more than {MAX_HEADERS}")
    seen = {connector.credential_header.lower()}
    for i, (name, value) in enumerate(connector.headers):
        _check_header(f"headers[{i}]", name, value)
        if name.lower() in seen:
            why = f"name {name!r} stands twice, or is the credential header"
            raise ConnectorError(f"headers[{i}]", BAD_PARAMETER_NAME, why)
        seen.add(name.lower())


def _begins(header: str, prefix: str) -> bool:
    return header.startswith(prefix.lower()) and header != prefix.lower()


def _check_header(field: str, name: str, value: str) -> None:
    try:
        check_parameter(name, value)
    except OrderError as error:
        raise ConnectorError(field, error.code, error.why) from error


def _check_credentials(connector: Connector) -> None:
    header, value = connector.credential_header, connector.credential_value
    user, password = connector.digest_user, connector.digest_password
    if header and not value:
        raise _invalid("credential_value", "is missing: a credential header needs a value")
    if value and not header:
        raise _invalid("credential_header", "is missing: a credential needs the name of a header")
    if header and header.lower() not in _LOGIN_HEADERS:
        _check_header("credential_header", header, "")
    _check_secret("credential_value", value, BAD_PARAMETER_VALUE)
    if bool(user) != bool(password):
        field = "digest_password" if user else "digest_user"
        raise _invalid(field, "is missing: digest needs a user and a password")
    if _CONTROL.search(user) or ":" in user or len(user) > MAX_USER_CHARS:
        # RFC 7616 §3.4.2 joins user, realm and password by colons.
        why = f"holds a colon or a control character, or is over {MAX_USER_CHARS} characters"
        raise _invalid("digest_user", why)
    _check_secret("digest_password", password, INVALID_CONFIGURATION)
    if user and header.lower() in _LOGIN_HEADERS:
        raise _invalid("credential_header", f"{header} is written by digest, use one or the other")


def _check_secret(field: str, value: str, code: int) -> None:
    if _CONTROL.search(value):
        raise ConnectorError(field, code, "holds a line break or another control character")
    if len(value.encode()) > MAX_SECRET_BYTES:
        raise ConnectorError(field, code, f"is over {MAX_SECRET_BYTES} bytes")


def _check_media(connector: Connector) -> None:
    _check_choice("codecs", connector.codecs, CODECS, "rtpengine cannot encode it")
    if connector.codecs and connector.digits is Digits.STRIP:
        why = (
            "do not go with digits=strip: where it transcodes, rtpengine turns digits that it "
            "strips into tones, which are then recorded. Say digits=keep, or name no codecs"
        )
        raise _invalid("codecs", why)
    if connector.codecs and connector.video:
        why = "do not go with video: rtpengine would encode to these only, and drop the video"
        raise _invalid("codecs", why)
    if not connector.suites:
        raise _invalid("suites", "must name one at least")
    for suite in connector.suites:
        if suite.startswith("NULL_"):
            raise _invalid("suites", f"{suite} does not encrypt, and is never offered")
        if suite.startswith("F8_"):
            raise _invalid("suites", f"{suite} is never offered: hardly any recorder has F8")
    _check_choice("suites", connector.suites, SUITES, "it is not known")


def _check_choice(field: str, chosen: tuple[str, ...], known: Collection[str], reason: str) -> None:
    for i, name in enumerate(chosen):
        if name not in known:
            raise _invalid(field, f"{name!r}: {reason} (known: {', '.join(known)})")
        if name in chosen[:i]:
            raise _invalid(field, f"{name} stands twice")


def _check_protection(connector: Connector, uris: list[SrsUri]) -> None:
    is_dtls = connector.keying is Keying.DTLS
    if is_dtls and not any(uri.uses_srtp for uri in uris):
        raise _invalid("keying", "dtls is of no use: no SRS has secure=true in its URI")
    for i, uri in enumerate(uris):
        if uri.uses_srtp and uri.transport != "tls" and not connector.keys_in_clear:
            danger = "forge the fingerprint of DTLS" if is_dtls else "read the keys of SRTP"
            why = (
                f"secure=true needs TLS, over {uri.transport} others could {danger}; "
                "say transport=tls, or allow it with keys_in_clear"
            )
            raise ConnectorError(f"srs[{i}].uri", INSECURE_TRANSPORT, why)
    if not any(uri.transport == "tls" for uri in uris):
        for field in ("tls_ca", "tls_certificate", "tls_key"):
            if getattr(connector, field):
                raise _invalid(field, "is of no use: no SRS is reached over TLS")


def _check_times(connector: Connector) -> None:
    for field, (least, most) in _BOUNDS.items():
        _check_range(field, getattr(connector, field), least, most)
    if connector.total_s < connector.answer_s:
        raise _invalid("total_s", f"must not be less than answer_s, {connector.answer_s}")
    if connector.options_s != 0:
        _check_range("options_s", connector.options_s, 5, 3600, "0 (no health checks), or ")
    if connector.session_expires_s != 0:
        least, most = _SESSION_EXPIRES_S
        also = "0 (no session timer), or "
        _check_range("session_expires_s", connector.session_expires_s, least, most, also)
    if connector.end_call_s is not None:
        if not connector.required:
            raise _invalid("end_call_s", "needs required: only then may a call be ended")
        _check_range("end_call_s", connector.end_call_s, 1, 3600)


def _check_range(field: str, value: int, least: int, most: int, also: str = "") -> None:
    if not least <= value <= most:
        raise _invalid(field, f"{value} must be {also}from {least} to {most}")


def _check_profile(
    connector: Connector,
    uris: list[SrsUri],
    others: Iterable[Connector],
    addresses_of: Callable[[str], Collection[str]],
) -> None:
    """Refuse what could not be kept apart: an open TLS connection is used whatever the profile."""
    mine = [(f"srs[{i}].uri", uri) for i, uri in enumerate(uris) if uri.transport == "tls"]
    profile = tls_profile(connector).name
    for other in others if mine else ():
        is_self = (other.account_sid, other.name) == (connector.account_sid, connector.name)
        if is_self or tls_profile(other).name == profile:
            continue
        for srs in other.srs:
            theirs = _parsed(srs.uri)
            if theirs is None or theirs.transport != "tls":
                continue
            for field, uri in mine:
                if _is_one_place(uri, theirs, addresses_of):
                    raise _invalid(field, _shared(connector, other, theirs))


def _is_one_place(
    one: SrsUri, other: SrsUri, addresses_of: Callable[[str], Collection[str]]
) -> bool:
    (host, *way), (other_host, *other_way) = _address(one), _address(other)
    if way != other_way:
        return False
    # Two names may be one address.
    return host == other_host or bool({*addresses_of(host)} & {*addresses_of(other_host)})


def _shared(connector: Connector, other: Connector, uri: SrsUri) -> str:
    whose = "" if other.account_sid == connector.account_sid else f" of {other.account_sid}"
    return (
        f"the connector {other.name!r}{whose} reaches {uri.host} with another CA, client "
        "certificate or TLS version: one open connection would serve both. Use the same for "
        "both, or another port, or another edge"
    )


def _parsed(text: str) -> SrsUri | None:
    # Stored before today's rules: not a reason to refuse another connector.
    try:
        return parse_srs_uri(text)
    except SipUriError:
        return None
