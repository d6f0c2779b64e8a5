"""What is shown of a connector: its fields without secrets, and how its recorders are."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from siprec.connector import Connector, Srs
from siprec.health import (
    DAY_MS,
    Load,
    SrsHealth,
    SrsLoad,
    circuit_at,
    key_in,
    views_by_srs,
)
from siprec.record import SECRET, to_plain
from siprec.tls_profile import described
from siprec_control import output

SRS_TITLES = (
    "SRS",
    "PRIORITY",
    "WEIGHT",
    "SESSIONS",
    "REACHABLE",
    "SINCE",
    "CIRCUIT",
    "CERTIFICATE",
    "LAST",
)
LIST_TITLES = ("NAME", "SRS", "DELIVERY", "REQUIRED", "REACHABLE")


@dataclass(frozen=True, slots=True, kw_only=True)
class SrsView:
    """An SRS, and what health checks and all controllers know of it."""

    srs: Srs
    health: SrsHealth
    loads: tuple[SrsLoad, ...]
    now_ms: int

    @property
    def sessions(self) -> int:
        """Count the sessions of all controllers."""
        return sum(load.sessions for load in self.loads)

    @property
    def circuit(self) -> str:
        """Name the state of the circuit; with how many controllers when they differ."""
        back_ms = self.health.back_ms
        states = Counter(circuit_at(load, self.now_ms, back_ms) for load in self.loads)
        if len(states) == 1:
            return next(iter(states)).value
        return ", ".join(f"{state.value} {count}" for state, count in sorted(states.items()))

    @property
    def last(self) -> str:
        """Give what went wrong last."""
        said = self.health.text if self.health.reachable is False else ""
        return said or next((load.text for load in self.loads if load.failures), "")


def views(
    connector: Connector,
    healths: Mapping[str, SrsHealth],
    loads: Iterable[Load],
    now_ms: int,
) -> list[SrsView]:
    """Give each SRS of a connector with what is known of it."""
    by_key = views_by_srs(loads)
    found: list[SrsView] = []
    for srs in connector.srs:
        key = key_in(connector, srs.uri)
        health = healths.get(key) or SrsHealth(key=key)
        found.append(
            SrsView(srs=srs, health=health, loads=tuple(by_key.get(key, ())), now_ms=now_ms)
        )
    return found


def field_lines(connector: Connector) -> list[tuple[str, str]]:
    """Give every field but the SRSs as name and text, defaults included, no secret."""
    return [
        (field.name, _shown(field.name, getattr(connector, field.name), field.metadata == SECRET))
        for field in fields(connector)
        if field.name != "srs"
    ]


def srs_row(view: SrsView) -> tuple[str, ...]:
    """Give the row of an SRS, under SRS_TITLES."""
    srs, health = view.srs, view.health
    of = "" if srs.max_sessions is None else f"/{srs.max_sessions}"
    return (
        srs.uri + (" (drained)" if srs.drained else ""),
        str(srs.priority),
        str(srs.weight),
        f"{view.sessions}{of}",
        {None: "not checked", True: "yes", False: "no"}[health.reachable],
        output.local_time(health.since_ms or None),
        view.circuit,
        _days(health.certificate_until_ms, view.now_ms),
        view.last,
    )


def list_row(connector: Connector, found: list[SrsView]) -> tuple[str, ...]:
    """Give the row of a connector, under LIST_TITLES."""
    known = [view.health.reachable for view in found if view.health.reachable is not None]
    return (
        connector.name,
        ", ".join(srs.uri for srs in connector.srs),
        connector.delivery.value,
        _shown("required", connector.required, False),
        f"{sum(known)} of {len(found)}" if known else "",
    )


def plain(connector: Connector, found: list[SrsView]) -> dict[str, Any]:
    """Give a connector and its health for JSON."""
    return {**to_plain(connector), "health": [_plain_view(view) for view in found]}


def _plain_view(view: SrsView) -> dict[str, Any]:
    health = {k: v for k, v in to_plain(view.health).items() if k != "key"}
    return {
        "uri": view.srs.uri,
        **health,
        "sessions": view.sessions,
        "circuit": view.circuit or None,
        "last_failure": view.last or None,
    }


def _shown(name: str, value: Any, is_secret: bool) -> str:
    if is_secret:
        return "set" if value else "not set"
    if name in ("tls_ca", "tls_certificate"):
        return described(value) if value else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "headers":
        return ", ".join(f"{header}: {text}" for header, text in value)
    if isinstance(value, tuple):
        return ", ".join(value)
    return "" if value is None else str(value)


def _days(until_ms: int | None, now_ms: int) -> str:
    if until_ms is None:
        return ""
    days = (until_ms - now_ms) // DAY_MS
    return f"{days} days" if days >= 0 else "expired"
