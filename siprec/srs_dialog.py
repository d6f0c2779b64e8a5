"""What a message of the SRS means to a stream, and how its requests are answered. Pure.

A reply becomes an event. A request is checked against the dialog (RFC 3261 §12.2.2) and gets
an answer, and perhaps an event as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from siprec import events as e
from siprec.errors import SdpError, SipUriError
from siprec.inbox import SrsReplied, SrsRequested
from siprec.model import Leg, Stream
from siprec.multipart import sdp_of
from siprec.sdp import check_answer
from siprec.sids import parse_leg_call_id
from siprec.sip_uri import parse_name_addr, parse_uri

ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE"
ACCEPT = "application/sdp, application/rs-metadata+xml, multipart/mixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How to answer a request: status, reason, extra headers, SDP body (empty: none).

    `stream` is the stream with what the request changed of its dialog, `event` what follows.
    """

    status: int
    reason: str
    headers: Mapping[str, str] = field(default_factory=dict)
    sdp: str = ""
    stream: Stream | None = None
    event: e.Event | None = None


def event_of(reply: SrsReplied) -> e.Event | None:
    """Give the event that a reply to our INVITE or BYE is; None when nothing follows."""
    leg = parse_leg_call_id(reply.call_id)
    if leg is None or reply.status < 200:
        return None
    _, attempt = leg
    if reply.method == "BYE":
        return e.SrsByeAnswered(attempt=attempt, status=reply.status)
    if reply.method != "INVITE":
        return None
    if reply.status < 300:
        return _answered(reply, attempt)
    return e.SrsRefused(
        attempt=attempt,
        status=reply.status,
        reason="no answer" if reply.is_timeout else reply.reason,
        contact=_uri(reply.contact),
    )


def _answered(reply: SrsReplied, attempt: int) -> e.SrsAnswered:
    return e.SrsAnswered(
        attempt=attempt,
        from_tag=reply.from_tag,
        to_tag=reply.to_tag,
        cseq=reply.cseq,
        remote_target=_uri(reply.contact) or "",
        # RFC 3261 §12.1.2: the caller's route set is the Record-Route list, reversed.
        route_set=tuple(reversed(reply.routes)),
        sdp=sdp_of(reply.content_type, reply.body.encode("utf-8", "surrogateescape")),
    )


def _uri(contact: str) -> str | None:
    if not contact:
        return None
    try:
        uri = parse_name_addr(contact).uri
        parse_uri(uri)
    except SipUriError:
        return None
    return uri


def answer_request(stream: Stream | None, request: SrsRequested) -> Answer:
    """Answer a request of the SRS for a stream (None: no such stream here)."""
    leg = _leg_of(stream, request)
    if stream is None or leg is None:
        return Answer(status=481, reason="Call/Transaction Does Not Exist")
    if leg.remote_cseq and request.cseq <= leg.remote_cseq:
        return Answer(status=500, reason="CSeq Out of Order", headers={"Retry-After": "1"})
    noted = replace(stream, leg=replace(leg, remote_cseq=request.cseq))
    match request.method:
        case "BYE":
            hung_up = e.SrsHungUp(reason=request.reason)
            return Answer(status=200, reason="OK", stream=noted, event=hung_up)
        case "OPTIONS":
            headers = {"Allow": ALLOW, "Accept": ACCEPT}
            return Answer(status=200, reason="OK", headers=headers, stream=noted)
        case "INFO":
            return Answer(status=200, reason="OK", stream=noted)
        case "INVITE" | "UPDATE":
            return _answer_offer(noted, request)
        case _:
            return Answer(status=405, reason="Method Not Allowed", headers={"Allow": ALLOW})


def _leg_of(stream: Stream | None, request: SrsRequested) -> Leg | None:
    if stream is None or stream.state.is_final:
        return None
    leg = stream.leg
    ours = (leg.call_id, leg.from_tag, leg.to_tag)
    return leg if ours == (request.call_id, request.to_tag, request.from_tag) else None


def _answer_offer(stream: Stream, request: SrsRequested) -> Answer:
    """Answer a re-INVITE or UPDATE. What we send does not change, so our SDP does not."""
    leg = stream.leg
    target = _uri(request.contact) or leg.remote_target
    noted = replace(stream, leg=replace(leg, remote_target=target))
    headers = {"Allow": ALLOW, "Accept": ACCEPT}
    if leg.offer is None:
        return Answer(status=500, reason="No Offer to Repeat", stream=noted)
    sdp = sdp_of(request.content_type, request.body.encode("utf-8", "surrogateescape"))
    if sdp is None:
        ours = leg.offer.sdp if request.method == "INVITE" else ""
        return Answer(status=200, reason="OK", headers=headers, sdp=ours, stream=noted)
    try:
        checked = check_answer(leg.offer, sdp)
    except SdpError as error:
        headers = {"Warning": f'399 siprec "{_quotable(str(error))}"'}
        return Answer(status=488, reason="Not Acceptable Here", headers=headers, stream=noted)
    event = e.SrsReanswered(sdp=sdp) if checked.sdp != leg.answer else None
    return Answer(
        status=200, reason="OK", headers=headers, sdp=leg.offer.sdp, stream=noted, event=event
    )


def _quotable(text: str) -> str:
    """Make a text fit for a quoted string; Kamailio garbles `!` in some headers."""
    return "".join(c if c.isprintable() and c not in '"\\!' else "'" for c in text)
