"""How each SRS of a connector is: what health checks and calls have shown. Pure.

One controller checks an SRS with OPTIONS and writes `SrsHealth`; each controller counts its own
sessions and failures toward it, and writes `Load`. docs/redis.md tells where.
"""

from dataclasses import dataclass
from enum import StrEnum


class Circuit(StrEnum):
    """Whether calls go to an SRS: closed yes, open no, half-open one at a time as a trial."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsHealth:
    """What the last health checks of an SRS showed. `reachable` None: not checked yet.

    `key` is `srs_key`. `since_ms` is when `reachable` last changed, `answered_ms` when the SRS
    last answered anything. `certificate_until_ms` is when its certificate expires (TLS only).
    """

    key: str
    reachable: bool | None = None
    text: str = ""
    checked_ms: int = 0
    since_ms: int = 0
    answered_ms: int = 0
    certificate_until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsLoad:
    """One controller's own view of an SRS: live sessions, and the circuit breaker."""

    key: str
    sessions: int = 0
    circuit: Circuit = Circuit.CLOSED
    failures: int = 0
    opened_ms: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """All views of a controller, written once a second while they change."""

    controller: str
    at_ms: int
    srs: tuple[SrsLoad, ...] = ()


def srs_key(account_sid: str, connector_name: str, srs_uri: str) -> str:
    """Name an SRS of a connector; connectors do not share health, for their profiles differ."""
    return f"{account_sid} {connector_name} {srs_uri}"
