"""The media of calls, anchored in rtpengine by Kamailio's own module: offer, answer, delete."""

import zlib
from collections.abc import Sequence

from siprec.awareness import Indication, marked
from siprec.model import callee_media_tag
from siprec_kemi import ksr, ksr_proxy
from siprec_kemi.proxy.route_parameter import Path

FLAGS = "replace-origin replace-session-connection"
# rtpengine passes profiles on as they come, and adds every suite it knows: those that do not
# encrypt, or that nobody trusts, would weaken a call between others.
SRTP_FLAGS = (
    f"{FLAGS} SDES-no-NULL_HMAC_SHA1_80 SDES-no-NULL_HMAC_SHA1_32"
    " SDES-no-F8_128_HMAC_SHA1_80 SDES-no-F8_128_HMAC_SHA1_32"
)
# It also adds DTLS to an offer of SDES.
SDES_OFFER_FLAGS = f"{SRTP_FLAGS} DTLS=off"


class Media:
    """The rtpengine instances, each a set of its own, so that a call stays with one."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    def choose(self, sip_call_id: str) -> int:
        """Choose the instance of a new call, evenly."""
        return zlib.crc32(sip_call_id.encode("utf-8", "surrogateescape")) % len(self._addresses)

    def address(self, instance: int) -> str:
        """Give the NG address (`host:port`) of an instance."""
        return self._addresses[instance]

    def offer(self, first: int, record: Indication | None = None) -> int | None:
        """Anchor a new call at `first`, or the next instance that answers; None if none does.

        An INVITE without an offer is anchored when its 2xx brings one. Here and below `record`
        is what `a=record` is to say in the SDP that goes on; None leaves it alone.
        """
        if not ksr_proxy.has_sdp():
            return first
        flags = _flags(is_offer=True)
        for step in range(len(self._addresses)):
            instance = (first + step) % len(self._addresses)
            if ksr_proxy.offer_media(instance, flags):
                _put_sdp(record)
                return instance
        ksr.log("error", "no rtpengine anchors the call: it goes on with its own media")
        return None

    def take_reply(
        self, instance: int, call_sid: str, *, is_answer: bool, record: Indication | None = None
    ) -> None:
        """Take the SDP of a reply to a call's first INVITE: an answer, or else an offer."""
        if instance >= len(self._addresses):
            return
        if is_answer:
            ksr_proxy.answer_media(instance, _flags(is_offer=False) + _callee(call_sid))
        else:
            ksr_proxy.offer_media(instance, _flags(is_offer=True) + _callee(call_sid))
        _put_sdp(record)

    def renegotiate(self, path: Path, *, is_offer: bool, record: Indication | None = None) -> None:
        """Offer or answer with the SDP of the message at hand, request or reply.

        rtpengine_manage would take an offer in PRACK for an answer.
        """
        if path.instance >= len(self._addresses):
            return
        flags = _flags(is_offer=is_offer) + _callee(path.call_sid, path.is_from_callee)
        if is_offer:
            ksr_proxy.offer_media(path.instance, flags)
        else:
            ksr_proxy.answer_media(path.instance, flags)
        _put_sdp(record)

    def release(self, instance: int) -> bool:
        """Let rtpengine forget a call that nobody has answered.

        False when that must be done by another.
        """
        return instance < len(self._addresses) and ksr_proxy.release_media(instance, "")

    def release_path(self, path: Path) -> bool:
        """Let rtpengine forget the call of a request in a dialog, as `release` does."""
        flags = _callee(path.call_sid, path.is_from_callee).strip()
        is_ours = path.instance < len(self._addresses)
        return is_ours and ksr_proxy.release_media(path.instance, flags)


def _callee(call_sid: str, is_sender: bool = False) -> str:
    """Name the callee to rtpengine, whatever tag the message has.

    All devices that an INVITE reaches send their media to the one port that it offered. Were each
    a party of its own, only the first that answered would be heard there.
    """
    return f" {'from' if is_sender else 'to'}-tag={callee_media_tag(call_sid)}"


def _put_sdp(record: Indication | None) -> None:
    """Let the message go on with what rtpengine made of its SDP."""
    sdp = ksr_proxy.new_sdp()
    if sdp:
        ksr_proxy.put_sdp(sdp if record is None else marked(sdp, record))


def _flags(*, is_offer: bool) -> str:
    if not ksr_proxy.has_srtp():
        return FLAGS
    return SDES_OFFER_FLAGS if is_offer and not ksr_proxy.has_fingerprint() else SRTP_FLAGS
