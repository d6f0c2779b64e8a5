"""What protects the packets of one socket: SRTP contexts, and counters that tell what came."""

from typing import Any

from pylibsrtp import Error, Session

from siprec_srs.suites import Suite

# G.711 in steps of 10 ms: the size of a payload nobody has added a tag to.
_FRAME_BYTES = 80
_HEADER_BYTES = 12
_INBOUND_MAX = 2


class Protection:
    """SRTP and SRTCP of one socket. `use` the keys, then `open` what comes.

    Packets that do not authenticate are never decoded. They are counted as `clear` when they
    have the size of plain G.711 packets, or are too short for a tag; else as `failed`.
    """

    def __init__(self) -> None:
        self.suite: Suite | None = None
        self.authenticated = self.failed = self.clear = self.replayed = self.clear_rtcp = 0
        self._theirs: list[tuple[bytes, Session]] = []
        self._ours: Session | None = None
        self._our_secret = b""

    @property
    def has_keys(self) -> bool:
        """Tell whether packets can be opened."""
        return bool(self._theirs)

    def use(self, suite: Suite, *, theirs: bytes, ours: bytes) -> None:
        """Take master keys and salts; the same ones again change nothing.

        Packets under the key before stay readable: they may still be on their way.
        """
        if (suite, theirs) not in [(self.suite, secret) for secret, _ in self._theirs[:1]]:
            session = suite.session(theirs, inbound=True)
            self._theirs = [(theirs, session), *self._theirs][:_INBOUND_MAX]
        if (suite, ours) != (self.suite, self._our_secret):
            self._ours, self._our_secret = suite.session(ours, inbound=False), ours
        self.suite = suite

    def open(self, data: bytes) -> bytes | None:
        """Return the RTP packet inside, None for what is not genuine or was seen before."""
        reason = ""
        for _, session in self._theirs:
            try:
                plain = session.unprotect(data)
            except (Error, ValueError) as error:
                reason = reason or str(error)
            else:
                self.authenticated += 1
                return plain
        if "replay" in reason:
            self.replayed += 1
        elif self._looks_clear(data):
            self.clear += 1
        else:
            self.failed += 1
        return None

    def _looks_clear(self, data: bytes) -> bool:
        payload = len(data) - _HEADER_BYTES
        tag = self.suite.tag_bytes if self.suite is not None else 1
        return payload >= 0 and data[0] >> 6 == 2 and (payload <= tag or not payload % _FRAME_BYTES)

    def open_rtcp(self, data: bytes) -> bytes | None:
        """Return the RTCP packet inside, None for what is not genuine."""
        for _, session in self._theirs:
            try:
                return session.unprotect_rtcp(data)
            except (Error, ValueError):
                continue
        self.clear_rtcp += _is_whole_rtcp(data)
        return None

    def seal_rtcp(self, data: bytes) -> bytes | None:
        """Return the SRTCP packet to send, None without keys."""
        return self._ours.protect_rtcp(data) if self._ours is not None else None

    def describe(self, profile: str) -> dict[str, Any]:
        """Return the `srtp` of a label in the summary."""
        return {
            "profile": profile,
            "suite": self.suite.name if self.suite is not None else None,
            "authenticated_packets": self.authenticated,
            "failed_packets": self.failed,
            "clear_packets": self.clear,
            "replayed_packets": self.replayed,
            "clear_rtcp_packets": self.clear_rtcp,
        }


def _is_whole_rtcp(data: bytes) -> bool:
    """Tell whether this is a compound packet with nothing added: SRTCP adds index and tag."""
    while len(data) >= 4 and data[0] >> 6 == 2 and 192 <= data[1] <= 223:
        size = 4 + 4 * int.from_bytes(data[2:4])
        if size == len(data):
            return True
        data = data[size:]
    return False
