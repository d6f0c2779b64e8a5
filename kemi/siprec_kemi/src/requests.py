"""The requests to an SRS: INVITE with SDP and metadata, BYE with the final metadata, OPTIONS.

RFC 7866 §6.1 (Contact with `+sip.src`, Require), §9.1 (multipart with metadata).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from siprec.digest import answer_challenge
from siprec.events import SrsAnswered
from siprec.leg_target import target_of
from siprec.metadata import DISPOSITION, MEDIA_TYPE, complete, final
from siprec.model import Call, Connector, Leg, ParametersIn, Side, Stream, Track
from siprec.multipart import Part, compose, mixed_type
from siprec.sip_uri import SipUri
from siprec.srs_dialog import ACCEPT, ALLOW
from siprec.srs_uri import SrsUri
from siprec_kemi.src.addresses import Address

USER = "siprec"
SESSION_EXPIRES_S = 1800
# An SRS that says nothing at all is given up sooner than one that rings.
SILENCE_MS = 5_000
BYE_MS = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request to send. `risky_headers` may hold `!`, which t_uac_send would garble."""

    method: str
    uri: str
    next_hop: str
    socket: str
    headers: str
    risky_headers: tuple[str, ...] = ()
    body: str = ""
    invite_ms: int = 0
    reply_ms: int = SILENCE_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """Where a request goes next, and from where.

    `uri` is a SIP URI in numbers, `us` what the SRS knows us by, and `route` the way through a
    TLS proxy ("": none).
    """

    uri: str
    ours: Address
    us: str
    route: str = ""


def hop_uri(ip: str, port: int, transport: str) -> str:
    """Write a next hop."""
    host = f"[{ip}]" if ":" in ip else ip
    return f"sip:{host}:{port};transport={transport}"


def our_uri(uri: SrsUri, ours: Address) -> str:
    """Give the URI that a recorder knows us by.

    RFC 3261 §8.1.1.8: to a SIPS URI the Contact is one as well.
    """
    if uri.wire.scheme == "sips":
        return f"sips:{USER}@{ours.shown}"
    return f"sip:{USER}@{ours.shown};transport={uri.transport}"


def labels_of(track: Track) -> dict[Side, str]:
    """Give the m-line labels of the sides that a track records."""
    return {side: side.label for side in track.sides}


def invite(
    call: Call, stream: Stream, leg: Leg, connector: Connector, hop: Hop, now_ms: int
) -> Outgoing:
    """Write the INVITE of the leg's attempt, or a re-INVITE in its dialog. It has an offer."""
    order = stream.order
    is_first = not leg.to_tag
    in_metadata = connector.parameters is not ParametersIn.HEADERS
    in_headers = connector.parameters is not ParametersIn.METADATA
    metadata = complete(
        call,
        stream,
        labels_of(order.track),
        order.parameters if in_metadata else (),
        now_ms,
        () if leg.asked is None else leg.asked.muted,
    )
    sdp = leg.offer.sdp if leg.offer is not None else ""
    boundary = f"siprec-{stream.sid}-{leg.number}-{leg.attempt}"
    body = compose(
        (
            Part(content_type="application/sdp", body=sdp.encode()),
            Part(
                content_type=connector.metadata_type.value,
                disposition=DISPOSITION,
                body=metadata,
            ),
        ),
        boundary,
    ).decode()
    uri = leg.remote_target or str(target_of(leg).wire)
    headers = [
        *_dialog_headers(leg, "INVITE", hop),
        *_routes(leg, hop),
        "Require: siprec",
        "Supported: timer",
        f"Accept: {ACCEPT}",
        f"Allow: {ALLOW}",
        f"Session-Expires: {SESSION_EXPIRES_S};refresher=uas",
        f"Content-Type: {mixed_type(boundary)}",
    ]
    own = [*connector.headers, *_credentials(leg, connector, "INVITE", uri, body)]
    # What the operator says about a recorder stands above what a call says.
    taken = {name.lower() for name, _ in own}
    for name, value in order.parameters if in_headers and is_first else ():
        prefixed = f"{connector.header_prefix}{name}"
        if prefixed.lower() not in taken:
            own.append((prefixed, value))
    answer_ms = connector.answer_s * 1000
    return Outgoing(
        method="INVITE",
        uri=uri,
        next_hop=hop.uri,
        socket=hop.ours.socket,
        headers=_lines(headers),
        risky_headers=tuple(f"{name}: {value}\r\n" for name, value in own),
        body=body,
        invite_ms=answer_ms,
        reply_ms=min(SILENCE_MS, answer_ms),
    )


