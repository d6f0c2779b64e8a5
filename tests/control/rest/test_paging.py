"""Pages and times as queries ask for them. No I/O."""

import pytest

from siprec_control.rest.errors import ApiError
from siprec_control.rest.paging import page_of
from siprec_control.rest.times import iso8601, parse_time, rfc2822

Item = tuple[int, str]


def item(at_ms: int) -> Item:
    return at_ms, f"CA{at_ms:032x}"


ITEMS = [item(at_ms) for at_ms in range(9, 0, -1)]


def place(one: Item) -> Item:
    return one


def test_pages_hold_everything_once_though_the_list_grows() -> None:
    items, query = list(ITEMS), {"PageSize": "4"}
    found: list[Item] = []
    while True:
        page = page_of(items, place, query)
        found += page.items
        if not page.next_token:
            break
        query = {"PageSize": "4", "Page": str(page.number + 1), "PageToken": page.next_token}
        items.insert(0, item(items[0][0] + 1))
    assert found == ITEMS


def test_page_by_number_and_its_links() -> None:
    page = page_of(ITEMS, place, {"PageSize": "4", "Page": "1", "To": "+1"})
    assert list(page.items) == ITEMS[4:8]
    links = page.links("/x", {"PageSize": "4", "Page": "1", "To": "+1"})
    assert links["previous_page"] == "/x?To=%2B1&PageSize=4&Page=0"
    assert links["first_page"] == links["previous_page"]
    assert links["next_page"] == f"/x?To=%2B1&PageSize=4&Page=2&PageToken={page.next_token}"


def test_last_page_has_no_next_and_first_no_previous() -> None:
    links = page_of(ITEMS, place, {}).links("/x", {})
    assert (links["next_page"], links["previous_page"]) == (None, None)


@pytest.mark.parametrize(
    "query", [{"PageSize": "0"}, {"PageSize": "x"}, {"Page": "-1"}, {"PageToken": "P1-x"}]
)
def test_wrong_page_is_refused_by_name(query: dict[str, str]) -> None:
    with pytest.raises(ApiError, match=next(iter(query))):
        page_of(ITEMS, place, query)


def test_huge_page_is_cut_down() -> None:
    assert page_of(ITEMS, place, {"PageSize": "999999"}).size == 1000


def test_date_is_a_day_and_time_a_second() -> None:
    assert parse_time("T", "1970-01-02") == (86_400_000, 2 * 86_400_000 - 1)
    assert parse_time("T", "1970-01-01T00:00:01Z") == (1000, 1999)
    assert parse_time("T", "1970-01-01T01:00:01+01:00") == (1000, 1999)


@pytest.mark.parametrize("text", ["yesterday", "2024-13-01", "", "9" * 400])
def test_wrong_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(ApiError, match="StartTime>: "):
        parse_time("StartTime>", text)


def test_times_are_written_as_clients_read_them() -> None:
    assert rfc2822(1999) == "Thu, 01 Jan 1970 00:00:01 +0000"
    assert iso8601(1999) == "1970-01-01T00:00:01Z"


@pytest.mark.parametrize(
    ("query", "taken"), [({}, 3), ({"Page": "1"}, 5), ({"PageToken": "P7-" + item(7)[1]}, 6)]
)
def test_page_takes_no_more_than_it_needs(query: dict[str, str], taken: int) -> None:
    left = iter(ITEMS)
    page_of(left, place, {"PageSize": "2", **query})
    assert len(ITEMS) - len(list(left)) == taken
