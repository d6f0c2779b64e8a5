"""Script that deploy/siprec.cfg loads into an operator's Kamailio; its routes call these methods.

1 lets the route go on, -1 is false there.
"""

from typing import Any

from siprec_kemi import ksr
from siprec_kemi.plug_in import PlugIn
from siprec_kemi.runtime import settle_memory


class Handler:
    """The handler object. Made before Kamailio forks."""

    def __init__(self) -> None:
        self._plug_in = PlugIn()

    @ksr.hook
    def child_init(self, rank: int) -> None:
        """Get a SIP worker ready."""
        if rank > 0:
            self._plug_in.started()

    def siprec_offered(self, message: Any) -> int:
        """Report the first INVITE of a call; -1 when nobody would record what must be recorded."""
        return 1 if self._plug_in.offered() else -1

    def siprec_answered(self, message: Any) -> int:
        """Report a reply."""
        return 1 if self._plug_in.answered() else -1

    def siprec_changed(self, message: Any) -> int:
        """Report a request in a dialog."""
        return 1 if self._plug_in.changed() else -1

    def siprec_ended(self, message: Any) -> int:
        """Report that an INVITE, or a BYE, failed."""
        return 1 if self._plug_in.ended() else -1

    @ksr.hook
    def siprec_outbox(self, message: Any) -> None:
        """Run the outbox in its own process, for ever."""
        self._plug_in.serve_outbox()


def mod_init() -> Handler:
    """Give Kamailio the handler object."""
    handler = Handler()
    settle_memory()
    return handler
