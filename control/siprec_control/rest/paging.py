"""Pages of a list that grows at its head while somebody reads it. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from siprec_control.rest.desk import with_query
from siprec_control.rest.errors import bad_value

MAX_SIZE = 1000
DEFAULT_SIZE = 50
FIELDS = ("PageSize", "Page", "PageToken")

Item = TypeVar("Item")
Place = tuple[int, str]

_TOKEN = re.compile(r"P([0-9]{1,16})-([A-Z]{2}[0-9a-f]{32})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page: its items, its number and size, the token of the next one ("": the last)."""

    items: Sequence[Item]
    number: int
    size: int
    next_token: str

    def link(self, path: str, query: Mapping[str, str], number: int, token: str = "") -> str:
        """Give the link to a page of the same list."""
        kept = {name: value for name, value in query.items() if name not in FIELDS}
        more: dict[str, Any] = {"PageSize": self.size, "Page": number}
        return with_query(path, {**kept, **more, **({"PageToken": token} if token else {})})

    def links(self, path: str, query: Mapping[str, str]) -> dict[str, str | None]:
        """Give the links to this page, the first, the next and the previous one."""
        following = self.link(path, query, self.number + 1, self.next_token)
        return {
            "": self.link(path, query, self.number, query.get("PageToken", "")),
            "first_page": self.link(path, query, 0),
            "next_page": following if self.next_token else None,
            "previous_page": self.link(path, query, self.number - 1) if self.number else None,
        }


def page_of(
    items: Iterable[Item], place: Callable[[Item], Place], query: Mapping[str, str]
) -> Page[Item]:
    """Cut the page that a query asks for out of `items`, which are sorted by `place`, newest first.

    No more of them is taken than it needs.

    Raises:
        ApiError: names the parameter.
    """
    size = _whole(query, "PageSize", DEFAULT_SIZE, 1, MAX_SIZE)
    number = _whole(query, "Page", 0, 0, 1_000_000)
    token = query.get("PageToken", "")
    if token:
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise bad_value("PageToken", "is none that this list gave")
        after = (int(match[1]), match[2])
        rest: Iterable[Item] = (item for item in items if place(item) < after)
    else:
        rest = islice(items, number * size, None)
    taken = list(islice(rest, size + 1))
    shown = taken[:size]
    next_token = "P{}-{}".format(*place(shown[-1])) if len(taken) > size else ""
    return Page(shown, number, size, next_token)


def _whole(query: Mapping[str, str], field: str, default: int, low: int, high: int) -> int:
    text = query.get(field, "")
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or int(text) < low:
        raise bad_value(field, f"{text[:40]!r} is not a whole number from {low}")
    return min(int(text), high)
