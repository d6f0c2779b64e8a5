"""Session timers (RFC 4028): what headers say, who refreshes, and when a session is over."""

import pytest

from siprec.model import Timer
from siprec.session_timer import (
    MAX_S,
    SessionExpires,
    parse_seconds,
    parse_session_expires,
    running,
    timer_of_answer,
)
from tests.siprec.streams import NOW_MS


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1800", SessionExpires(1800)),
        (" 90 ;refresher=UAC", SessionExpires(90, "uac")),
        ("90;x=y; refresher = uas ;z", SessionExpires(90, "uas")),
        ("90;refresher=other", SessionExpires(90)),
        ("999999999", SessionExpires(MAX_S)),
        ("", None),
        ("0", None),
        ("soon", None),
        ("-1", None),
        ("90 seconds", None),
    ],
)
def test_session_expires_is_read(value: str, expected: SessionExpires | None) -> None:
    assert parse_session_expires(value) == expected


def test_session_expires_is_written() -> None:
    assert str(SessionExpires(90)) == "90"
    assert str(SessionExpires(90, "uas")) == "90;refresher=uas"


@pytest.mark.parametrize(
    ("value", "expected"), [("120;x", 120), (" 5 (busy)", 5), ("", 0), ("x", 0), ("9" * 9, MAX_S)]
)
def test_seconds_are_read(value: str, expected: int) -> None:
    assert parse_seconds(value) == expected


def test_session_that_we_refresh_is_refreshed_at_half() -> None:
    timer = running(1800, is_ours=True, now_ms=NOW_MS)
    assert timer == Timer(
        interval_s=1800,
        is_ours=True,
        refresh_ms=NOW_MS + 900_000,
        expires_ms=NOW_MS + 1_800_000 - 32_000,
    )


def test_short_session_that_the_srs_refreshes_is_over_at_two_thirds() -> None:
    timer = running(90, is_ours=False, now_ms=NOW_MS)
    assert (timer.refresh_ms, timer.expires_ms) == (None, NOW_MS + 60_000)


@pytest.mark.parametrize(
    ("answered", "is_ours"), [("90;refresher=uac", True), ("90;refresher=uas", False), ("90", True)]
)
def test_answer_says_who_refreshes(answered: str, is_ours: bool) -> None:
    timer = timer_of_answer(answered, 1800, NOW_MS)
    assert timer == running(90, is_ours=is_ours, now_ms=NOW_MS)


def test_srs_that_knows_no_timers_is_refreshed_all_the_same_and_nothing_expires() -> None:
    timer = timer_of_answer("", 1800, NOW_MS)
    assert timer == Timer(interval_s=1800, is_ours=True, refresh_ms=NOW_MS + 900_000)
    assert timer_of_answer("", 0, NOW_MS) is None
