"""docs/states.md says what the table does."""

from pathlib import Path

from siprec import events as e
from siprec.model import StreamState
from siprec.states_doc import MEANING, states_markdown

DOC = Path(__file__).parents[2] / "docs" / "states.md"


def test_states_doc_is_what_the_table_draws() -> None:
    assert DOC.read_text("utf-8") == states_markdown(), "run `make docs`"


def test_states_doc_tells_every_state_and_event() -> None:
    text = states_markdown()
    assert set(MEANING) == set(StreamState)
    assert all(f"| `{kind.__name__}` |" in text for kind in e.LegEvent.__args__)
    assert "    recording --> stopping: " in text
    assert "    stopped --> [*]" in text
