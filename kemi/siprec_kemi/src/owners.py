"""Which controller of this node owns a shard: a page of memory that all processes share."""

import mmap
import struct

from siprec.sids import SHARDS

_PORT = struct.Struct("H")


class Owners:
    """UDP port (on loopback) of the owner of each shard; 0 where this node has none.

    Made before Kamailio forks. A controller writes its own shards, SIP workers read.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, SHARDS * _PORT.size)

    def port(self, shard: int) -> int:
        """Give the port of the shard's controller on this node, 0 when there is none."""
        (port,) = _PORT.unpack_from(self._memory, shard * _PORT.size)
        return int(port)

    def set_port(self, shard: int, port: int) -> None:
        """Note that the controller at `port` owns the shard."""
        _PORT.pack_into(self._memory, shard * _PORT.size, port)

    def clear(self, shard: int, port: int) -> None:
        """Note that the controller at `port` no longer owns the shard."""
        if self.port(shard) == port:
            self.set_port(shard, 0)
