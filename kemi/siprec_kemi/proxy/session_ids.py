"""The Session-ID (RFC 7989) of requests and replies: as the ends wrote it, or one of ours.

An end that writes none gets one when the settings say so, the same in each message of its dialog:
a keyed digest of Call-ID and tag, so that any worker makes the same. What an end wrote itself is
kept in memory that all workers share, so that the other one's header can name it.
"""

import hashlib

from siprec.session_id import NIL, local_uuid
from siprec.settings import OnSessionId
from siprec_kemi import ksr, ksr_proxy

# What the ends call their halves of a session.
_WRITTEN = ksr_proxy.SharedTable("session_ids")


class SessionIds:
    """One per SIP worker."""

    def __init__(self, route_key: bytes, policy: OnSessionId) -> None:
        self._route_key = route_key
        self._generates = policy is OnSessionId.GENERATE

    def in_request(self) -> str:
        """Give the Session-ID of the request at hand; one that is ours goes along with it."""
        return self._pass(ksr.text("$ft"), ksr.text("$tt"))

    def in_reply(self) -> str:
        """Give the Session-ID of the reply at hand, as `in_request` does."""
        return self._pass(ksr.text("$tt"), ksr.text("$ft"))

    def over(self) -> None:
        """Forget what the ends of the dialog at hand wrote."""
        if self._generates:
            for tag in (ksr.text("$ft"), ksr.text("$tt")):
                _WRITTEN.forget(_key(tag))

    def _pass(self, sender: str, receiver: str) -> str:
        written = ksr.header("Session-ID")
        if not self._generates or not sender:
            return written
        if written:
            if uuid := local_uuid(written):
                _WRITTEN.put(_key(sender), uuid)
            return written
        value = f"{self._uuid(sender)};remote={self._uuid(receiver) if receiver else NIL}"
        ksr.append_header(f"Session-ID: {value}\r\n")
        return value

    def _uuid(self, tag: str) -> str:
        known = _WRITTEN.get(_key(tag))
        if known:
            return known
        key = _key(tag).encode("utf-8", "surrogateescape")
        return hashlib.blake2s(key, key=self._route_key, digest_size=16).hexdigest()


def _key(tag: str) -> str:
    return f"{ksr.text('$ci')} {tag}"
