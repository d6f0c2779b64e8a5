"""What secures an m-line, whichever way: agreed on in SDP, it then guards two sockets."""

from collections.abc import Callable
from typing import Protocol

from siprec_srs.behaviour import SrtpPolicy
from siprec_srs.dtls_guard import DTLS_PROFILES, DtlsGuard, Send
from siprec_srs.protection import Protection
from siprec_srs.sdes import worthless_suites
from siprec_srs.sdes_guard import SDES_PROFILES, SdesGuard
from siprec_srs.sdp import MediaLine
from siprec_srs.transport import Address

PLAIN_PROFILE = "RTP/AVP"
PLAIN_PROFILES = (PLAIN_PROFILE, "RTP/AVPF")
PROFILES = (*PLAIN_PROFILES, *SDES_PROFILES, *DTLS_PROFILES)


class Guard(Protocol):
    """What secures one m-line. `agree` first; it opens and seals what its sockets carry."""

    profile: str
    policy: SrtpPolicy
    rtp: Protection
    rtcp: Protection

    def agree(self, line: MediaLine) -> tuple[str, ...] | None:
        """Return the attributes of the answer, None when the offer has nothing we can use."""

    def start(self) -> None:
        """Begin what must wait for the answer to be acknowledged."""

    def handshake(self, data: bytes, peer: Address, *, is_rtcp: bool) -> bool:
        """Take a datagram that is no RTP or RTCP; False when it is none of ours."""

    def close(self) -> None:
        """Stop every timer."""


def new_guard(
    profile: str,
    policy: SrtpPolicy,
    *,
    note: Callable[[str], None],
    send_rtp: Send,
    send_rtcp: Send,
) -> Guard | None:
    """Return what a transport protocol asks for; None for plain RTP."""
    if profile in SDES_PROFILES:
        return SdesGuard(profile, policy)
    if profile in DTLS_PROFILES:
        return DtlsGuard(profile, policy, note, send_rtp, send_rtcp)
    return None


def doubts(line: MediaLine) -> list[str]:
    """Return what an SRC should not have offered on a secured m-line."""
    if line.proto in PLAIN_PROFILES:
        return []
    return [f"label {line.label} offers {name}" for name in worthless_suites(line.all("crypto"))]
