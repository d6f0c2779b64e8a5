"""docs/connectors.md tells every field and default, and what it tells people to type works."""

import re
import shlex
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from siprec.connector import Connector, Srs
from siprec.connectors import CODECS, ConnectorError, check_connector
from siprec.sdp import SUITES
from siprec_control.cli import parser
from siprec_control.commands.connector_options import connector_of, option_of
from siprec_control.config import parse_settings
from siprec_control.layout import find_layout
from tests.siprec.pem import NOW_MS, certificate, ec_key, pem

TEXT = (find_layout().home / "docs" / "connectors.md").read_text("utf-8")


def blocks(language: str) -> str:
    """Give all code blocks of a language, one after the other."""
    return "".join(re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))


def commands() -> list[list[str]]:
    """Give the words of each `siprec` command."""
    lines = blocks("sh").replace("\\\n", " ").splitlines()
    words = [shlex.split(line) for line in lines]
    assert all(line[0] == "siprec" for line in words)
    return [line[1:] for line in words]


def rows(title: str) -> dict[str, list[str]]:
    """Give the cells of the table under a line of titles, by their first cell."""
    table = TEXT.split(title)[1].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]
    return {row[0].strip("`"): row[1:] for row in cells}


def default_of(field: "Field[Any]") -> str:
    """Write the default of a field as the page does."""
    value = field.default
    if value is MISSING:
        return "required"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, StrEnum):
        return f"`{value.value}`"
    if isinstance(value, tuple) and value:
        return f"`{','.join(value)}`"
    return "none" if value in ("", None, ()) else str(value)


def test_every_field_of_a_connector_has_a_row_with_option_and_default() -> None:
    told = rows("| Field | Option | Default | Meaning |")
    known = {f.name: f for f in fields(Connector) if f.name != "account_sid"}
    assert list(told) == list(known)
    for name, field in known.items():
        option, default, meaning = told[name]
        assert (option, default) == (f"`{option_of(name)}`", default_of(field)), name
        assert meaning


def test_every_field_of_a_recorder_has_a_row_with_its_default() -> None:
    told = rows("| Field | Written | Default | Meaning |")
    known = {field.name: field for field in fields(Srs)}
    assert list(told) == list(known)
    for name, field in known.items():
        assert told[name][1] == default_of(field), name


def test_every_codec_and_kind_of_suite_is_told() -> None:
    told = rows("| Field | Option | Default | Meaning |")
    codecs = re.search(r"best first: ([^;]*);", told["codecs"][2])
    assert codecs
    assert tuple(codecs[1].split(", ")) == CODECS
    kinds = {re.sub("_HMAC_SHA1_(80|32)$", "", suite) for suite in SUITES}
    for kind in kinds:
        assert kind in told["suites"][2]


def test_commands_make_connectors_that_can_be_stored_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key = ec_key()
    for name, text in (
        ("ca.pem", certificate(key, is_ca=True)),
        ("client.pem", certificate(key)),
        ("client.key", pem(key)),
        ("token.txt", "token\n"),
        ("password.txt", "password\n"),
    ):
        Path(name).write_text(text)
    edges = [edge.name for edge in parse_settings(blocks("toml"), Path("page")).edges]
    stored: dict[str, Connector] = {}
    for words in commands():
        parsed = parser().parse_args(words)
        assert parsed.act
        if words[1] == "set":
            asked = connector_of(parsed, "AC1", None).connector
            stored[asked.name] = check_connector(
                asked, edges=edges, others=stored.values(), now_ms=NOW_MS
            )
        elif words[1] in ("drain", "undrain"):
            assert parsed.uri in [srs.uri for srs in stored[parsed.name].srs]
    assert len(stored) == 14


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--srs", "sip:a", "--srs", "sip:b,priority=101"], "connector: srs[1].priority: 101 must")],
)
def test_error_that_is_shown_is_the_one_that_comes(words: list[str], told: str) -> None:
    parsed = parser().parse_args(["connector", "set", "x", *words])
    with pytest.raises(ConnectorError, match=re.escape(told)) as caught:
        check_connector(connector_of(parsed, "AC1", None).connector)
    assert f"`{caught.value}`" in TEXT