def bye(
    call: Call, stream: Stream, leg: Leg, connector: Connector | None, hop: Hop, now_ms: int
) -> Outgoing:
    """Write the BYE of the leg, with the final metadata (RFC 8068 §3.2.4)."""
    labels = labels_of(stream.order.track)
    metadata = final(call, stream, labels, now_ms, leg.muted).decode()
    media_type = MEDIA_TYPE if connector is None else connector.metadata_type.value
    headers = [f"Content-Type: {media_type}", f"Content-Disposition: {DISPOSITION}"]
    return _in_dialog("BYE", leg, connector, hop, headers, metadata)


def options(leg: Leg, connector: Connector | None, hop: Hop) -> Outgoing:
    """Write an OPTIONS in the leg's dialog."""
    return _in_dialog("OPTIONS", leg, connector, hop, [f"Accept: {ACCEPT}"], "")


def bye_to_late_answer(late: Leg, connector: Connector | None, hop: Hop) -> Outgoing:
    """Write the BYE of a dialog that we no longer want; `late` is its leg."""
    return _in_dialog("BYE", late, connector, hop, [], "")


def late_leg(leg: Leg, answer: SrsAnswered, call_id: str) -> Leg:
    """Give the leg that a late answer belongs to, ready for its BYE."""
    return Leg(
        number=leg.number,
        srs=leg.srs,
        redirect=leg.redirect,
        attempt=answer.attempt,
        call_id=call_id,
        from_tag=answer.from_tag,
        to_tag=answer.to_tag,
        cseq=answer.cseq + 1,
        remote_target=answer.remote_target,
        route_set=answer.route_set,
    )


def _in_dialog(
    method: str,
    leg: Leg,
    connector: Connector | None,
    hop: Hop,
    extra: Sequence[str],
    body: str,
) -> Outgoing:
    uri = leg.remote_target or str(target_of(leg).wire)
    own = () if connector is None else _credentials(leg, connector, method, uri, body)
    return Outgoing(
        method=method,
        uri=uri,
        next_hop=hop.uri,
        socket=hop.ours.socket,
        headers=_lines([*_dialog_headers(leg, method, hop), *_routes(leg, hop), *extra]),
        risky_headers=tuple(f"{name}: {value}\r\n" for name, value in own),
        body=body,
        invite_ms=BYE_MS,
        reply_ms=BYE_MS,
    )


def _routes(leg: Leg, hop: Hop) -> list[str]:
    """Write the route set. That of a dialog over TLS begins with the TLS proxy of its INVITE."""
    routes = [hop.route, *leg.route_set[1:]] if hop.route else leg.route_set
    return [f"Route: {route}" for route in routes]


def _credentials(
    leg: Leg, connector: Connector, method: str, uri: str, body: str
) -> list[tuple[str, str]]:
    """Give the headers that say who we are (RFC 3261 §22, or a header of the operator's)."""
    own: list[tuple[str, str]] = []
    if connector.credential_header:
        own.append((connector.credential_header, connector.credential_value))
    if leg.challenges and connector.digest_user:
        lines = [line.partition(":") for line in leg.challenges]
        is_proxy = lines[0][0].lower() == "proxy-authenticate"
        value = answer_challenge(
            [challenge.strip() for _, _, challenge in lines],
            user=connector.digest_user,
            password=connector.digest_password,
            method=method,
            uri=uri,
            body=body.encode(),
            cnonce=secrets.token_hex(8),
            nc=leg.cseq - leg.challenged_cseq,
        )
        own.append(("Proxy-Authorization" if is_proxy else "Authorization", value))
    return own


def _dialog_headers(leg: Leg, method: str, hop: Hop) -> list[str]:
    ours = f"sip:{USER}@{hop.ours.shown}"
    to_tag = f";tag={leg.to_tag}" if leg.to_tag else ""
    return [
        f"From: <{ours}>;tag={leg.from_tag}",
        f"To: <{_bare(leg)}>{to_tag}",
        f"Call-ID: {leg.call_id}",
        f"CSeq: {leg.cseq} {method}",
        f"Contact: {contact(hop.us)}",
        "Max-Forwards: 70",
    ]


def contact(us: str) -> str:
    """Write the Contact of a request or a 2xx of ours (RFC 7866 §6.1.1)."""
    return f"<{us}>;+sip.src"


def _bare(leg: Leg) -> str:
    """Leave the parameters that only guide the request out of an identity."""
    uri = target_of(leg).wire
    return str(SipUri(scheme=uri.scheme, user=uri.user, host=uri.host, port=uri.port))


def _lines(headers: Sequence[str]) -> str:
    return "".join(f"{header}\r\n" for header in headers)
