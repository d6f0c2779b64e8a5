"""docs/compliance.md has every row, and the tests that it names are there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]
TEXT = (HOME / "docs" / "compliance.md").read_text("utf-8")
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
ROWS = {int(number): cells for number, *cells in ROW.findall(TEXT)}
NAMED = sorted(set(re.findall(r"`(tests/[^`]*)`", TEXT)))


@cache
def functions(path: Path) -> set[str]:
    """Name the functions of a module."""
    body = ast.parse(path.read_text("utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef)}


def test_rows_are_numbered_without_a_gap() -> None:
    numbers = [int(number) for number in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)]
    assert numbers == list(range(1, 33))
    assert list(ROWS) == numbers


@pytest.mark.parametrize("number", ROWS)
def test_row_says_who_wants_what_and_what_proves_it(number: int) -> None:
    what, where, proof = ROWS[number]
    assert re.match(r"(must|should|may|fact): ", what)
    assert re.match(r"RFC \d{4}", where)
    tests, dash, missing = proof.partition("—")
    named = re.findall(r"`(tests/[^`]+\.py::test_\w+)`", tests)
    assert ", ".join(f"`{each}`" for each in named) == tests.strip()
    assert named or dash
    assert bool(missing.strip()) is bool(dash)


@pytest.mark.parametrize("named", NAMED)
def test_named_test_is_there(named: str) -> None:
    path, _, name = named.partition("::")
    assert name in functions(HOME / path)
