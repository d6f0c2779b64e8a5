"""Names to addresses, within a time: the system's own lookup ends when it ends."""

import socket
import threading
from contextlib import suppress

# A lookup that nobody waits for any more ends by itself, after half a minute with most settings.
AT_ONCE = 1_000

_places = threading.BoundedSemaphore(AT_ONCE)


def addresses_of(host: str, port: int, within_s: float) -> list[str]:
    """Look a host up as the system does, for at most `within_s`; give its addresses in their order.

    Raises:
        TimeoutError: not in time, or as many as may be are looked up already.
        OSError, UnicodeError: there is no such host.
    """
    with suppress(OSError):
        # Numbers are what they are.
        return _found(host, port, socket.AI_NUMERICHOST)
    if not _places.acquire(blocking=False):
        raise TimeoutError("too many names are looked up at once")
    lookup = _Lookup(host, port)
    lookup.start()
    lookup.join(within_s)
    if lookup.is_alive():
        raise TimeoutError(f"no address within {within_s:.1f} s")
    if lookup.error is not None:
        raise lookup.error
    return lookup.addresses


class _Lookup(threading.Thread):
    """One lookup, and the place it takes until it ends."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(name="lookup", daemon=True)
        self.addresses: list[str] = []
        self.error: OSError | UnicodeError | None = None
        self._host, self._port = host, port

    def run(self) -> None:
        try:
            self.addresses = _found(self._host, self._port)
        except (OSError, UnicodeError) as error:
            self.error = error
        finally:
            _places.release()


def _found(host: str, port: int, flags: int = 0) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [str(each[4][0]).partition("%")[0] for each in found]
