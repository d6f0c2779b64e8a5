"""What the codes of alerts mean, and what to do; docs/alerts.md says it."""

import re
from pathlib import Path

import pytest

from siprec.alert_codes import CODES, SRS_FAILED, advice_of, codes_table

HOME = Path(__file__).parents[2]
SOURCES = [
    path for room in ("siprec", "kemi", "control", "web") for path in (HOME / room).rglob("*.py")
]
# A constant or an attribute that holds an alert code.
_CODE = re.compile(r"^\s*(?:code(?:: int)?|_?[A-Z_]{4,}) = (\d{5})$", re.MULTILINE)
# Errors of the API, whatever of that kind; a flag of Kamailio; ports.
NOT_OF_ALERTS = {*range(20002, 20503), 21201, 17895, 30000, 39999}


def test_doc_tells_every_code() -> None:
    doc = (HOME / "docs" / "alerts.md").read_text("utf-8")
    assert doc.endswith(codes_table()), codes_table()


def test_every_code_of_the_source_is_in_the_table() -> None:
    used = {int(code) for path in SOURCES for code in _CODE.findall(path.read_text("utf-8"))}
    raised = {code for code in used if 11_000 <= code < 33_000} - NOT_OF_ALERTS
    assert len(raised) > 15
    assert raised - set(CODES) == set()


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_sentence_of_advice(code: int) -> None:
    meaning, advice = CODES[code]
    assert not meaning.endswith(".")
    assert advice[0].isupper()
    assert advice.endswith(".")
    assert advice_of(code) == advice


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (503, "is busy"),
        (407, "digest user"),
        (488, "codecs"),
        (408, "silent"),
        (302, "redirect once"),
        (499, "refuses"),
        (513, "fault of its own"),
        (699, "fault of its own"),
    ],
)
def test_answer_of_the_srs_says_what_to_do(status: int, words: str) -> None:
    assert words in advice_of(SRS_FAILED, status)


def test_answer_counts_for_a_failed_srs_alone() -> None:
    assert advice_of(32106, 503) == CODES[32106].advice
    assert advice_of(7) == ""
