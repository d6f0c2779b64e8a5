"""What a message of the SRS means to a stream, and how its requests are answered. Pure.

A reply becomes an event. A request is checked against the dialog (RFC 3261 §12.2.2) and gets
an answer, and perhaps an event as well.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from siprec import events as e
from siprec.errors import SdpError, SipUriError
from siprec.inbox import SrsReplied, SrsRequested
from siprec.metadata import asks_snapshot
from siprec.model import Leg, Stream
from siprec.multipart import sdp_of
from siprec.sdp import Offer, check_answer, first_media, muted_offer, parse
from siprec.session_timer import MIN_S, SessionExpires, parse_seconds, parse_session_expires
from siprec.sids import parse_leg_call_id
from siprec.sip_uri import parse_name_addr, parse_uri

ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE"
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_REASON = re.compile(r"(?i)(?:^|,)\s*(SIP|Q\.850)\s*;[^,]*?\bcause\s*=\s*([0-9]{1,4})")
_FIRST_ERROR = {"sip": 400, "q.850": 34}

ACCEPT = "application/sdp, application/rs-metadata+xml, multipart/mixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How to answer a request: status, reason, extra headers, SDP body (empty: none).

    `leg` is the leg with what the request changed of its dialog, `events` what follows for it.
    """

    status: int
    reason: str
    headers: Mapping[str, str] = field(default_factory=dict)
    sdp: str = ""
    leg: Leg | None = None
    events: tuple[e.LegEvent, ...] = ()


def event_of(reply: SrsReplied) -> e.LegEvent | None:
    """Give the event that a reply to a request of ours is; None when nothing follows."""
    leg = parse_leg_call_id(reply.call_id)
    if leg is None or reply.status < 200:
        return None
    challenge = e.Challenge(lines=reply.challenges, cseq=reply.cseq)
    match reply.method:
        case "BYE":
            return e.SrsByeAnswered(attempt=leg.attempt, status=reply.status, challenge=challenge)
        case "OPTIONS":
            return e.SrsOptionsAnswered(attempt=leg.attempt, status=reply.status)
        case "INVITE" | "UPDATE" if reply.status < 300:
            return _answered(reply, leg.attempt)
        case "INVITE" | "UPDATE":
            return e.SrsRefused(
                attempt=leg.attempt,
                status=reply.status,
                reason="no answer" if reply.is_timeout else reply.reason,
                contact=_uri(reply.contact),
                challenge=challenge,
                is_timeout=reply.is_timeout,
                min_se_s=parse_seconds(reply.min_se),
                retry_after_s=parse_seconds(reply.retry_after),
            )
        case _:
            return None


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
        session_expires=reply.session_expires,
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
    if leg is None:
        return Answer(status=481, reason="Call/Transaction Does Not Exist")
    if leg.remote_cseq and request.cseq <= leg.remote_cseq:
        return Answer(status=500, reason="CSeq Out of Order", headers={"Retry-After": "1"})
    noted = replace(leg, remote_cseq=request.cseq)
    match request.method:
        case "BYE":
            hung_up = e.SrsHungUp(reason=request.reason, is_error=tells_error(request.reason))
            return Answer(status=200, reason="OK", leg=noted, events=(hung_up,))
        case "OPTIONS":
            headers = {"Allow": ALLOW, "Accept": ACCEPT}
            return Answer(status=200, reason="OK", headers=headers, leg=noted)
        case "INFO":
            return Answer(status=200, reason="OK", leg=noted)
        case "INVITE" | "UPDATE":
            return _answer_offer(noted, request)
        case _:
            return Answer(status=405, reason="Method Not Allowed", headers={"Allow": ALLOW})


def tells_error(reason: str) -> bool:
    """Tell whether a Reason header (RFC 3326) says that the peer could not go on.

    SIP causes from 400, and Q.850 causes from 34: no resource, no service, a failure.
    """
    # A text may hold commas, and whatever looks like a reason.
    causes = _REASON.findall(_QUOTED.sub('""', reason))
    return any(int(cause) >= _FIRST_ERROR[protocol.lower()] for protocol, cause in causes)


def _leg_of(stream: Stream | None, request: SrsRequested) -> Leg | None:
    named = parse_leg_call_id(request.call_id)
    leg = stream.leg(named.leg) if stream is not None and named is not None else None
    if leg is None or leg.state.is_final:
        return None
    ours = (leg.call_id, leg.from_tag, leg.to_tag)
    return leg if ours == (request.call_id, request.to_tag, request.from_tag) else None


