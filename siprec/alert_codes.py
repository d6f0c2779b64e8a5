"""What the codes of alerts mean, and what to do about each. Pure; docs/alerts.md shows it."""

from collections.abc import Mapping
from typing import NamedTuple

SRS_FAILED = 32011


class AlertCode(NamedTuple):
    """What a code means, and what people should do; both are for people."""

    meaning: str
    advice: str


CODES: Mapping[int, AlertCode] = {
    11200: AlertCode(
        "a callback or a document could not be fetched from its URL",
        "Check that the URL answers from this host, and that allow_private_urls lists its network"
        " if it is private; siprec callback resend sends a callback again.",
    ),
    12100: AlertCode(
        "a document is not XML that can be read",
        "Mend the document where the text says.",
    ),
    12200: AlertCode(
        "a document, or a field of an order, breaks a rule",
        "Mend the element or the field that the text names.",
    ),
    15003: AlertCode(
        "a callback was answered with an error",
        "Look into the log of the web server at the URL; siprec callback resend sends it again.",
    ),
    20001: AlertCode(
        "a value cannot be used, or a name is taken",
        "Order again with another value of the field that the text names.",
    ),
    20503: AlertCode(
        "Redis was away, and something could not be done",
        "See that Redis runs, has memory left, and is near to this host.",
    ),
    21220: AlertCode(
        "the call, or the stream, is over",
        "Nothing is to be done, unless orders often come too late.",
    ),
    31940: AlertCode(
        "the connector is unknown",
        "Make the connector with siprec connector set, or name another one.",
    ),
    31941: AlertCode(
        "the track is none that there is",
        "Name inbound_track, outbound_track or both_tracks.",
    ),
    31942: AlertCode(
        "the connector, or its edge, is not configured well",
        "Mend what the text names with siprec connector set, or the edges of siprec.toml.",
    ),
    31952: AlertCode(
        "there is no such stream",
        "Name a stream that runs on this call: siprec stream list shows them.",
    ),
    31953: AlertCode(
        "no media reaches the recorder",
        "See that rtpengine runs, and that the media of the call passes through it.",
    ),
    31960: AlertCode(
        "a track too many on the call",
        "Stop another stream first, record fewer tracks, or raise tracks_per_call.",
    ),
    SRS_FAILED: AlertCode(
        "the recorder cannot be reached, did not answer, refused, or went away",
        "See that the recorder runs and that its address and port are reachable from this host.",
    ),
    32014: AlertCode(
        "rtpengine could not carry the media of the call",
        "See that rtpengine runs and has ports left; the call went on as well as it could.",
    ),
    32102: AlertCode(
        "the recorder's answer (SDP) cannot be used",
        "Let the recorder answer with the m-lines and a codec that were offered to it.",
    ),
    32106: AlertCode(
        "the recorder does not accept our login",
        "Set the connector's digest user and password, or its credentials header, anew.",
    ),
    32110: AlertCode(
        "the URI of a recorder cannot be used",
        "Mend the part of the URI that the text names.",
    ),
    32111: AlertCode(
        "the name of a parameter or header cannot be used",
        "Give it a name that can stand as a SIP header.",
    ),
    32112: AlertCode(
        "the value of a parameter or header cannot be used",
        "Shorten it, or take control characters out of it.",
    ),
    32113: AlertCode(
        "a parameter or header has a name that SIP itself uses",
        "Give it another name.",
    ),
    32207: AlertCode(
        "the recorder's answer protects the media otherwise than was offered",
        "Let the recorder take SRTP with one of the suites of the connector.",
    ),
    32209: AlertCode(
        "the recorder is less secure than it has to be",
        "Use TLS and SRTP toward the recorder (secure=true), or allow less by --on-secure-call.",
    ),
}

_BY_STATUS: Mapping[int, str] = {
    401: "Set the connector's digest user and password.",
    403: "Let the recorder allow this host's address, or set the credentials that it wants.",
    404: "Check the user and the host of the recorder's URI: it knows no such address.",
    407: "Set the connector's digest user and password.",
    408: "The recorder is silent: see that it runs, and that no firewall drops what is sent to it.",
    415: "Choose another metadata type for the connector: the recorder reads none of this kind.",
    420: "Let the recorder support siprec, or send recordings elsewhere: it is no SIPREC recorder.",
    481: "The recorder has lost the session: see whether it was started anew.",
    486: "The recorder is busy: add capacity or another recorder, or lower max_sessions.",
    488: "Set codecs and keying of the connector to what the recorder takes.",
    503: "The recorder is busy or in maintenance: add capacity or another recorder to the"
    " connector, or lower max_sessions.",
    600: "The recorder is busy everywhere: add capacity or another recorder.",
    603: "The recorder declines: check what it allows for this connector.",
}
_REDIRECTED = "Let the recorder redirect once at most, to a URI that can be used."
_THEIR_FAULT = "The recorder has a fault of its own: look into its log for this call."
_THEIR_REFUSAL = "The recorder refuses the request: look into its log for why."


def advice_of(code: int, sip_status: int | None = None) -> str:
    """Say what to do about an alert of that code, after that answer of a recorder, if any.

    "": nobody knows such a code.
    """
    if code == SRS_FAILED and sip_status is not None:
        if (known := _BY_STATUS.get(sip_status)) is not None:
            return known
        if sip_status < 400:
            return _REDIRECTED
        return _THEIR_REFUSAL if sip_status < 500 else _THEIR_FAULT
    known_code = CODES.get(code)
    return "" if known_code is None else known_code.advice


def codes_table() -> str:
    """Give the tables of docs/alerts.md as Markdown."""
    lines = ["| Code | Means | What to do |", "| --- | --- | --- |"]
    lines += [f"| {code} | {each.meaning} | {each.advice} |" for code, each in CODES.items()]
    lines += ["", f"After {SRS_FAILED} with an answer of the recorder:", ""]
    lines += ["| SIP status | What to do |", "| --- | --- |"]
    lines += [f"| {status} | {advice} |" for status, advice in _BY_STATUS.items()]
    lines.append(f"| other 3xx | {_REDIRECTED} |")
    lines.append(f"| other 4xx | {_THEIR_REFUSAL} |")
    lines.append(f"| other 5xx, 6xx | {_THEIR_FAULT} |")
    return "\n".join(lines) + "\n"
