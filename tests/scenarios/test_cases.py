"""Every case in sipp-scenarios/ is described, listed, and can be used."""

from pathlib import Path

import pytest
from lxml import etree

from siprec.twiml import compile_document
from tests.scenarios.sipp import SCENARIOS

CASES = sorted(path for path in SCENARIOS.iterdir() if path.is_dir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_has_a_readme_and_stands_in_the_index(case: Path) -> None:
    assert (case / "README.md").read_text().startswith("# ")
    assert f"[{case.name}]({case.name})" in (SCENARIOS / "README.md").read_text()


@pytest.mark.parametrize(
    "path", sorted(SCENARIOS.glob("*/*.xml")), ids=lambda path: str(path)[-40:]
)
def test_scenario_or_document_can_be_read(path: Path) -> None:
    root = etree.fromstring(path.read_bytes())
    if root.tag == "Response":
        compile_document(path.read_bytes())
    else:
        assert root.tag == "scenario"
