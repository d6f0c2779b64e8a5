"""The offer to the SRS: our own session lines around what rtpengine's fork offers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from siprec.errors import ForkError, SdpError
from siprec.record import SDP
from siprec.sdp.protection import SUITES, Crypto, Profile, offered_crypto, offered_dtls
from siprec.sdp.session import Media, Session, numeric_address, parse

DIGITS = "TELEPHONE-EVENT/"
_COMFORT_NOISE = "CN/"
_REPAIR = ("RTX/", "RED/", "ULPFEC/", "FLEXFEC")


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

    `port` is where it is sent from. `codecs` go with `formats`, one each, in upper case
    (`PCMA/8000`); "" when unknown. `kind` is `audio` or `video`.
    `crypto` is pairs of tag and suite of each `a=crypto`. `has_call_key`: with these keys the
    call itself is encrypted, for it has the same suites and rtpengine takes no others then. The
    recorder could read and forge the call, and what is cut out of the fork weakens the keys
    (RFC 3711 §9.1), so somebody should be told: with DTLS, or a further suite, it is not so.
    """

    label: str
    party_tag: str
    fork_index: int
    formats: tuple[str, ...]
    codecs: tuple[str, ...]
    crypto: tuple[tuple[str, str], ...] = ()
    has_call_key: bool = False
    port: int = 0
    kind: str = "audio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The SDP to send, its m-lines in order, and all m-lines of the fork. A record."""

    sdp: str = field(metadata=SDP, repr=False)
    media: tuple[OfferedMedia, ...]
    fork: tuple[ForkLine, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Give the labels of the m-lines, in their order."""
        return tuple(media.label for media in self.media)

    @property
    def has_call_key(self) -> bool:
        """Tell whether an m-line has a key of the call."""
        return any(media.has_call_key for media in self.media)

    @property
    def has_video(self) -> bool:
        """Tell whether there is video in it."""
        return any(media.kind == "video" for media in self.media)


def fork_tracks(fork_sdp: str, labels: Mapping[str, str]) -> tuple[ForkMedia, ...]:
    """Tell whose media each m-line of a fork carries; `labels` is `a=label` value to party tag.

    An m-line without a known label is left out.

    Raises:
        ForkError: the fork's SDP cannot be read.
    """
    return _tracks(_fork_session(fork_sdp).media, labels)


def compose_offer(
    fork_sdp: str,
    wanted: Sequence[tuple[str, str]],
    labels: Mapping[str, str],
    session_id: int,
    version: int,
    *,
    profile: Profile = Profile.AVP,
    suites: Sequence[str] = (),
    of_srtp_call: bool = False,
    keep_digits: bool = False,
    video: Sequence[tuple[str, str]] = (),
) -> Offer:
    """Compose the offer: one labelled audio m-line for each wanted party, in that order.

    `wanted` is pairs of party tag and our label, and so is `video`: m-lines for the video of
    those parties that have some come last. `labels` is rtpengine's `a=label` value to party tag.
    `version` rises by one when, and only when, the SDP changes (RFC 3264 §8). With
    SDES keys of `suites` are offered, the preferred first, and no others; none of a call
    `of_srtp_call` as long as there is another. `keep_digits` leaves telephone-event in.

    Raises:
        ForkError: the fork cannot feed it; `retryable` when a wanted party is missing. It has
            another profile, or none of the suites.
        ValueError: one of `suites` is none of siprec.sdp.SUITES.
    """
    unfit = [suite for suite in suites if suite not in SUITES]
    if unfit:
        raise ValueError(f"{', '.join(unfit)} must not be offered")
    session = _fork_session(fork_sdp)
    tracks = _tracks(session.media, labels)
    chosen = [(label, _audio_of(tracks, party_tag)) for party_tag, label in wanted]
    if not chosen:
        raise ForkError("no party is wanted")
    seen = [(label, _track_of(tracks, party_tag, "video")) for party_tag, label in video]
    chosen += [(label, track) for label, track in seen if track is not None and _pictures(track)]
    offered: list[OfferedMedia] = []
    lines = session_lines(session_id, version, connection_of(chosen[0][1].media.connection))
    for label, track in chosen:
        _check_fork(track.media, profile)
        keys, has_call_key = _keys(track.media, profile, suites, of_srtp_call)
        one = _offered(label, track, keys, keep_digits, has_call_key)
        offered.append(one)
        lines += _media_lines(track.media, one) + _protection_lines(profile, session, track, keys)
    return Offer(
        sdp=join_lines(lines),
        media=tuple(offered),
        fork=tuple(ForkLine(kind=m.kind, proto=m.proto, formats=m.formats) for m in session.media),
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


def _fork_session(fork_sdp: str) -> Session:
    try:
        return parse(fork_sdp)
    except SdpError as error:
        raise ForkError(error.why) from error


def _tracks(fork: tuple[Media, ...], labels: Mapping[str, str]) -> tuple[ForkMedia, ...]:
    found: list[ForkMedia] = []
    for index, media in enumerate(fork):
        label = media.attribute("label")
        if label is not None and label in labels:
            found.append(ForkMedia(index=index, label=label, party_tag=labels[label], media=media))
    return tuple(found)


def _audio_of(tracks: tuple[ForkMedia, ...], party_tag: str) -> ForkMedia:
    track = _track_of(tracks, party_tag, "audio")
    if track is None:
        raise ForkError(f"party {party_tag!r} has no audio m-line", retryable=True)
    return track


def _track_of(tracks: tuple[ForkMedia, ...], party_tag: str, kind: str) -> ForkMedia | None:
    return next(
        (
            track
            for track in tracks
            if track.party_tag == party_tag and track.media.kind == kind and track.media.port
        ),
        None,
    )


def _check_fork(media: Media, profile: Profile) -> None:
    if media.proto != profile:
        raise ForkError(f"profile {media.proto} instead of {profile}")
    if numeric_address(media.connection) is None:
        raise ForkError(f"{media.connection!r} is not a numeric address")


def _keys(
    media: Media, profile: Profile, suites: Sequence[str], of_srtp_call: bool
) -> tuple[tuple[Crypto, ...], bool]:
    if not profile.has_sdes:
        return (), False
    return offered_crypto(media, suites, of_srtp_call=of_srtp_call)


def _offered(
    label: str,
    track: ForkMedia,
    keys: Sequence[Crypto],
    keep_digits: bool,
    has_call_key: bool,
) -> OfferedMedia:
    is_video, codecs = track.media.kind == "video", track.media.codecs
    formats = _pictures(track) if is_video else _formats(track, keep_digits)
    return OfferedMedia(
        label=label,
        party_tag=track.party_tag,
        fork_index=track.index,
        formats=formats,
        codecs=tuple(codecs[f] for f in formats),
        crypto=tuple((crypto.tag, crypto.suite) for crypto in keys),
        has_call_key=has_call_key,
        port=track.media.port,
        kind=track.media.kind,
    )


def _pictures(track: ForkMedia) -> tuple[str, ...]:
    """Give the formats of video, without those that repair or repeat others."""
    return tuple(f for f, c in track.media.codecs.items() if c and not c.startswith(_REPAIR))


def _formats(track: ForkMedia, keep_digits: bool) -> tuple[str, ...]:
    # Digits must not reach the recorder unasked, and comfort noise is no audio of a party.
    codecs = {f: c for f, c in track.media.codecs.items() if not c.startswith(_COMFORT_NOISE)}
    audio = tuple(f for f, codec in codecs.items() if not codec.startswith(DIGITS))
    if not audio:
        raise ForkError(f"party {track.party_tag!r} has no audio codec")
    return tuple(codecs) if keep_digits else audio


def _protection_lines(
    profile: Profile, session: Session, track: ForkMedia, keys: Sequence[Crypto]
) -> list[str]:
    if profile.has_dtls:
        return offered_dtls(session, track.media)
    return [crypto.line for crypto in keys]


def _media_lines(media: Media, offered: OfferedMedia) -> list[str]:
    rtcp_port = leading_number(media.attribute("rtcp"))
    ptime = leading_number(media.attribute("ptime"))
    return [
        f"m={offered.kind} {media.port} {media.proto} {' '.join(offered.formats)}",
        f"c={connection_of(media.connection)}",
        f"a=label:{offered.label}",
        *codec_lines(media, offered.formats),
        *([f"a=ptime:{ptime}"] if ptime else []),
        # rtpengine may say `inactive` of a party on hold: what is muted is for the leg to say.
        "a=sendonly",
        *([f"a=rtcp:{rtcp_port}"] if rtcp_port else []),
    ]
