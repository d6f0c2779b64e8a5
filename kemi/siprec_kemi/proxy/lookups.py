"""The connection on which a call waits for Redis, for as long as the operator lets it."""

from siprec.redis_client import Client, connect
from siprec.settings import RedisSettings

# Connecting and asking together stay within the time that a call may pay once.
_CONNECTING = 0.2


def connect_for_lookups(settings: RedisSettings) -> Client:
    """Open a connection whose questions end within `settings.lookup_ms`, answered or not."""
    whole_s = settings.lookup_ms / 1000
    connect_s = whole_s * _CONNECTING
    return connect(settings.url or "", timeout_s=whole_s - connect_s, connect_s=connect_s)
