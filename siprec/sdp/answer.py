"""The answer of the SRS. rtpengine never sees it: it gets SDP of our own that says the same.

Some versions of rtpengine crash on an m-line too many, send a codec that nobody chose, or
send on to a party that asked for nothing. So each m-line is held against our offer first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from siprec.errors import SdpError, SrtpError
from siprec.record import SDP
from siprec.sdp.offer import (
    DIGITS,
    ForkLine,
    Offer,
    OfferedMedia,
    connection_of,
    join_lines,
    leading_number,
    session_lines,
)
from siprec.sdp.protection import Profile, check_crypto, check_dtls
from siprec.sdp.session import Media, Session, numeric_address, parse

_RECEIVES = ("recvonly", "sendrecv")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedAnswer:
    """What the SRS takes, by label, and the SDP for rtpengine's `subscribe answer`. A record.

    `refused`: port 0 or no m-line. `inactive`: the SRS wants no media now, and may later.
    """

    sdp: str = field(metadata=SDP, repr=False)
    accepted: tuple[str, ...]
    refused: tuple[str, ...]
    inactive: tuple[str, ...]


def check_answer(offer: Offer, answer_sdp: str) -> CheckedAnswer:
    """Hold the SRS's answer against our offer.

    The resulting SDP has as many m-lines as the fork, in its order: `recvonly` where the SRS
    takes audio, no address where it is inactive, port 0 elsewhere. A secured offer has a secured
    answer: the SRS's one key of an offered suite, or its role and fingerprint.

    Raises:
        SrtpError: an m-line (not one with port 0) is protected otherwise than offered.
        SdpError: the answer cannot be used, or takes no track at all; says why.
    """
    session = parse(answer_sdp)
    answer, offered_media = session.media, parse(offer.sdp).media
    if len(answer) > len(offered_media):
        raise SdpError(f"the answer has {len(answer)} m-lines, {len(offered_media)} were offered")
    if any(media.port for media in answer[len(offer.media) :]):
        raise SdpError("the answer takes an m-line that was refused")
    taken: dict[int, list[str]] = {}
    labels: dict[str, list[str]] = {"accepted": [], "refused": [], "inactive": []}
    for index, offered in enumerate(offer.media):
        media = answer[index] if index < len(answer) else None
        verdict = _verdict(index, offered_media[index], media)
        labels[verdict].append(offered.label)
        if media is None or verdict == "refused":
            continue
        ours, chosen = offered_media[index], _common_formats(offered, media)
        protection = _protection_lines(index, session, media, offered, ours)
        if verdict == "accepted":
            _check_chosen(index, offered, media, chosen)
            taken[offered.fork_index] = _accepted_lines(media, ours, chosen) + protection
        elif chosen:
            # Its address may be of another family.
            lines = _accepted_lines(replace(media, connection=ours.connection), ours, chosen)
            taken[offered.fork_index] = held_lines(lines) + protection
    if not labels["accepted"] and not labels["inactive"]:
        raise SdpError("the answer refused every track")
    return CheckedAnswer(
        sdp=_compose(offer.fork, taken),
        accepted=tuple(labels["accepted"]),
        refused=tuple(labels["refused"]),
        inactive=tuple(labels["inactive"]),
    )


def _verdict(index: int, offered: Media, media: Media | None) -> str:
    # Real servers answer fewer m-lines: those at the end are taken as refused.
    if media is None:
        return "refused"
    if media.kind != offered.kind:
        raise SdpError(f"m-line {index + 1} is {media.kind}, {offered.kind} was offered")
    if media.port == 0:
        return "refused"
    if media.proto != offered.proto:
        # rtpengine would take RTP/AVP to an offer of RTP/SAVP, and send in the clear.
        error = SdpError if Profile(offered.proto).is_plain else SrtpError
        raise error(f"m-line {index + 1} is {media.proto}, {offered.proto} was offered")
    address = numeric_address(media.connection)
    if address is None:
        raise SdpError(f"m-line {index + 1} has no numeric address ({media.connection!r})")
    # c=0.0.0.0 is hold as RFC 2543 had it (RFC 3264 §8.4).
    if address.is_unspecified or media.direction not in _RECEIVES:
        return "inactive"
    ours = numeric_address(offered.connection)
    if ours is not None and ours.version != address.version:
        # rtpengine sends from the offered port, and cannot change its family.
        wanted = f"m-line {index + 1} wants media at IPv{address.version}"
        raise SdpError(f"{wanted}, rtpengine sends it by IPv{ours.version}")
    if address.is_multicast or str(address) == "255.255.255.255":
        raise SdpError(f"m-line {index + 1} wants media at {address}, which is no single host")
    return "accepted"


def _common_formats(offered: OfferedMedia, media: Media) -> list[tuple[str, str]]:
    # RFC 3264 §6.1 lets an answer list formats that were not offered, besides at least one
    # that was. We send none of those, and rtpengine must not learn of them.
    by_type = dict(zip(offered.formats, offered.codecs, strict=True))
    matches = ((f, _match(f, codec, by_type)) for f, codec in media.codecs.items())
    return [(theirs, ours) for theirs, ours in matches if ours is not None]


def _check_chosen(
    index: int, offered: OfferedMedia, media: Media, chosen: list[tuple[str, str]]
) -> None:
    by_type = dict(zip(offered.formats, offered.codecs, strict=True))
    if all(by_type[ours].startswith(DIGITS) for _, ours in chosen):
        names = ", ".join(codec or f for f, codec in media.codecs.items()) or "nothing"
        wanted = ", ".join(c or f for f, c in by_type.items())
        raise SdpError(f"m-line {index + 1} chose {names}, offered was {wanted}")


def _match(payload_type: str, codec: str, by_type: dict[str, str]) -> str | None:
    # An rtpmap may be left out: then the payload type means what it meant in the offer.
    if not codec or codec == by_type.get(payload_type):
        return payload_type if payload_type in by_type else None
    if not (payload_type.isascii() and payload_type.isdigit() and len(payload_type) <= 3):
        return None
    if not 96 <= int(payload_type) <= 127:
        return None
    return next((f for f, c in by_type.items() if c == codec), None)


def _protection_lines(
    index: int, session: Session, media: Media, offered: OfferedMedia, ours: Media
) -> list[str]:
    try:
        profile = Profile(ours.proto)
        if profile.has_sdes:
            return [check_crypto(media, offered.crypto).line]
        if profile.has_dtls:
            return check_dtls(session, media, ours)
    except SrtpError as error:
        raise SrtpError(f"m-line {index + 1}: {error.why}") from error
    return []


def _accepted_lines(media: Media, offered: Media, chosen: list[tuple[str, str]]) -> list[str]:
    # Codec lines are ours, under the payload type that the SRS chose: no text of the SRS
    # passes through.
    codecs, fmtps = offered.codecs | offered.rtpmaps, offered.fmtps
    rtcp_port = leading_number(media.attribute("rtcp"))
    return [
        f"m={offered.kind} {media.port} {media.proto} {' '.join(f for f, _ in chosen)}",
        f"c={connection_of(media.connection)}",
        *(f"a=rtpmap:{f} {codecs[ours]}" for f, ours in chosen if codecs[ours]),
        *(f"a=fmtp:{f} {fmtps[ours]}" for f, ours in chosen if ours in fmtps),
        "a=recvonly",
        *([f"a=rtcp:{rtcp_port}"] if rtcp_port else []),
    ]


def held_lines(lines: Sequence[str]) -> list[str]:
    """Give the lines of an m-line of an answer so that rtpengine sends it nothing for a while.

    It has no address then. With port 0 DTLS could not go on, which is done with one handshake.
    """
    is_v6 = any(line.startswith("c=IN IP6") for line in lines)
    nowhere = "c=IN IP6 ::" if is_v6 else "c=IN IP4 0.0.0.0"
    rest = [line for line in lines[1:] if not line.startswith("c=")]
    return [lines[0], nowhere, *("a=inactive" if line == "a=recvonly" else line for line in rest)]


def _compose(fork: tuple[ForkLine, ...], accepted: dict[int, list[str]]) -> str:
    lines = session_lines(1, 1, "IN IP4 127.0.0.1")
    for index, line in enumerate(fork):
        formats = " ".join(line.formats) or "0"
        # rtpengine takes no m-line without an address, not even one with port 0.
        refused = [f"m={line.kind} 0 {line.proto} {formats}", "c=IN IP4 127.0.0.1", "a=inactive"]
        lines += accepted.get(index, refused)
    return join_lines(lines)
