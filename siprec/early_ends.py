"""Ends of calls that were reported before the beginnings that they belong to. Pure."""

from siprec.inbox import ByeAnswered, CallFailed, CallHungUp

KEPT = 1_000

End = ByeAnswered | CallFailed | CallHungUp


class EarlyEnds:
    """The last of them: workers of the proxy may overtake each other."""

    def __init__(self) -> None:
        self._ends: dict[str, End] = {}

    def keep(self, call_sid: str, end: End) -> None:
        """Remember how a call ended that is not known to have begun."""
        self._ends[call_sid] = end
        if len(self._ends) > KEPT:
            del self._ends[next(iter(self._ends))]

    def has_failed(self, call_sid: str) -> bool:
        """Tell whether a call that is said to ring has failed already."""
        return isinstance(self._ends.get(call_sid), CallFailed)

    def take(self, call_sid: str) -> End | None:
        """Give how a call ended, once."""
        return self._ends.pop(call_sid, None)
