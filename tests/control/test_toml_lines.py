"""Lines of TOML keys."""

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from siprec_control.toml_lines import key_lines


def test_lines_of_tables_keys_and_dotted_keys() -> None:
    text = "top = 1\n\n[a] # note\nx = 1\n'y' = 2\n[a.b]\nz.w = 3\n"
    assert key_lines(text) == {
        "top": 1,
        "a": 3,
        "a.x": 4,
        "a.y": 5,
        "a.b": 6,
        "a.b.z": 7,
        "a.b.z.w": 7,
    }


def test_keys_inside_strings_and_arrays_do_not_count() -> None:
    text = 'a = """\nb = 1\n[c]\n"""\nd = [\n  "e = 1",\n  # f = 2\n]\ng = 1\n'
    assert key_lines(text) == {"a": 1, "d": 5, "g": 9}


def test_windows_line_ends_count_once() -> None:
    assert key_lines("a = 1\r\n\r\nb = 2\r\n") == {"a": 1, "b": 3}


def test_array_of_tables_keeps_its_first_line() -> None:
    assert key_lines("[[a]]\nx = 1\n[[a]]\nx = 2\n") == {"a": 1, "a.x": 2}


def test_inline_tables_give_the_line_they_begin_on() -> None:
    assert key_lines("\na = {b = {c = 1}}") == {"a": 2, "a.b": 2, "a.b.c": 2}


def paths(plain: Any, at: str = "") -> set[str]:
    found: set[str] = set()
    for table in plain if isinstance(plain, list) else [plain]:
        if isinstance(table, dict):
            for key, value in table.items():
                found |= {at + key} | paths(value, f"{at}{key}.")
    return found


statements = st.sampled_from(
    ["[a]", "[b.c]", "x = 1", "y = 'a = 1'", "z = [\n1,\n2]", 'w = """\n[q]\n"""', "# n", ""]
)


@given(st.lists(statements, max_size=12))
def test_every_key_of_a_valid_document_has_a_line_that_names_it(lines: list[str]) -> None:
    text = "\n".join(lines)
    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = key_lines(text)
    assert set(found) == paths(plain)
    for key, line in found.items():
        assert key.rpartition(".")[2] in text.split("\n")[line - 1]
