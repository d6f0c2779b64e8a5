"""The requests to an SRS: INVITE with SDP and metadata, BYE with the final metadata.

RFC 7866 §6.1 (Contact with `+sip.src`, Require), §9.1 (multipart with metadata).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from siprec.events import SrsAnswered
from siprec.metadata import DISPOSITION, MEDIA_TYPE, complete, final
from siprec.model import Call, Connector, Leg, ParametersIn, Side, Stream, Track
from siprec.multipart import Part, compose, mixed_type
from siprec.sip_uri import SipUri, parse_uri
from siprec.srs_dialog import ACCEPT, ALLOW
from siprec_kemi.src.addresses import Address

USER = "siprec"
# The m-line labels (RFC 4574): the same for the life of a call, whatever rtpengine numbers.
LABELS: Mapping[Side, str] = {Side.CALLER: "1", Side.CALLEE: "2"}
SESSION_EXPIRES_S = 1800
# An SRS that says nothing at all is given up sooner than one that rings.
SILENCE_MS = 5_000
INVITE_MS = 10_000
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
    invite_ms: int = INVITE_MS
    reply_ms: int = SILENCE_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """Where a request goes next: an address in numbers, and ours toward it."""

    ip: str
    port: int
    transport: str
    ours: Address

    @property
    def uri(self) -> str:
        """Give the next hop as a SIP URI."""
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"sip:{host}:{self.port};transport={self.transport}"


def next_hop_uri(leg: Leg) -> SipUri:
    """Give the URI that the leg's next request goes to (RFC 3261 §12.2.1.1).

    Raises:
        SipUriError: the SRS gave one that cannot be used.
    """
    if leg.route_set:
        return parse_uri(leg.route_set[0].strip().lstrip("<").partition(">")[0])
    return parse_uri(leg.remote_target or leg.srs_uri)


def labels_of(track: Track) -> dict[Side, str]:
    """Give the m-line labels of the sides that a track records."""
    return {side: LABELS[side] for side in track.sides}


def invite(call: Call, stream: Stream, connector: Connector, hop: Hop, now_ms: int) -> Outgoing:
    """Write the INVITE of the leg's attempt. The stream has an offer."""
    leg, order = stream.leg, stream.order
    in_metadata = connector.parameters is not ParametersIn.HEADERS
    in_headers = connector.parameters is not ParametersIn.METADATA
    metadata = complete(
        call,
        stream,
        labels_of(order.track),
        order.parameters if in_metadata else (),
        now_ms,
    )
    sdp = leg.offer.sdp if leg.offer is not None else ""
    boundary = f"siprec-{stream.sid}-{leg.attempt}"
    body = compose(
        (
            Part(content_type="application/sdp", body=sdp.encode()),
            Part(content_type=MEDIA_TYPE, disposition=DISPOSITION, body=metadata),
        ),
        boundary,
    )
    headers = [
        *_dialog_headers(leg, "INVITE", hop),
        "Require: siprec",
        "Supported: timer",
        f"Accept: {ACCEPT}",
        f"Allow: {ALLOW}",
        f"Session-Expires: {SESSION_EXPIRES_S};refresher=uas",
        f"Content-Type: {mixed_type(boundary)}",
    ]
    parameters = order.parameters if in_headers else ()
    return Outgoing(
        method="INVITE",
        uri=leg.srs_uri,
        next_hop=hop.uri,
        socket=hop.ours.socket,
        headers=_lines(headers),
        risky_headers=tuple(f"{name}: {value}\r\n" for name, value in parameters),
        body=body.decode(),
    )


def bye(call: Call, stream: Stream, hop: Hop, now_ms: int) -> Outgoing:
    """Write the BYE of the leg, with the final metadata (RFC 8068 §3.2.4)."""
    metadata = final(call, stream, labels_of(stream.order.track), now_ms)
    headers = [
        *_dialog_headers(stream.leg, "BYE", hop),
        *(f"Route: {route}" for route in stream.leg.route_set),
        f"Content-Type: {MEDIA_TYPE}",
        f"Content-Disposition: {DISPOSITION}",
    ]
    return _in_dialog("BYE", stream.leg, hop, headers, metadata.decode())


def bye_to_late_answer(leg: Leg, answer: SrsAnswered, call_id: str, hop: Hop) -> Outgoing:
    """Write the BYE of a dialog that we no longer want."""
    late = late_leg(leg, answer, call_id)
    headers = [
        *_dialog_headers(late, "BYE", hop),
        *(f"Route: {route}" for route in late.route_set),
    ]
    return _in_dialog("BYE", late, hop, headers, "")


def late_leg(leg: Leg, answer: SrsAnswered, call_id: str) -> Leg:
    """Give the leg that a late answer belongs to, ready for its BYE."""
    return Leg(
        attempt=answer.attempt,
        call_id=call_id,
        from_tag=answer.from_tag,
        to_tag=answer.to_tag,
        cseq=answer.cseq + 1,
        srs_uri=leg.srs_uri,
        remote_target=answer.remote_target,
        route_set=answer.route_set,
    )


def _in_dialog(method: str, leg: Leg, hop: Hop, headers: Sequence[str], body: str) -> Outgoing:
    return Outgoing(
        method=method,
        uri=leg.remote_target or leg.srs_uri,
        next_hop=hop.uri,
        socket=hop.ours.socket,
        headers=_lines(headers),
        body=body,
        invite_ms=BYE_MS,
        reply_ms=BYE_MS,
    )


def _dialog_headers(leg: Leg, method: str, hop: Hop) -> list[str]:
    ours = f"sip:{USER}@{hop.ours.shown}"
    to_tag = f";tag={leg.to_tag}" if leg.to_tag else ""
    return [
        f"From: <{ours}>;tag={leg.from_tag}",
        f"To: <{_bare(leg.srs_uri)}>{to_tag}",
        f"Call-ID: {leg.call_id}",
        f"CSeq: {leg.cseq} {method}",
        f"Contact: <{ours};transport={hop.transport}>;+sip.src",
        "Max-Forwards: 70",
    ]


def _bare(uri_text: str) -> str:
    """Leave the parameters that only guide the request out of an identity."""
    uri = parse_uri(uri_text)
    return str(SipUri(scheme=uri.scheme, user=uri.user, host=uri.host, port=uri.port))


def _lines(headers: Sequence[str]) -> str:
    return "".join(f"{header}\r\n" for header in headers)
