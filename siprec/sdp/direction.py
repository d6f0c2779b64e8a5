"""What direction each m-line of our offer has: `sendonly`, or `inactive` while it is muted."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from siprec.sdp.answer import held_lines
from siprec.sdp.offer import Offer, OfferedMedia, join_lines
from siprec.sdp.session import Media

_ORIGIN = re.compile(r"o=(\S+) (\d+) (\d+) (.*)")
_DIRECTIONS = ("a=sendonly", "a=inactive")


def muted_offer(
    offer: Offer,
    labels: Collection[str],
    dropped: Collection[str] = (),
    further: Sequence[Media] = (),
) -> Offer:
    """Give the offer with the m-lines of these labels `inactive`, the others `sendonly`.

    RFC 7866 §7.1.1.1. Those that are `dropped` have port 0, and so have `further` m-lines that
    the SRS would add: they come last, and stay (RFC 3264 §6, RFC 7866 §7.2). The version in `o=`
    rises by one when, and only when, this changes the offer (RFC 3264 §8).
    """
    before = offer.sdp.split("\r\n")
    connection = next((line for line in before if line.startswith("c=")), "c=IN IP4 0.0.0.0")
    lines = [line for media in further for line in (_refused_line(media), connection)]
    changed = [*_directed(before, offer, labels, dropped)[:-1], *lines, ""]
    if changed == before:
        return offer
    return replace(offer, sdp="\r\n".join(_next_version(line) for line in changed))


def grown_offer(
    offer: Offer, before: Offer, labels: Collection[str], dropped: Collection[str]
) -> Offer:
    """Give an offer that takes the place of the one `before`: it has the same m-lines, and more.

    `labels` are `inactive` and those `dropped` have port 0, as in `muted_offer`.
    """
    origin = next(line for line in before.sdp.split("\r\n") if line.startswith("o="))
    directed = _directed(offer.sdp.split("\r\n"), offer, labels, dropped)
    lines = [_next_version(origin) if line.startswith("o=") else line for line in directed]
    return replace(offer, sdp="\r\n".join(lines))


def _refused_line(media: Media) -> str:
    return f"m={media.kind} 0 {media.proto} {' '.join(media.formats) or '0'}"


def gated_answer(offer: Offer, answer_sdp: str, labels: Collection[str]) -> str:
    """Give the answer for rtpengine with the m-lines of these labels cut off: no address.

    `answer_sdp` is that of `siprec.sdp.check_answer`: it has the m-lines of the fork.
    """
    if not labels:
        return answer_sdp
    closed = {media.fork_index for media in offer.media if media.label in labels}
    head, *blocks = re.split(r"(?m)^(?=m=)", answer_sdp)
    for index in closed:
        blocks[index] = join_lines(held_lines(blocks[index].splitlines()))
    return head + "".join(blocks)


def _directed(
    lines: list[str], offer: Offer, muted: Collection[str], dropped: Collection[str]
) -> list[str]:
    directed: list[str] = []
    media: OfferedMedia | None = None
    lines_left = iter(offer.media)
    for line in lines:
        if line.startswith("m="):
            media = next(lines_left, None)
            line = line if media is None else _with_port(line, media, media.label in dropped)
        elif media is not None and line in _DIRECTIONS:
            line = "a=inactive" if media.label in {*muted, *dropped} else "a=sendonly"
        directed.append(line)
    return directed


def _with_port(line: str, media: OfferedMedia, is_dropped: bool) -> str:
    """Write the port of an m-line; that of an offer stored before ports were is not known."""
    kind, port, rest = line.split(" ", 2)
    return f"{kind} {0 if is_dropped else media.port or port} {rest}"


def _next_version(line: str) -> str:
    origin = _ORIGIN.fullmatch(line)
    if origin is None:
        return line
    user, session_id, version, rest = origin.groups()
    return f"o={user} {session_id} {int(version) + 1} {rest}"
