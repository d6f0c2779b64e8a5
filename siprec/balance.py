"""Which SRS of a connector gets the next call. Pure.

Priority groups come one after the other; inside a group, smooth weighted round robin: 5:3:2 is
given as A B C A A B A C B A, not as AAAAABBBCC, so that in any run of calls each SRS has its
share to within one or two calls.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from siprec.connector import Connector, Delivery, Srs
from siprec.health import Load, SrsHealth, SrsLoad, has_room, is_alive, key_in, views_by_srs

Groups = tuple[tuple[Srs, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The SRSs of a connector that may get a call, by priority; inside a group as written.

    `last_resort` are those that are likely dead: better a call that fails than none at all.
    """

    delivery: Delivery
    usable: Groups
    last_resort: Groups

    @property
    def needs_turn(self) -> bool:
        """Tell whether the first place is shared out, so that the turn must be exact."""
        groups = self.usable or self.last_resort
        return self.delivery is Delivery.FAILOVER and bool(groups) and len(groups[0]) > 1

    def order(self, turn: int) -> tuple[str, ...]:
        """Give the URIs in the order in which to try them; to use all of them when parallel."""
        if self.delivery is Delivery.PARALLEL:
            return tuple(srs.uri for group in self.usable or self.last_resort for srs in group)
        groups = self.usable + self.last_resort
        return tuple(uri for group in groups for uri in _share_out(group, turn))


def rank(
    connector: Connector,
    healths: Mapping[str, SrsHealth],
    views: Mapping[str, Collection[SrsLoad]],
    now_ms: int,
    shunned: Collection[str] = (),
) -> Ranking:
    """Rank the SRSs of a connector; those that are drained or full are left out.

    `views` are those of all controllers (siprec.health.views_by_srs). `shunned` are URIs to
    which the caller's own circuit lets no call through.
    """
    usable: list[Srs] = []
    last_resort: list[Srs] = []
    for srs in {srs.uri: srs for srs in reversed(connector.srs)}.values():
        key = key_in(connector, srs.uri)
        of_srs = views.get(key, ())
        if srs.drained or not has_room(srs, of_srs):
            continue
        is_good = srs.uri not in shunned and is_alive(healths.get(key), of_srs, now_ms)
        (usable if is_good else last_resort).append(srs)
    return Ranking(
        delivery=connector.delivery,
        usable=_by_priority(reversed(usable)),
        last_resort=_by_priority(reversed(last_resort)),
    )


def order_candidates(
    connector: Connector,
    healths: Mapping[str, SrsHealth],
    loads: Iterable[Load],
    turn: int,
    now_ms: int,
) -> tuple[str, ...]:
    """Give the SRS URIs of a connector, best first; all at once for a parallel one.

    `turn` counts the streams of the connector. SRSs that do not answer, or whose circuits are
    all open, come after all others (a parallel connector uses them only if there are no
    others); those that are drained or full do not come at all.
    """
    return rank(connector, healths, views_by_srs(loads), now_ms).order(turn)


def _by_priority(many: Iterable[Srs]) -> Groups:
    ordered = sorted(many, key=lambda srs: srs.priority)
    return tuple(tuple(group) for _, group in groupby(ordered, lambda srs: srs.priority))


def _share_out(group: Sequence[Srs], turn: int) -> list[str]:
    """Order a group by when each would be next, from that turn on."""
    if len(group) == 1:
        return [group[0].uri]
    sequence = _sequence(tuple(srs.weight for srs in group))
    start = turn % len(sequence)
    coming = dict.fromkeys(sequence[start:] + sequence[:start])
    return [group[index].uri for index in coming]


@lru_cache(maxsize=256)
def _sequence(weights: tuple[int, ...]) -> bytes:
    """Give a whole period of smooth weighted round robin, as indices of `weights`.

    Each turn adds its weight to the credit of each; who has most pays the sum, and is next.
    """
    divisor = math.gcd(*weights)
    shares = [weight // divisor for weight in weights]
    total = sum(shares)
    credits = [0] * len(shares)
    sequence = bytearray()
    for _ in range(total):
        credits = [credit + share for credit, share in zip(credits, shares, strict=True)]
        best = max(range(len(credits)), key=credits.__getitem__)
        credits[best] -= total
        sequence.append(best)
    return bytes(sequence)
