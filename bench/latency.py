"""How long messages took: through the proxy, and from the answer to the SIPREC INVITE."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.capture import Message
from siprec.sids import call_sid_of, parse_leg_call_id

INVITE, ANSWER, BYE, SIPREC = "INVITE", "200", "BYE", "200 to SIPREC INVITE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Latencies in ms. `count` is how many there were; the rest is 0 when there were none."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float


class Latencies:
    """Takes messages in order of time; the first of its kind counts, not its repeats."""

    def __init__(self, *, proxy_port: int, srs_port: int) -> None:
        self._proxy_port = proxy_port
        self._srs_port = srs_port
        self._came: dict[tuple[str, str], int] = {}
        self._left: dict[tuple[str, str], int] = {}
        self._answered: dict[str, int] = {}
        self._siprec: dict[str, int] = {}

    def take(self, messages: Iterable[Message]) -> None:
        """Note when each message passed."""
        for message in messages:
            if message.target_port == self._srs_port:
                self._note_siprec(message)
                continue
            kind = _kind(message)
            if kind is None:
                continue
            if message.target_port == self._proxy_port:
                self._came.setdefault((kind, message.call_id), message.at_ns)
            elif message.source_port == self._proxy_port:
                self._left.setdefault((kind, message.call_id), message.at_ns)
                if kind == ANSWER and message.call_sid:
                    self._answered.setdefault(message.call_sid, message.at_ns)

    def _note_siprec(self, message: Message) -> None:
        leg = parse_leg_call_id(message.call_id)
        if leg is not None and message.method == "INVITE" and not message.status:
            self._siprec.setdefault(call_sid_of(leg[0]), message.at_ns)

    def through_proxy(self, kind: str) -> Spread:
        """Give how long INVITE, 200 or BYE took from one side of the proxy to the other."""
        passed = (key for key in self._left if key[0] == kind and key in self._came)
        return spread([(self._left[key] - self._came[key]) / 1e6 for key in passed])

    def setup(self) -> Spread:
        """Give what the proxy added to the set-up of each call: to its INVITE and its 200."""

        def took_ns(kind: str, call_id: str) -> int:
            return self._left[kind, call_id] - self._came[kind, call_id]

        passed = {key for key in self._left if key in self._came}
        calls = [each for kind, each in passed if kind == INVITE and (ANSWER, each) in passed]
        return spread([(took_ns(INVITE, c) + took_ns(ANSWER, c)) / 1e6 for c in calls])

    def to_siprec_invite(self) -> Spread:
        """Give how long it took from the 200 that left the proxy to the SIPREC INVITE."""
        asked = (sid for sid in self._siprec if sid in self._answered)
        return spread([(self._siprec[sid] - self._answered[sid]) / 1e6 for sid in asked])


def spread(values_ms: Sequence[float]) -> Spread:
    """Give the mean and the percentiles of some latencies (ms)."""
    if not values_ms:
        return Spread(count=0, mean=0, p50=0, p95=0, p99=0)
    ordered = sorted(values_ms)

    def percentile(share: float) -> float:
        return ordered[min(len(ordered), math.ceil(len(ordered) * share)) - 1]

    return Spread(
        count=len(ordered),
        mean=sum(ordered) / len(ordered),
        p50=percentile(0.50),
        p95=percentile(0.95),
        p99=percentile(0.99),
    )


def _kind(message: Message) -> str | None:
    if message.status == 0 and message.method in (INVITE, BYE):
        return message.method
    return ANSWER if message.status == 200 and message.method == "INVITE" else None
