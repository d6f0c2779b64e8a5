"""The offer to the SRS: our own session lines around what rtpengine's fork offers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from siprec.errors import ForkError, SdpError
from siprec.sdp.session import Media, numeric_address, parse

# Digits must not reach the recorder, and comfort noise is no audio of a party.
_NOT_AUDIO = ("TELEPHONE-EVENT/", "CN/")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkMedia:
    """One m-line of a fork, at `index` from 0, and the party whose media it carries."""

    index: int
    label: str
    party_tag: str
    media: Media


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkLine:
    """What an answer to rtpengine must repeat of one m-line of the fork."""

    kind: str
    proto: str
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedMedia:
    """One m-line of our offer: it stands at `fork_index` in the fork's SDP.

    `codecs` go with `formats`, one each, in upper case (`PCMA/8000`); "" when unknown.
    """

    label: str
    party_tag: str
    fork_index: int
    formats: tuple[str, ...]
    codecs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The SDP to send, its m-lines in order, and all m-lines of the fork. A record."""

    sdp: str
    media: tuple[OfferedMedia, ...]
    fork: tuple[ForkLine, ...]


def fork_tracks(fork_sdp: str, labels: Mapping[str, str]) -> tuple[ForkMedia, ...]:
    """Tell whose media each m-line of a fork carries; `labels` is `a=label` value to party tag.

    An m-line without a known label is left out.

    Raises:
        ForkError: the fork's SDP cannot be read.
    """
    return _tracks(_fork_media(fork_sdp), labels)


def compose_offer(
    fork_sdp: str,
    wanted: Sequence[tuple[str, str]],
    labels: Mapping[str, str],
    session_id: int,
    version: int,
) -> Offer:
    """Compose the offer: one labelled audio m-line for each wanted party, in that order.

    `wanted` is pairs of party tag and our label; `labels` is rtpengine's `a=label` value to
    party tag. `version` rises by one when, and only when, the SDP changes (RFC 3264 §8).

    Raises:
        ForkError: the fork cannot feed it; `retryable` when a wanted party is missing.
    """
    fork = _fork_media(fork_sdp)
    tracks = _tracks(fork, labels)
    chosen = [(label, _track_of(tracks, party_tag)) for party_tag, label in wanted]
    if not chosen:
        raise ForkError("no party is wanted")
    offered = tuple(_offered(label, track) for label, track in chosen)
    pairs = zip(chosen, offered, strict=True)
    blocks = [line for (_, track), o in pairs for line in _media_lines(track.media, o)]
    head = session_lines(session_id, version, connection_of(chosen[0][1].media.connection))
    return Offer(
        sdp=join_lines([*head, *blocks]),
        media=offered,
        fork=tuple(ForkLine(kind=m.kind, proto=m.proto, formats=m.formats) for m in fork),
    )


def session_lines(session_id: int, version: int, connection: str) -> list[str]:
    """Write v, o, s, t of our own: rtpengine's would tell a party's address and its version."""
    return ["v=0", f"o=- {session_id} {version} {connection}", "s=-", "t=0 0"]


def connection_of(address: str) -> str:
    """Write the address as in `c=`. It must be a numeric one."""
    return f"IN IP{6 if ':' in address else 4} {address}"


def join_lines(lines: Sequence[str]) -> str:
    """Put lines of SDP together."""
    return "".join(f"{line}\r\n" for line in lines)


def codec_lines(media: Media, formats: Sequence[str]) -> list[str]:
    """Write the rtpmap and fmtp lines of these formats."""
    rtpmaps, fmtps = media.rtpmaps, media.fmtps
    lines = [f"a=rtpmap:{f} {rtpmaps[f]}" for f in formats if f in rtpmaps]
    return lines + [f"a=fmtp:{f} {fmtps[f]}" for f in formats if f in fmtps]


def leading_number(text: str | None) -> int | None:
    """Read the number from 1 to 65535 at the start of an attribute's value: a port, a time."""
    word = (text or "").partition(" ")[0]
    if not (word.isascii() and word.isdigit() and len(word) <= 5):
        return None
    return int(word) if 1 <= int(word) <= 65535 else None


def _fork_media(fork_sdp: str) -> tuple[Media, ...]:
    try:
        return parse(fork_sdp).media
    except SdpError as error:
        raise ForkError(error.why) from error


def _tracks(fork: tuple[Media, ...], labels: Mapping[str, str]) -> tuple[ForkMedia, ...]:
    found: list[ForkMedia] = []
    for index, media in enumerate(fork):
        label = media.attribute("label")
        if label is not None and label in labels:
            found.append(ForkMedia(index=index, label=label, party_tag=labels[label], media=media))
    return tuple(found)


def _track_of(tracks: tuple[ForkMedia, ...], party_tag: str) -> ForkMedia:
    for track in tracks:
        if track.party_tag == party_tag and track.media.kind == "audio" and track.media.port:
            return track
    raise ForkError(f"party {party_tag!r} has no audio m-line", retryable=True)


def _offered(label: str, track: ForkMedia) -> OfferedMedia:
    formats, codecs = _audio_formats(track), track.media.codecs
    return OfferedMedia(
        label=label,
        party_tag=track.party_tag,
        fork_index=track.index,
        formats=formats,
        codecs=tuple(codecs[f] for f in formats),
    )


def _audio_formats(track: ForkMedia) -> tuple[str, ...]:
    media = track.media
    if media.proto != "RTP/AVP":
        raise ForkError(f"profile {media.proto} instead of RTP/AVP")
    if numeric_address(media.connection) is None:
        raise ForkError(f"{media.connection!r} is not a numeric address")
    kept = tuple(f for f, codec in media.codecs.items() if not codec.startswith(_NOT_AUDIO))
    if not kept:
        raise ForkError(f"party {track.party_tag!r} has no audio codec")
    return kept


def _media_lines(media: Media, offered: OfferedMedia) -> list[str]:
    rtcp_port = leading_number(media.attribute("rtcp"))
    ptime = leading_number(media.attribute("ptime"))
    return [
        f"m=audio {media.port} {media.proto} {' '.join(offered.formats)}",
        f"c={connection_of(media.connection)}",
        f"a=label:{offered.label}",
        *codec_lines(media, offered.formats),
        *([f"a=ptime:{ptime}"] if ptime else []),
        "a=inactive" if media.direction == "inactive" else "a=sendonly",
        *([f"a=rtcp:{rtcp_port}"] if rtcp_port else []),
    ]
