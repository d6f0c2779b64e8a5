"""A circuit breaker that all SIP workers share: one pays for a dead Redis, the others do not."""

import mmap
import struct

from siprec_kemi.clock import monotonic_s

OPEN_S = 1.0

_UNTIL = struct.Struct("d")


class Breaker:
    """Made before Kamailio forks, so that its page of memory is common to all workers."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _UNTIL.size)

    def is_open(self) -> bool:
        """Tell whether to leave the peer alone now."""
        (until,) = _UNTIL.unpack_from(self._memory)
        return bool(monotonic_s() < until)

    def trip(self) -> None:
        """Leave the peer alone for a while: it just failed."""
        _UNTIL.pack_into(self._memory, 0, monotonic_s() + OPEN_S)

    def reset(self) -> None:
        """Note that the peer answered."""
        _UNTIL.pack_into(self._memory, 0, 0.0)
