"""Accounts and API keys: who logs in with what, and who may do what. No I/O."""

import pytest

from siprec.accounts import (
    Account,
    ApiKey,
    Login,
    Scope,
    is_account_sid,
    is_key_sid,
    judge_login,
    name_fault,
    secret_digest,
)

ACCOUNT = Account(sid="AC" + "1" * 32, name="main", token="token")
KEY = ApiKey(
    sid="SK" + "2" * 32,
    account_sid=ACCOUNT.sid,
    scope=Scope.CONTROL,
    digest=secret_digest("secret"),
)


def test_account_logs_in_with_its_token() -> None:
    login = Login(account_sid=ACCOUNT.sid, scope=Scope.ADMIN, by=ACCOUNT.sid)
    assert judge_login(ACCOUNT, "token") == login


def test_key_logs_in_with_its_secret_for_its_account() -> None:
    login = Login(account_sid=ACCOUNT.sid, scope=Scope.CONTROL, by=KEY.sid)
    assert judge_login(KEY, "secret") == login


@pytest.mark.parametrize("password", ["", "Token", "token ", "0" * 64, "\udc80"])
@pytest.mark.parametrize("found", [ACCOUNT, KEY, None])
def test_wrong_password_logs_nobody_in(found: Account | ApiKey | None, password: str) -> None:
    assert judge_login(found, password) is None


def test_key_without_a_digest_opens_for_nobody() -> None:
    assert judge_login(ApiKey(sid=KEY.sid, account_sid=ACCOUNT.sid), "") is None


@pytest.mark.parametrize("scope", Scope)
def test_scope_covers_those_below_it(scope: Scope) -> None:
    order = [Scope.READ, Scope.CONTROL, Scope.ADMIN]
    covered = [needed for needed in order if scope.covers(needed)]
    assert covered == order[: order.index(scope) + 1]


def test_sids_are_known_by_their_shape() -> None:
    assert is_account_sid(ACCOUNT.sid)
    assert is_key_sid(KEY.sid)
    assert not is_account_sid(KEY.sid)
    assert not is_key_sid(ACCOUNT.sid + "\n")


def test_name_must_be_short_and_printable() -> None:
    assert name_fault("Müller & Co") is None
    assert name_fault("x" * 65) == "is over 64 characters"
    assert name_fault("a\x1b[2J") == "must not hold unprintable characters"


def test_secrets_stand_in_no_repr() -> None:
    assert "token" not in repr(ACCOUNT).replace("account", "")
    assert KEY.digest not in repr(KEY)
