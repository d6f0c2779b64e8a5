"""A phone whose media is SRTP, keyed in its SDP (RFC 4568)."""

import base64
import secrets
import socket
from typing import Any

from pylibsrtp import Error, Policy, Session

from tests.scenarios.phone import Phone
from tests.scenarios.sip_text import Message
from tests.scenarios.wire import Address

SUITE = "AES_CM_128_HMAC_SHA1_80"
_KEY_BYTES = 30


class SrtpSocket(socket.socket):
    """A UDP socket for RTP whose packets are SRTP on the wire. What is none is dropped."""

    def __init__(self, host: str) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM)
        self.bind((host, 0))
        self.key = secrets.token_bytes(_KEY_BYTES)
        self.in_clear = 0
        self._sealing = Session(Policy(key=self.key, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
        self._opening: Session | None = None

    def expect(self, key: bytes) -> None:
        """Take what the peer seals with that key."""
        self._opening = Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND))

    def sendto(self, data: Any, address: Any) -> int:  # type: ignore[override]
        """Seal and send a packet."""
        return super().sendto(self._sealing.protect(data), address)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive and open a packet."""
        data = super().recv(size, flags)
        try:
            return self._opening.unprotect(data) if self._opening else b""
        except Error:
            # An RTP packet of 20 ms of PCMA without the tag of SRTP.
            self.in_clear += len(data) == 12 + 160
            return b""


class SecurePhone(Phone):
    """Offers and takes one suite of RTP/SAVP."""

    def __init__(self, name: str, proxy: Address) -> None:
        super().__init__(name, proxy)
        self.rtp.close()
        self.rtp: SrtpSocket = SrtpSocket("127.0.0.1")
        self.rtp_port = self.rtp.getsockname()[1]
        self._crypto_tag = "1"

    def sdp(
        self, *, direction: str = "sendrecv", payload: str = "8 PCMA/8000", port: int | None = None
    ) -> str:
        """Write an SDP of one secured audio line."""
        plain = super().sdp(direction=direction, payload=payload, port=port)
        key = base64.b64encode(self.rtp.key).decode()
        crypto = f"a=crypto:{self._crypto_tag} {SUITE} inline:{key}\r\n"
        return plain.replace(" RTP/AVP ", " RTP/SAVP ") + crypto

    def _note_media(self, message: Message) -> None:
        super()._note_media(message)
        for line in message.body.splitlines():
            if line.startswith("a=crypto:") and SUITE in line.split():
                tag, _, key, *_ = line.removeprefix("a=crypto:").split()
                self._crypto_tag = tag
                self.rtp.expect(base64.b64decode(key.removeprefix("inline:").split("|")[0]))
                return
