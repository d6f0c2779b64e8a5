"""`siprec connector` over a real redis-server."""

import json

import pytest

from tests.control.conftest import ACCOUNT, Stack

pytestmark = pytest.mark.daemon

Output = pytest.CaptureFixture[str]


def test_connector_is_set_listed_shown_and_deleted(stack: Stack, capsys: Output) -> None:
    assert stack.run("connector", "set", "main", "--srs", "sip:srs@127.0.0.1:5080") == 0
    assert stack.run("connector", "list") == 0
    out = capsys.readouterr().out
    assert out == (
        "connector main goes to sip:srs@127.0.0.1:5080\n"
        "NAME  SRS                     PARAMETERS\n"
        "main  sip:srs@127.0.0.1:5080  both\n"
    )
    assert stack.run("connector", "show", "main") == 0
    assert f"account     {ACCOUNT}" in capsys.readouterr().out
    assert stack.run("connector", "delete", "main") == 0
    assert stack.run("connector", "list") == 0
    assert capsys.readouterr().out == "connector main deleted\nno connectors\n"


def test_json_holds_the_record(stack: Stack, capsys: Output) -> None:
    words = ("set", "m", "--srs", "sip:127.0.0.1", "--parameters", "headers", "--json")
    assert stack.run("connector", *words) == 0
    made = json.loads(capsys.readouterr().out)
    assert made == {
        "account_sid": ACCOUNT,
        "name": "m",
        "srs": "sip:127.0.0.1",
        "parameters": "headers",
    }
    assert stack.run("connector", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [made]
    assert stack.run("connector", "show", "m", "--json") == 0
    assert json.loads(capsys.readouterr().out) == made
    assert stack.run("connector", "delete", "m", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": "m"}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["set", "a/b", "--srs", "sip:127.0.0.1"], "name"),
        (["set", "a", "--srs", "http://x"], "srs"),
        (["show", "none"], "NAME: no connector 'none'"),
        (["delete", "none"], "NAME: no connector 'none'"),
    ],
)
def test_error_names_the_field(stack: Stack, capsys: Output, words: list[str], named: str) -> None:
    assert stack.run("connector", *words) == 1
    captured = capsys.readouterr()
    assert named in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
