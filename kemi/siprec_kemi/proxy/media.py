"""The media of calls, anchored in rtpengine by Kamailio's own module: offer, answer, delete."""

import zlib
from collections.abc import Sequence

from siprec_kemi import ksr, ksr_proxy

FLAGS = "replace-origin replace-session-connection"


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

    def offer(self, first: int) -> int | None:
        """Anchor a new call at `first`, or the next instance that answers; None if none does.

        An INVITE without an offer is anchored when its 2xx brings one.
        """
        if not ksr_proxy.has_sdp():
            return first
        for step in range(len(self._addresses)):
            instance = (first + step) % len(self._addresses)
            if ksr_proxy.offer_media(instance, FLAGS):
                return instance
        ksr.log("error", "no rtpengine anchors the call: it goes on with its own media")
        return None

    def renegotiate(self, instance: int) -> None:
        """Offer or answer with the SDP of the message at hand, request or reply."""
        if instance < len(self._addresses):
            ksr_proxy.manage_media(instance, FLAGS)

    def release(self, instance: int) -> bool:
        """Let rtpengine forget the call; False when that must be done by another."""
        return instance < len(self._addresses) and ksr_proxy.release_media(instance)
