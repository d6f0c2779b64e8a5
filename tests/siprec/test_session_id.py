"""The Session-ID pair, out of what two endpoints send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.session_id import NIL, session_id_pair

CALLER = "ab30317f1a784dc48ff824d0d3715d86"
CALLEE = "47755a9de7794ba387653f2099600ef2"


@pytest.mark.parametrize(
    ("invite", "answer", "pair"),
    [
        (f"{CALLER};remote={NIL}", f"{CALLEE};remote={CALLER}", f"{CALLER};remote={CALLEE}"),
        (f" {CALLER.upper()} ;remote={NIL}", None, f"{CALLER};remote={NIL}"),
        (None, f"{CALLEE};remote={NIL}", f"{NIL};remote={CALLEE}"),
        (CALLER, CALLEE, f"{CALLER};remote={CALLEE}"),
        (None, None, None),
        ("", "not a uuid;remote=x", None),
        (f"{CALLER}00", None, None),
    ],
)
def test_pair_of_two_headers(invite: str | None, answer: str | None, pair: str | None) -> None:
    assert session_id_pair(invite, answer) == pair


@given(st.text(), st.text())
def test_pair_of_anything_is_none_or_two_uuids(invite: str, answer: str) -> None:
    pair = session_id_pair(invite, answer)
    assert pair is None or len(pair) == 32 + len(";remote=") + 32
