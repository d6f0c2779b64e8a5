"""Whose audio a call carries, and whether video, by the offers and answers that pass. Pure.

RFC 3264 §5.1, §6.1.
"""

import re
from ipaddress import ip_address
from typing import NamedTuple

from siprec.errors import SdpError
from siprec.model import Side
from siprec.sdp import parse

_AUDIO = re.compile(r"^m=audio [1-9]", re.MULTILINE)
_VIDEO = re.compile(r"^m=video [1-9]", re.MULTILINE)
# A direction, an m-line that is refused, an address that is none.
_UNUSUAL = re.compile(
    r"^(?:a=(?:sendonly|recvonly|inactive)|m=audio 0|c=IN IP[46] [0:.]+(?:[/\s]|\Z))", re.MULTILINE
)


class Flow(NamedTuple):
    """What an endpoint says of its audio: whether it sends, and whether it wants any."""

    sends: bool
    receives: bool

    def __str__(self) -> str:
        """Write it as two digits, for `flow_from`."""
        return f"{self.sends:d}{self.receives:d}"


def flow_of(sdp: str) -> Flow | None:
    """Read it from the first audio m-line; None when there is none, or nothing can be read.

    `c=0.0.0.0` is hold as RFC 2543 had it: who writes it wants nothing, and may send.
    """
    # Nearly every SDP is of a call that is not on hold, and need not be taken apart for that.
    if _AUDIO.search(sdp) and not _UNUSUAL.search(sdp):
        return Flow(sends=True, receives=True)
    return parsed_flow(sdp)


def parsed_flow(sdp: str) -> Flow | None:
    """Do what `flow_of` does, of any SDP."""
    try:
        media = next((each for each in parse(sdp).media if each.kind == "audio"), None)
    except SdpError:
        return None
    if media is None:
        return None
    if media.port == 0:
        return Flow(sends=False, receives=False)
    sends = media.direction in ("sendrecv", "sendonly")
    receives = media.direction in ("sendrecv", "recvonly")
    return Flow(sends, receives and not _is_nowhere(media.connection))


def has_video(answer_sdp: str) -> bool:
    """Tell whether there is video after that answer: it can only take what was offered."""
    return _VIDEO.search(answer_sdp) is not None


def flow_from(written: str) -> Flow | None:
    """Read what `str` of a flow wrote; None for anything else."""
    if len(written) != 2 or not set(written) <= {"0", "1"}:
        return None
    return Flow(written[0] == "1", written[1] == "1")


def quiet_sides(offerer: Side, offer: Flow | None, answer: Flow) -> tuple[Side, ...]:
    """Give the sides whose audio is not sent after an answer; `offer` None when it is not known.

    The answer alone tells it, if it keeps to the offer as it must.
    """
    answerer = Side.CALLEE if offerer is Side.CALLER else Side.CALLER
    offered = offer or Flow(sends=True, receives=True)
    silent = set()
    if not (offered.sends and answer.receives):
        silent.add(offerer)
    if not (answer.sends and offered.receives):
        silent.add(answerer)
    return tuple(side for side in Side if side in silent)


def _is_nowhere(address: str) -> bool:
    try:
        return ip_address(address).is_unspecified
    except ValueError:
        return False
