"""Number patterns, and which of them a called number looks up."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.model import CallbackMethod
from siprec.numbers import Number, NumberError, candidates, is_number, parse_pattern
from siprec.twiml_run import Source


@pytest.mark.parametrize(
    "text", ["+15550001", "+1555*", "*", "**", "*21*", "alice", "a%20b", "1*", "9" * 128]
)
def test_parse_pattern_gives_the_pattern_unchanged(text: str) -> None:
    assert parse_pattern(text) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("1 2", "must escape"),
        ("a@h", "must escape"),
        ("a%2", "must escape"),
        ("é", "must escape"),
        ("1\n", "must escape"),
        ("9" * 129, "over 128"),
        ("9" * 33 + "*", "at most 32"),
    ],
)
def test_parse_pattern_of_a_bad_pattern_says_why(text: str, why: str) -> None:
    with pytest.raises(NumberError, match=why):
        parse_pattern(text)


def test_candidates_come_best_first() -> None:
    assert candidates("+155") == ("+155", "+155*", "+15*", "+1*", "+*", "*")


def test_candidates_of_a_number_that_ends_in_a_star_are_prefixes() -> None:
    assert candidates("1*") == ("1**", "1*", "*")


def test_candidates_of_no_number_is_the_catch_all() -> None:
    assert candidates("") == ("*",)


@given(st.text("+0123456789*ab", max_size=200))
def test_candidates_are_few_distinct_and_all_match(called: str) -> None:
    found = candidates(called)
    assert len(found) == len(set(found)) <= 34
    assert found[-1] == "*"
    for pattern in found:
        prefix = pattern.removesuffix("*")
        assert pattern == called or (pattern.endswith("*") and called.startswith(prefix))


@given(st.text("+0123456789", min_size=1, max_size=40), st.integers(1, 32))
def test_candidates_hold_every_pattern_that_matches(called: str, length: int) -> None:
    assert parse_pattern(called) in candidates(called)
    assert parse_pattern(called[:length] + "*") in candidates(called)


def test_is_number_wants_a_user_part_of_bounded_length() -> None:
    assert is_number("+1-555")
    assert not is_number("")
    assert not is_number("1 2")
    assert not is_number("1" * 129)


def test_number_with_urls_names_where_its_document_is_fetched_in_turn() -> None:
    plain = Number(pattern="*", account_sid="AC1", twiml="", program="")
    assert plain.sources == ()
    both = replace(plain, url="http://a/", fallback_url="http://b/", method=CallbackMethod.GET)
    assert both.sources == (
        Source(url="http://a/", method=CallbackMethod.GET),
        Source(url="http://b/", method=CallbackMethod.POST),
    )
