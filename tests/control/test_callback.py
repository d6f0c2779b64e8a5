"""`siprec callback` over a real redis-server."""

import json
from dataclasses import replace

import pytest

from siprec.callback_store import CallbackStore
from siprec.keys import ShardKeys
from siprec.stream_events import Undelivered
from tests.control.conftest import Stack
from tests.siprec.callbacks import callback

pytestmark = pytest.mark.daemon

Output = pytest.CaptureFixture[str]

URL = "https://user:secret@a.example/status?key=secret#rc=3"
RECORD = Undelivered(callback=callback(URL), code=15003, text="the answer was 500", failed_ms=1)
TOKEN = RECORD.callback.event.token


def give_up(stack: Stack, *records: Undelivered) -> None:
    """Let callbacks have been given up."""
    store = CallbackStore(stack.redis, stack.prefix)
    store.make_groups()
    for record in records:
        store.give_up(5, "1-1", record)


def queued(stack: Stack) -> int:
    """Count the callbacks that are to be sent."""
    return int(stack.redis.xlen(ShardKeys(stack.prefix, 5).callbacks))


def test_given_up_callbacks_are_listed_without_secrets(stack: Stack, capsys: Output) -> None:
    assert stack.run("callback", "list") == 0
    give_up(stack, RECORD)
    assert stack.run("callback", "list") == 0
    empty, titles, row = capsys.readouterr().out.splitlines()
    assert empty == "no callback was given up"
    assert titles.split() == ["GIVEN", "UP", "TOKEN", "EVENT", "ABOUT", "URL", "CODE", "WHY"]
    assert f"{TOKEN}  siprec-started  " in row
    assert row.endswith("  https://a.example/status  15003  the answer was 500")


def test_given_up_callbacks_are_listed_as_json(stack: Stack, capsys: Output) -> None:
    give_up(stack, RECORD)
    assert stack.run("callback", "list", "--json") == 0
    out = capsys.readouterr().out
    (shown,) = json.loads(out)
    assert shown["code"] == 15003
    assert shown["callback"]["event"]["token"] == TOKEN
    assert "secret" not in out


def test_one_of_them_is_sent_again(stack: Stack, capsys: Output) -> None:
    give_up(stack, RECORD, replace(RECORD, callback=callback()))
    assert stack.run("callback", "resend", TOKEN) == 0
    assert capsys.readouterr().out == "queued 1 callback\n"
    assert queued(stack) == 1
    assert len(CallbackStore(stack.redis, stack.prefix).given_up()) == 1


def test_all_of_them_are_sent_again(stack: Stack, capsys: Output) -> None:
    give_up(stack, RECORD, replace(RECORD, callback=callback()))
    assert stack.run("callback", "resend", "--all", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"queued": 2}
    assert queued(stack) == 2


def test_unknown_token_sends_nothing(stack: Stack, capsys: Output) -> None:
    give_up(stack, RECORD)
    assert stack.run("callback", "resend", TOKEN, "other") == 1
    err = capsys.readouterr().err
    assert err == "siprec: no callback with the token other was given up\n"
    assert queued(stack) == 0


@pytest.mark.parametrize("words", [(), (TOKEN, "--all")])
def test_resend_wants_to_know_which(stack: Stack, capsys: Output, words: tuple[str, ...]) -> None:
    assert stack.run("callback", "resend", *words) == 1
    assert "either their tokens, or --all" in capsys.readouterr().err
