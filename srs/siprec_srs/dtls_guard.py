"""An m-line secured by DTLS-SRTP: one handshake for RTP, one for RTCP (RFC 5764 §4.2)."""

import asyncio
from collections.abc import Callable

from siprec_srs.behaviour import SrtpPolicy
from siprec_srs.dtls import Fingerprint, Handshake, is_dtls, our_identity
from siprec_srs.protection import Protection
from siprec_srs.sdp import MediaLine
from siprec_srs.suites import Suite
from siprec_srs.transport import Address

DTLS_PROFILES = ("UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF")
_AGAIN_S = 0.1
_OTHER_ROLE = {"active": "passive", "passive": "active"}

Send = Callable[[bytes, Address], None]


class _Side:
    """One socket of the m-line."""

    def __init__(self, note: Callable[[str], None], send: Send) -> None:
        self.protection = Protection()
        self.peer: Address = ("", 0)
        self._note = note
        self._send = send
        self._handshake: Handshake | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, policy: SrtpPolicy, *, is_active: bool, expected: Fingerprint) -> None:
        self.close()
        self._handshake = Handshake(
            identity=our_identity(),
            suites=policy.suites,
            is_active=is_active,
            expected=expected,
            send=lambda data: self._send(data, self.peer),
            on_keys=self._keys,
        )

    def _keys(self, suite: Suite, theirs: bytes, ours: bytes) -> None:
        self.protection.use(suite, theirs=theirs, ours=ours)

    def start(self) -> None:
        if self._handshake is not None and self._timer is None:
            self._handshake.start()
            self._watch()

    def _watch(self) -> None:
        handshake = self._handshake
        if handshake is None or handshake.is_done or handshake.failure:
            return
        self._timer = asyncio.get_running_loop().call_later(_AGAIN_S, self._again)

    def _again(self) -> None:
        if self._handshake is not None:
            self._handshake.again()
            self._look()
            self._watch()

    def receive(self, data: bytes, peer: Address) -> None:
        if self._handshake is None:
            return
        self.peer = peer
        self._handshake.receive(data)
        self._look()
        if self._timer is None:
            self._watch()

    def _look(self) -> None:
        if self._handshake is not None and self._handshake.failure:
            self._note(self._handshake.failure)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class DtlsGuard:
    """Keys out of a handshake on the media sockets; the fingerprint comes with the offer."""

    def __init__(
        self,
        profile: str,
        policy: SrtpPolicy,
        note: Callable[[str], None],
        send_rtp: Send,
        send_rtcp: Send,
    ) -> None:
        self.profile = profile
        self.policy = policy
        self._rtp = _Side(note, send_rtp)
        self._rtcp = _Side(note, send_rtcp)
        self.rtp = self._rtp.protection
        self.rtcp = self._rtcp.protection
        self._agreed: tuple[bool, Fingerprint] | None = None

    def agree(self, line: MediaLine) -> tuple[str, ...] | None:
        """Take the fingerprint and a role; a new one of either begins a new association."""
        fingerprint = Fingerprint.parse(next(iter(line.any("fingerprint")), ""))
        setup = next(iter(line.any("setup")), "")
        # RFC 5763 §5: the answerer chooses when the offer is actpass.
        role = self.policy.dtls_role if setup == "actpass" else _OTHER_ROLE.get(setup)
        if fingerprint is None or role is None:
            return None
        if self._agreed is not None and self._agreed[1] == fingerprint and setup == "actpass":
            role = "active" if self._agreed[0] else "passive"
        agreed = role == "active", fingerprint
        self._rtp.peer, self._rtcp.peer = (line.host, line.port), line.rtcp
        if agreed != self._agreed:
            self._agreed = agreed
            for side in (self._rtp, self._rtcp):
                side.begin(self.policy, is_active=agreed[0], expected=fingerprint)
        if self.policy.no_crypto:
            return ()
        return f"setup:{role}", f"fingerprint:{Fingerprint.of(our_identity().certificate)}"

    def start(self) -> None:
        """Shake hands when we are the active side, and watch for what is lost."""
        self._rtp.start()
        self._rtcp.start()

    def handshake(self, data: bytes, peer: Address, *, is_rtcp: bool) -> bool:
        """Take a DTLS datagram; False for any other."""
        if not is_dtls(data):
            return False
        (self._rtcp if is_rtcp else self._rtp).receive(data, peer)
        return True

    def close(self) -> None:
        """Stop repeating."""
        self._rtp.close()
        self._rtcp.close()
