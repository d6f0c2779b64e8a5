"""Records survive their JSON, and hostile JSON is refused by field name."""

from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.model import Call, Party, Stream, StreamOrder, StreamState, Track
from siprec.record import RecordError, from_json, from_plain, to_json, to_plain
from siprec.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Odd:
    """Shapes that the stored records do not have (yet)."""

    ratio: float = 0.5
    pair: tuple[int, str] = (1, "a")
    on: bool = False


_texts = st.text(max_size=20)
_orders = st.builds(
    StreamOrder,
    name=_texts,
    track=st.sampled_from(Track),
    status_callback=st.none() | _texts,
    parameters=st.lists(st.tuples(_texts, _texts), max_size=3).map(tuple),
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=10,
)


@given(_orders, st.sampled_from(StreamState), st.none() | st.integers())
def test_record_of_a_stream_round_trips(
    order: StreamOrder, state: StreamState, deadline_ms: int | None
) -> None:
    stream = Stream(
        sid="SR1",
        call_sid="CA1",
        account_sid="AC1",
        order=order,
        state=state,
        deadline_ms=deadline_ms,
    )
    assert from_json(Stream, to_json(stream)) == stream
    assert from_json(Stream, to_json(stream).encode()) == stream
    assert from_plain(Stream, to_plain(stream)) == stream


@given(st.floats(allow_nan=False), st.tuples(st.integers(), _texts), st.booleans())
def test_record_of_numbers_and_pairs_round_trips(
    ratio: float, pair: tuple[int, str], on: bool
) -> None:
    odd = _Odd(ratio=ratio, pair=pair, on=on)
    assert from_json(_Odd, to_json(odd)) == odd


def test_to_json_leaves_defaults_out() -> None:
    assert to_json(_Odd()) == "{}"
    assert to_json(Party(name="Zoë")) == '{"name":"Zoë"}'


def test_to_plain_shows_defaults() -> None:
    assert to_plain(Party(tag="t")) == {"name": "", "uri": "", "tag": "t"}


def test_from_json_ignores_unknown_fields() -> None:
    assert from_json(Party, '{"tag":"t","new":1}') == Party(tag="t")


def test_from_plain_takes_an_integer_for_a_float() -> None:
    assert from_plain(_Odd, {"ratio": 2}).ratio == 2.0


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", ""),
        ("[" * 100_000, ""),
        ("[]", ""),
        ('{"ratio":"1"}', "ratio"),
        ('{"on":1}', "on"),
        ('{"pair":3}', "pair"),
        ('{"pair":[1]}', "pair"),
        ('{"pair":[1,2]}', "pair[1]"),
    ],
)
def test_from_json_of_a_wrong_shape_names_the_field(text: str, field: str) -> None:
    with pytest.raises(RecordError) as caught:
        from_json(_Odd, text)
    assert caught.value.field == field


def test_from_json_without_a_required_field_names_it() -> None:
    with pytest.raises(RecordError, match=r"^sid: is missing$"):
        from_json(Call, "{}")


def test_from_plain_names_the_path_of_a_nested_field() -> None:
    with pytest.raises(RecordError, match=r"^src\.listen\[1\]: 5 is not str$"):
        from_plain(Settings, {"src": {"listen": ["udp:a:1", 5]}})
    with pytest.raises(RecordError, match="'loud' is none of debug, info, warning, error"):
        from_plain(Settings, {"log": {"level": "loud"}})


@given(_json)
def test_from_plain_of_anything_gives_a_record_or_a_record_error(plain: object) -> None:
    with suppress(RecordError):
        assert isinstance(from_plain(StreamOrder, plain), StreamOrder)
