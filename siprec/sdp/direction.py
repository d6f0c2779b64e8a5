"""What direction each m-line of our offer has: `sendonly`, or `inactive` while it is muted."""

import re
from collections.abc import Collection
from dataclasses import replace

from siprec.sdp.answer import held_lines
from siprec.sdp.offer import Offer, join_lines

_ORIGIN = re.compile(r"o=(\S+) (\d+) (\d+) (.*)")
_DIRECTIONS = ("a=sendonly", "a=inactive")


def muted_offer(offer: Offer, labels: Collection[str]) -> Offer:
    """Give the offer with the m-lines of these labels `inactive`, the others `sendonly`.

    RFC 7866 §7.1.1.1. The version in `o=` rises by one when, and only when, this changes the
    offer (RFC 3264 §8).
    """
    lines = offer.sdp.split("\r\n")
    changed = _directed(lines, offer, labels)
    if changed == lines:
        return offer
    return replace(offer, sdp="\r\n".join(_next_version(line) for line in changed))


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


def _directed(lines: list[str], offer: Offer, labels: Collection[str]) -> list[str]:
    directed: list[str] = []
    index = -1
    for line in lines:
        index += line.startswith("m=")
        if index >= 0 and line in _DIRECTIONS:
            is_muted = offer.media[index].label in labels
            line = "a=inactive" if is_muted else "a=sendonly"
        directed.append(line)
    return directed


def _next_version(line: str) -> str:
    origin = _ORIGIN.fullmatch(line)
    if origin is None:
        return line
    user, session_id, version, rest = origin.groups()
    return f"o={user} {session_id} {int(version) + 1} {rest}"
