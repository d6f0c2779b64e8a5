"""Shares: one account takes no more than half, and others find a place. No I/O."""

from itertools import count

from siprec_kemi.proxy.shares import Shares


def taken(shares: Shares, account: str) -> int:
    """Take all that the account gets."""
    return next(number for number in count() if not shares.take(account))


def test_each_account_gets_half_of_what_is_left() -> None:
    shares = Shares(512)
    assert [taken(shares, account) for account in "abcd"] == [256, 128, 64, 32]


def test_place_that_is_given_back_is_there_again() -> None:
    shares = Shares(4)
    assert taken(shares, "a") == 2
    shares.give_back("a")
    assert shares.take("a")
    assert not shares.take("a")
    assert shares.take("b")


def test_nobody_gets_what_is_not_there() -> None:
    shares = Shares(1)
    assert shares.take("a")
    assert not shares.take("b")
    shares.give_back("a")
    assert shares.take("b")
