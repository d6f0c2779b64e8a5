"""An m-line secured by keys in the session description (RFC 4568)."""

from siprec_srs.behaviour import SrtpPolicy
from siprec_srs.protection import Protection
from siprec_srs.sdes import Crypto, choose_crypto, new_secret, offered_suites, write_crypto
from siprec_srs.sdp import MediaLine
from siprec_srs.suites import SUITES
from siprec_srs.transport import Address

SDES_PROFILES = ("RTP/SAVP", "RTP/SAVPF")


class SdesGuard:
    """Takes the first offered suite that we know, and answers with a key of our own."""

    def __init__(self, profile: str, policy: SrtpPolicy) -> None:
        self.profile = profile
        self.policy = policy
        self._secret = b""
        self.rtp = self.rtcp = Protection()

    def agree(self, line: MediaLine) -> tuple[str, ...] | None:
        """Choose from the offered a=crypto lines; our own key stays while the suite stays."""
        values = line.all("crypto")
        chosen = choose_crypto(values, self.policy.suites)
        if chosen is None:
            return None
        if chosen.suite != self.rtp.suite:
            self._secret = new_secret(chosen.suite)
        self.rtp.use(chosen.suite, theirs=chosen.secret, ours=self._secret)
        return self._answer(values, chosen)

    def _answer(self, values: list[str], chosen: Crypto) -> tuple[str, ...]:
        policy, offered = self.policy, offered_suites(values)
        tag, suite, secret = chosen.tag, chosen.suite, self._secret
        if policy.no_crypto:
            return ()
        if policy.unoffered_tag:
            tag = str(1 + max(int(number) for number, _ in offered))
        if policy.unoffered_suite:
            names = {name for _, name in offered}
            strange = [known for known in SUITES.values() if known.name not in names]
            if not strange:
                return (write_crypto(tag, "AES_192_CM_HMAC_SHA1_80", bytes(38)),)
            suite, secret = strange[0], new_secret(strange[0])
        return (write_crypto(tag, suite.name, secret),)

    def start(self) -> None:
        """Nothing waits."""

    def handshake(self, data: bytes, peer: Address, *, is_rtcp: bool) -> bool:
        """Nothing to shake hands about."""
        return False

    def close(self) -> None:
        """Nothing to stop."""
