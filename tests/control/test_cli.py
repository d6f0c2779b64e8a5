"""The command line as a whole: usage, exit codes, where the state is."""

from pathlib import Path

import pytest

from siprec_control import cli
from tests.control.conftest import Stack

pytestmark = pytest.mark.daemon

Output = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    "words",
    [
        "",
        "nonsense",
        "call",
        "call lst",
        "connector set a",
        "connector set a --srs sip:x --parameters none",
        "number set",
        "stream start",
        "stream start CA1 --parameter x",
        "stream start CA1 --timeout soon",
        "alert list --limit 0",
        "run --nonsense",
    ],
)
def test_wrong_usage_exits_2(words: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(words.split())
    assert end.value.code == 2
    assert "usage: siprec" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", ["connector list", "number list", "call list", "stream list", "alert list"]
)
def test_without_a_stack_commands_say_how_to_start_one(
    words: str, tmp_path: Path, capsys: Output
) -> None:
    assert cli.main([*words.split(), "--state", str(tmp_path)]) == 1
    state = tmp_path
    expected = f"no stack runs with state {state} (start it with: siprec run --state {state})"
    assert capsys.readouterr().err == f"siprec: {expected}\n"


def test_named_settings_file_must_exist(stack: Stack, capsys: Output) -> None:
    assert stack.run("call", "list", "--config", "none.toml") == 1
    assert capsys.readouterr().err == "siprec: none.toml: does not exist\n"


def test_redis_that_went_away_is_explained(stack: Stack, capsys: Output) -> None:
    stack.redis.shutdown(nosave=True)
    assert stack.run("connector", "list") == 1
    err = capsys.readouterr().err
    assert err.startswith("siprec: Redis: ")
    assert err.count("\n") == 1
