"""What the documentation tells people to type and to write is true."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from siprec.connectors import check_connector
from siprec.settings import Settings
from siprec.twiml import compile_document
from siprec_control.cli import parser
from siprec_control.commands.connector_options import connector_of
from siprec_control.config import RULES, parse_settings
from siprec_control.demo import TWIML
from siprec_control.demo_stack import CALLED
from siprec_control.layout import find_layout

HOME = find_layout().home
README = (HOME / "README.md").read_text()
PAGES = [HOME / "README.md", *sorted(HOME.glob("[A-Z]*.md")), *sorted(HOME.glob("docs/*.md"))]


def blocks(language: str) -> list[str]:
    """Give the code blocks of README.md in a language."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return found


def commands() -> list[list[str]]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line[0] == "siprec"]


def test_settings_of_the_readme_are_valid() -> None:
    (text,) = blocks("toml")
    settings = parse_settings(text, Path("README.md"))
    assert settings.sip.allow == ("192.0.2.0/24",)
    assert settings.limits == Settings().limits


def test_readme_names_every_setting() -> None:
    (text,) = blocks("toml")
    shown = tomllib.loads(text)
    others = README.split("The other keys:")[1].split("\n\n")[0]
    for section, keys in RULES.items():
        named = re.search(rf"`\[{section}\]\s([a-z_,\s]+)`", others)
        listed = set(re.split(r",\s+", named[1])) if named else set()
        assert listed | shown.get(section, {}).keys() == keys.keys(), section


def test_document_of_the_readme_is_the_one_of_the_demo() -> None:
    (text,) = blocks("xml")
    assert text == TWIML
    assert compile_document(text.encode()).steps


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words[:2]))
def test_command_of_the_readme_is_understood(words: list[str]) -> None:
    parsed = parser().parse_args(words)
    assert parsed.act
    if words[:2] == ["connector", "set"]:
        check_connector(connector_of(parsed, "AC", None).connector)


def test_demo_in_the_readme_is_what_it_prints() -> None:
    (shown,) = (block for block in blocks("text") if "IS RECORDING" in block)
    assert f"Ann dials {CALLED}" in shown
    assert "demo: everything is as it should be" in shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target