def _answer_offer(leg: Leg, request: SrsRequested) -> Answer:
    """Answer a re-INVITE or UPDATE: the session timer, what it asks to know, its offer.

    An offer that crosses ours, in a request or in a 200 without its ACK yet, gets 491
    (RFC 3261 §14.2, RFC 3311 §5.2).
    """
    body = request.body.encode("utf-8", "surrogateescape")
    sdp = sdp_of(request.content_type, body)
    is_offering = leg.asked is not None and not leg.asked.by_update
    is_crossing = is_offering or leg.ack_until_ms is not None
    noted = replace(leg, remote_target=_uri(request.contact) or leg.remote_target)
    if is_crossing and (request.method == "INVITE" or sdp is not None):
        return Answer(status=491, reason="Request Pending", leg=noted)
    asked = parse_session_expires(request.session_expires)
    if asked is not None and asked.interval_s < MIN_S:
        headers = {"Min-SE": str(MIN_S)}
        return Answer(status=422, reason="Session Interval Too Small", headers=headers, leg=noted)
    if sdp is None and request.method == "UPDATE":
        answer = Answer(status=200, reason="OK", leg=noted)
    elif leg.offer is None:
        return Answer(status=500, reason="No Offer to Repeat", leg=noted)
    else:
        answer = _answer_sdp(noted, leg.offer, sdp)
    if answer.status != 200:
        return answer
    timer_headers, timer_events = _refresh(leg, request, asked)
    wanted = (e.SnapshotRequested(),) if asks_snapshot(request.content_type, body) else ()
    return replace(
        answer,
        headers={"Allow": ALLOW, "Accept": ACCEPT, **timer_headers},
        events=(*answer.events, *timer_events, *wanted),
    )


def _answer_sdp(leg: Leg, offer: Offer, sdp: str | None) -> Answer:
    """Answer an offer: `sendonly` what it takes, `inactive` what it does not take now.

    RFC 7866 §7.2. What it refuses has port 0, and so have m-lines of its own (RFC 3264 §6).
    Without an offer the answer is ours, and the ACK brings theirs.
    """
    if sdp is None:
        ours = muted_offer(offer, leg.muted, leg.dropped)
        noted = replace(leg, offer=ours)
        return Answer(status=200, reason="OK", sdp=ours.sdp, leg=noted, events=(e.OfferGiven(),))
    try:
        beyond = parse(sdp).media[len(parse(offer.sdp).media) :]
        theirs = first_media(sdp, len(offer.media))
        checked = check_answer(offer, theirs)
    except SdpError as error:
        headers = {"Warning": f'399 siprec "{_quotable(str(error))}"'}
        return Answer(status=488, reason="Not Acceptable Here", headers=headers, leg=leg)
    silent = {*checked.inactive, *leg.muted}
    answered = muted_offer(offer, silent, checked.refused, beyond)
    events = (e.SrsReanswered(sdp=theirs),) if checked.sdp != leg.answer else ()
    noted = replace(leg, offer=answered, dropped=checked.refused)
    return Answer(status=200, reason="OK", sdp=answered.sdp, leg=noted, events=events)


def _refresh(
    leg: Leg, request: SrsRequested, asked: SessionExpires | None
) -> tuple[dict[str, str], tuple[e.LegEvent, ...]]:
    """Agree on the session timer of a request of the SRS (RFC 4028 §9)."""
    knows_timers = "timer" in (word.strip().lower() for word in request.supported.split(","))
    if asked is not None:
        refresher = asked.refresher or ("uac" if knows_timers else "uas")
        agreed = SessionExpires(asked.interval_s, refresher)
    elif leg.timer is not None and knows_timers:
        agreed = SessionExpires(leg.timer.interval_s, "uas" if leg.timer.is_ours else "uac")
    else:
        return {}, ()
    headers = {"Session-Expires": str(agreed)}
    if agreed.refresher == "uac":
        headers["Require"] = "timer"
    is_ours = agreed.refresher == "uas"
    return headers, (e.SrsRefreshed(interval_s=agreed.interval_s, is_ours=is_ours),)


def event_of_ack(stream: Stream | None, request: SrsRequested) -> tuple[int, e.LegEvent] | None:
    """Give what the ACK to our 2xx with an offer says: the leg's number, and its answer."""
    leg = _leg_of(stream, request)
    sdp = sdp_of(request.content_type, request.body.encode("utf-8", "surrogateescape"))
    if leg is None or leg.offer is None or sdp is None or request.cseq != leg.remote_cseq:
        return None
    return leg.number, e.SrsReanswered(sdp=sdp)


def _quotable(text: str) -> str:
    """Make a text fit for a quoted string; Kamailio garbles `!` in some headers."""
    return "".join(c if c.isprintable() and c not in '"\\!' else "'" for c in text)
