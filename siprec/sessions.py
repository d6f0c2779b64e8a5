"""How many sessions each SRS has, counted as streams change. No I/O."""

from collections import Counter
from collections.abc import Mapping

from siprec.health import srs_key
from siprec.model import Stream


class Sessions:
    """Live sessions by `srs_key`, from the first attempt to the end of the ending."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        """Give the counts; what has none is left out."""
        return self._counts

    def changed(self, before: Stream | None, after: Stream | None) -> None:
        """Count a stream that came (`before` None), changed, or went (`after` None)."""
        for stream, sign in ((before, -1), (after, 1)):
            if stream is None:
                continue
            for leg in stream.legs:
                if not leg.state.is_final:
                    key = srs_key(stream.account_sid, stream.order.connector_name, leg.srs)
                    self._add(key, sign)

    def _add(self, key: str, sign: int) -> None:
        self._counts[key] += sign
        if not self._counts[key]:
            del self._counts[key]
