"""The requests to an SRS: INVITE and UPDATE with SDP and metadata, BYE with the last, OPTIONS.

RFC 7866 §6.1 (Contact with `+sip.src`, Require), §9.1 (multipart with metadata).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from siprec.bye_reason import reason_of
from siprec.connector import Connector, ParametersIn
from siprec.digest import answer_challenge
from siprec.events import SrsAnswered
from siprec.leg_growth import offer_of
from siprec.leg_target import target_of
from siprec.metadata import DISPOSITION, MEDIA_TYPE, complete, final, partial
from siprec.model import Call, Leg, Picture, Side, Stream, Track
from siprec.multipart import Part, compose, mixed_type
from siprec.sdp import Offer
from siprec.session_timer import SessionExpires
from siprec.sip_uri import SipUri
from siprec.srs_dialog import ACCEPT, ALLOW
from siprec.srs_uri import SrsUri
from siprec_kemi.src.addresses import Address

USER = "siprec"
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


def labels_of(track: Track, offer: Offer | None = None) -> dict[str, Side]:
    """Give the labels of the m-lines of a track, with whose media each is."""
    audio = {side.label: side for side in track.sides}
    video = {side.video_label: side for side in track.sides}
    offered = () if offer is None else offer.labels
    return audio | {label: side for label, side in video.items() if label in offered}


def _silent(leg: Leg, picture: Picture) -> set[str]:
    """Give the labels that nobody sends on: muted, on hold, or video that the call has not."""
    unseen = set() if picture.has_video else {side.video_label for side in Side}
    muted = leg.muted if leg.asked is None else leg.asked.muted
    return {*muted, *picture.quiet, *unseen}


def invite(
    call: Call, stream: Stream, leg: Leg, connector: Connector, hop: Hop, now_ms: int
) -> Outgoing:
    """Write the INVITE of the leg's attempt, or the re-INVITE that is asked. It has an offer."""
    order = stream.order
    is_first = not leg.to_tag
    in_headers = connector.parameters is not ParametersIn.METADATA
    offer = offer_of(leg)
    sdp = offer.sdp if offer is not None else ""
    metadata = _metadata(call, stream, leg, connector, now_ms)
    boundary = f"siprec-{stream.sid}-{leg.number}-{leg.attempt}"
    content_type, body = "application/sdp", sdp
    if metadata is not None:
        content_type = mixed_type(boundary)
        body = _with_metadata(sdp, metadata, connector, boundary)
    uri = leg.remote_target or str(target_of(leg).wire)
    headers = [
        *_dialog_headers(leg, "INVITE", hop),
        *_routes(leg, hop),
        "Require: siprec",
        *_timer_headers(stream, leg),
        f"Accept: {ACCEPT}",
        f"Allow: {ALLOW}",
        f"Content-Type: {content_type}",
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


def _with_metadata(sdp: str, metadata: bytes, connector: Connector, boundary: str) -> str:
    parts = (
        Part(content_type="application/sdp", body=sdp.encode()),
        Part(content_type=connector.metadata_type.value, disposition=DISPOSITION, body=metadata),
    )
    return compose(parts, boundary).decode()


def update(
    call: Call, stream: Stream, leg: Leg, connector: Connector, hop: Hop, now_ms: int
) -> Outgoing:
    """Write the UPDATE that is asked: metadata alone, or nothing when it only refreshes."""
    metadata = _metadata(call, stream, leg, connector, now_ms)
    extra = [*_timer_headers(stream, leg), f"Accept: {ACCEPT}", f"Allow: {ALLOW}"]
    if metadata is not None:
        extra.append(f"Content-Type: {connector.metadata_type.value}")
        extra.append(f"Content-Disposition: {DISPOSITION}")
    return _in_dialog("UPDATE", leg, connector, hop, extra, (metadata or b"").decode())


def _metadata(
    call: Call, stream: Stream, leg: Leg, connector: Connector, now_ms: int
) -> bytes | None:
    """Write what the SRS is told now: all, what has changed, or None when that is nothing."""
    asked, order = leg.asked, stream.order
    labels = labels_of(order.track, offer_of(leg))
    picture = stream.picture if asked is None else asked.picture
    if picture is None:
        return None
    silent = _silent(leg, picture)
    if asked is None or asked.is_full or leg.told is None:
        in_metadata = connector.parameters is not ParametersIn.HEADERS
        parameters = order.parameters if in_metadata else ()
        return complete(call, stream, labels, parameters, now_ms, silent)
    return partial(call, stream, labels, leg.told, now_ms, silent)


def _timer_headers(stream: Stream, leg: Leg) -> list[str]:
    """Ask for the session timer (RFC 4028 §7.1); a refresh says who refreshes (§7.4)."""
    if not stream.plan.session_s:
        return []
    interval_s = max(stream.plan.session_s, leg.min_se_s)
    refresher = ""
    if leg.timer is not None:
        interval_s = max(interval_s, leg.timer.interval_s)
        refresher = "uac" if leg.timer.is_ours else "uas"
    headers = ["Supported: timer", f"Session-Expires: {SessionExpires(interval_s, refresher)}"]
    return [*headers, f"Min-SE: {leg.min_se_s}"] if leg.min_se_s else headers


def bye(
    call: Call, stream: Stream, leg: Leg, connector: Connector | None, hop: Hop, now_ms: int
) -> Outgoing:
    """Write the BYE of the leg, with the final metadata (RFC 8068 §3.2.4)."""
    labels = labels_of(stream.order.track, leg.offer)
    silent, reason = _silent(replace(leg, asked=None), stream.picture), reason_of(call, leg)
    told = leg.told or Picture()
    metadata = final(call, stream, labels, now_ms, silent, reason, told).decode()
    media_type = MEDIA_TYPE if connector is None else connector.metadata_type.value
    headers = [
        f"Reason: {reason}",
        f"Content-Type: {media_type}",
        f"Content-Disposition: {DISPOSITION}",
    ]
    return _in_dialog("BYE", leg, connector, hop, headers, metadata)


def options(leg: Leg, connector: Connector | None, hop: Hop) -> Outgoing:
    """Write an OPTIONS in the leg's dialog."""
    return _in_dialog("OPTIONS", leg, connector, hop, [f"Accept: {ACCEPT}"], "")


def ack_to_late_answer(late: Leg, connector: Connector | None, hop: Hop) -> Outgoing:
    """Write the ACK to a 2xx that we no longer want; `late` is its leg, ready for the BYE.

    tm sends one itself, but to a second 2xx, of a forked INVITE, only that of the first
    (RFC 3261 §13.2.2.4).
    """
    return _in_dialog("ACK", replace(late, cseq=late.cseq - 1), connector, hop, [], "")


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
