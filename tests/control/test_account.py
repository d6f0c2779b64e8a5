"""`siprec account` and `siprec key` over a real redis-server."""

import json

import pytest

from siprec.accounts import Account
from siprec.numbers import Number
from siprec.store import Store
from tests.control.conftest import ACCOUNT, Stack

pytestmark = pytest.mark.daemon

Output = pytest.CaptureFixture[str]


@pytest.fixture
def store(stack: Stack) -> Store:
    opened = Store(stack.redis, stack.prefix, stack.vault)
    opened.accounts.put(Account(sid=ACCOUNT, name="default", created_ms=1, token="secret token"))
    return opened


def made(stack: Stack, capsys: Output, *words: str) -> dict[str, str]:
    assert stack.run(*words, "--json") == 0
    found: dict[str, str] = json.loads(capsys.readouterr().out)
    return found


def test_token_is_shown_only_when_it_is_asked_for(
    stack: Stack, store: Store, capsys: Output
) -> None:
    for words in (["show"], ["show", ACCOUNT, "--json"], ["list"], ["list", "--json"]):
        assert stack.run("account", *words) == 0
    out = capsys.readouterr().out
    assert out.count(ACCOUNT) == 4
    assert "secret token" not in out
    assert stack.run("account", "show", "--token") == 0
    assert "token    secret token\n" in capsys.readouterr().out


def test_account_is_made_and_deleted(stack: Stack, store: Store, capsys: Output) -> None:
    account = made(stack, capsys, "account", "add", "other")
    assert store.account_token(account["sid"]) == account["token"]
    store.put_number(Number(pattern="+1", account_sid=account["sid"], twiml="", program=""))
    assert stack.run("account", "delete", account["sid"]) == 1
    assert "owns 1 numbers; delete them first" in capsys.readouterr().err
    store.delete_number("+1")
    assert stack.run("account", "delete", account["sid"]) == 0
    assert store.account_token(account["sid"]) is None


def test_default_account_stays(stack: Stack, store: Store, capsys: Output) -> None:
    assert stack.run("account", "delete", ACCOUNT) == 1
    assert "is the default account" in capsys.readouterr().err


def test_key_shows_its_secret_once(stack: Stack, store: Store, capsys: Output) -> None:
    key = made(stack, capsys, "key", "add", "robot", "--scope", "read")
    assert stack.run("key", "list") == 0
    assert stack.run("key", "list", "--json") == 0
    out = capsys.readouterr().out
    assert out.count(key["sid"]) == 2
    assert key["secret"] not in out
    assert "digest" not in out
    assert stack.run("key", "delete", key["sid"]) == 0
    assert stack.run("key", "delete", key["sid"]) == 1
    assert f"no key '{key['sid']}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [("account", "add", "a\x1b"), ("key", "add", "a\x1b"), ("account", "show", "AC1")]
)
def test_wrong_word_is_refused(stack: Stack, store: Store, words: tuple[str, ...]) -> None:
    assert stack.run(*words) == 1


def test_debugger_webhook_is_set_shown_and_taken_away(
    stack: Stack, store: Store, capsys: Output
) -> None:
    url = "https://me:secret@a.example/debug?key=secret#rc=2"
    words = ("account", "set", "--debugger-url", url, "--debugger-method", "GET")
    assert stack.run(*words) == 0
    out = capsys.readouterr().out
    assert "debugger  GET https://a.example/debug\n" in out
    account = store.accounts.account(ACCOUNT)
    assert account is not None
    assert (account.debugger_url, account.debugger_method) == (url, "GET")
    assert account.token == "secret token"
    assert stack.run("account", "set", ACCOUNT, "--debugger-url", "") == 0
    account = store.accounts.account(ACCOUNT)
    assert account is not None
    assert account.debugger_url == ""


def test_debugger_webhook_that_cannot_be_used_is_refused(
    stack: Stack, store: Store, capsys: Output
) -> None:
    assert stack.run("account", "set", "--debugger-url", "https://a/#rc=99") == 1
    assert "--debugger-url: URL fragment: rc must be a number" in capsys.readouterr().err
