"""Offers of our own, and what an SRC may answer to them (RFC 7866 §7, RFC 3264)."""

from dataclasses import dataclass, replace

from siprec_srs.sdp import AnswerLine, MediaLine, Offer

DIRECTIONS = ("recvonly", "inactive", "sendrecv")
# RFC 7866 §7.1.1: an SRC sends, or does not; it never receives.
_ANSWERS = {
    "recvonly": ("sendonly", "inactive"),
    "sendrecv": ("sendonly", "inactive"),
    "inactive": ("inactive",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What our offer changes; nothing by default.

    direction: of all m-lines, empty for what they have. port_zero: index of the m-line to end.
    extra: one m-line more, which an SRC must refuse. moves: other RTP ports.
    is_absent: no session description at all, so that the SRC offers.
    """

    direction: str = ""
    port_zero: int = -1
    extra: bool = False
    moves: bool = False
    is_absent: bool = False

    def __str__(self) -> str:
        """Return the word of the command line."""
        if self.is_absent:
            return "none"
        if self.extra:
            return "extra"
        if self.port_zero >= 0:
            return f"port0:{self.port_zero}"
        return self.direction or ("moved" if self.moves else "same")

    def lines(self, agreed: list[AnswerLine]) -> list[AnswerLine]:
        """Return the m-lines of the offer, made from those agreed on so far."""
        lines = list(agreed)
        if self.direction:
            lines = [replace(line, direction=self.direction) for line in lines]
        # RFC 5763 §5: who offers leaves the role in the handshake to the other.
        lines = [replace(line, security=tuple(map(_actpass, line.security))) for line in lines]
        if 0 <= self.port_zero < len(lines):
            lines[self.port_zero] = replace(lines[self.port_zero], port=0)
        if self.extra:
            lines.append(AnswerLine(port=9, encoding="PCMU"))
        return lines


def _actpass(attribute: str) -> str:
    return "setup:actpass" if attribute.startswith("setup:") else attribute


def judge_answer(ours: list[AnswerLine], theirs: Offer, agreed: int) -> list[str]:
    """Return what is wrong with the SRC's answer to an offer of ours.

    agreed: how many m-lines there were before; those behind are ours to ask and its to refuse.
    """
    found = []
    if len(theirs.media) != len(ours):
        found.append(f"answered {len(theirs.media)} m-lines to the {len(ours)} of our offer")
    for index, (offered, answered) in enumerate(zip(ours, theirs.media, strict=False)):
        for text in _judge_line(offered, answered, is_new=index >= agreed):
            found.append(f"m-line {index + 1}: {text}")
    return found


def _judge_line(offered: AnswerLine, answered: MediaLine, *, is_new: bool) -> list[str]:
    if is_new:
        # RFC 7866 §7.2: an SRS adds no streams.
        return ["an m-line that we added was accepted"] if answered.port else []
    if not offered.port:
        return ["an m-line that we ended has a port"] if answered.port else []
    if not answered.port:
        return []
    found = []
    if answered.direction not in _ANSWERS[offered.direction]:
        found.append(f"{answered.direction} is no answer to {offered.direction}")
    if answered.label != offered.label:
        found.append(f"label {answered.label or '(none)'} instead of {offered.label}")
    if answered.proto != offered.proto:
        found.append(f"{answered.proto} is no answer to {offered.proto}")
    if str(offered.payload_type) not in answered.formats:
        found.append(f"payload type {offered.payload_type} is not among {answered.formats}")
    return found
