"""Places that accounts share, so that none can take them all. Pure."""

from collections import Counter

# Documents that are fetched at a time. One account gets half of them: its slow server is not to
# hold up the calls of others.
FETCHES = 512


class Shares:
    """Of `places`, an account may take one as long as it has fewer than are free.

    Alone it gets half of them, the next one half of the rest, and so on: an account that has none
    finds one until nearly all are taken by others.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._taken: Counter[str] = Counter()

    def take(self, account_sid: str) -> bool:
        """Take a place; False when the account has its share. `give_back` must follow."""
        if self._taken[account_sid] >= self._free:
            return False
        self._taken[account_sid] += 1
        self._free -= 1
        return True

    def give_back(self, account_sid: str) -> None:
        """Give a place back."""
        self._free += 1
        self._taken[account_sid] -= 1
        if not self._taken[account_sid]:
            del self._taken[account_sid]
