"""Calls over TLS: they come from the TLS proxy on loopback, and go on from a socket of [sip]."""

from siprec.settings import Runtime
from siprec_kemi import ksr


class Inside:
    """The socket that the TLS proxy of `[sip]` sends to, if there is one."""

    def __init__(self, runtime: Runtime) -> None:
        self._inside = runtime.sip_inside
        own = [item for item in runtime.settings.sip.listen if not item.startswith("tls:")]
        self._outside = next((item for item in own if item.startswith("udp:")), own[0])

    def leave(self) -> None:
        """Let a new request that came in there go out elsewhere: loopback reaches nobody.

        Requests in a dialog find their way by the two Routes that `enable_double_rr` made.
        """
        if self._inside and f"{ksr.text('$Ri')}:{ksr.text('$Rp')}" == self._inside:
            ksr.set_text("$fs", self._outside)
