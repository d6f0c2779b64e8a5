"""Whether anybody listens at a TCP address: tm tells of a refused connection only after seconds.

A connection is opened and closed again, before the first request to an address and every
`FRESH_S` while requests go there. So another address, or another SRS, gets its turn at once.
"""

import errno
import os
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from siprec_kemi.clock import monotonic_s
from siprec_kemi.src.addresses import Address
from siprec_kemi.src.resolver import Target

FRESH_S = 10.0
WITHIN_S = 3.0

Done = Callable[[str], None]
_Door = tuple[str, Target]


@dataclass(slots=True)
class Knock:
    """A connection that is being opened; a selector's data."""

    door: _Door
    channel: socket.socket
    until_s: float
    waiting: list[Done] = field(default_factory=list)

    def fileno(self) -> int:
        """Give the descriptor, for a selector."""
        return self.channel.fileno()


class Doors:
    """Knocks at TCP addresses. What the selector shows as writable goes to `take`."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._open_s: dict[_Door, float] = {}
        self._knocks: dict[_Door, Knock] = {}

    def knock(self, target: Target, ours: Address, done: Done, *, anew: bool = False) -> None:
        """Call `done("")` when somebody listens, else `done(why)`.

        At once when that is known from a moment ago, unless it is asked `anew`.
        """
        door = (ours.socket, target)
        if not anew and monotonic_s() - self._open_s.get(door, -FRESH_S) < FRESH_S:
            done("")
            return
        knock = self._knocks.get(door)
        if knock is not None:
            knock.waiting.append(done)
            return
        try:
            channel = _begin(target, ours)
        except OSError as error:
            done(f"{target.host_port}: {os.strerror(error.errno or 0)}")
            return
        knock = Knock(door, channel, monotonic_s() + WITHIN_S, [done])
        self._knocks[door] = knock
        self._selector.register(knock, selectors.EVENT_WRITE, knock)

    def take(self, knock: Knock) -> None:
        """Take what became of a connection."""
        code = knock.channel.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._end(knock, os.strerror(code) if code else "")

    def next_due_s(self) -> float | None:
        """Tell when `care` has something to do, on the monotonic clock."""
        return min((knock.until_s for knock in self._knocks.values()), default=None)

    def care(self) -> None:
        """Give up what takes too long. Called each turn."""
        now_s = monotonic_s()
        for knock in [each for each in self._knocks.values() if each.until_s <= now_s]:
            self._end(knock, f"no connection within {WITHIN_S:g} s")

    def _end(self, knock: Knock, why: str) -> None:
        self._selector.unregister(knock)
        knock.channel.close()
        del self._knocks[knock.door]
        if why:
            self._open_s.pop(knock.door, None)
        else:
            self._open_s[knock.door] = monotonic_s()
        for done in knock.waiting:
            done(f"{knock.door[1].host_port}: {why}" if why else "")


def _begin(target: Target, ours: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in target.ip else socket.AF_INET
    channel = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        # From where the request will come: a firewall may let in nobody else.
        host = ours.socket.partition(":")[2].rpartition(":")[0].strip("[]")
        channel.bind((host, 0))
        code = channel.connect_ex((target.ip, target.port))
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
    except OSError:
        channel.close()
        raise
    return channel
