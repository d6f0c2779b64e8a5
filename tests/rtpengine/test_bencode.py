"""Bencode: round trips, exact bytes, and whatever an attacker may send."""

import gc
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtpengine_ng.bencode import MAX_DEPTH, BencodeError, Value, decode, encode

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES: st.SearchStrategy[Value] = st.recursive(
    st.one_of(TEXTS, st.integers(-(2**63), 2**64 - 1)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(TEXTS, inner)),
    max_leaves=30,
)


@given(VALUES)
def test_decode_of_encoded_value_gives_it_back(value: Value) -> None:
    assert decode(encode(value)) == value


@given(st.binary())
def test_decode_of_encoded_bytes_keeps_every_byte(data: bytes) -> None:
    text = decode(encode(data))
    assert isinstance(text, str)
    assert text.encode("utf-8", "surrogateescape") == data
    assert encode(text) == encode(data)


@given(st.one_of(st.binary(), st.text("0123456789ildex:-").map(str.encode)))
def test_decode_of_anything_gives_a_value_or_bencode_error(data: bytes) -> None:
    try:
        value = decode(data)
    except BencodeError:
        return
    assert decode(encode(value)) == value


@given(VALUES, st.data())
def test_decode_of_truncated_value_is_refused(value: Value, data: st.DataObject) -> None:
    encoded = encode(value)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(BencodeError):
        decode(encoded[:cut])


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("", b"0:"),
        ("spam", b"4:spam"),
        ("Zoë", b"4:Zo\xc3\xab"),
        (b"\xff\x00", b"2:\xff\x00"),
        (0, b"i0e"),
        (-42, b"i-42e"),
        (2**64 - 1, b"i18446744073709551615e"),
        ([], b"le"),
        (("a", 1), b"l1:ai1ee"),
        ({}, b"de"),
        ({"b": 1, "a": ["x"], "aa": {}}, b"d1:al1:xe2:aade1:bi1ee"),
        ({"command": "ping"}, b"d7:command4:pinge"),
    ],
)
def test_encode_value_gives_exact_bytes(value: object, encoded: bytes) -> None:
    assert encode(value) == encoded


@pytest.mark.parametrize(
    "value", [None, 1.5, True, {1: "x"}, {"a": None}, [object()], "\ud800", 2**64, -(2**63) - 1]
)
def test_encode_of_unfit_value_is_refused(value: object) -> None:
    with pytest.raises(BencodeError):
        encode(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"i",
        b"ie",
        b"i-e",
        b"i-0e",
        b"i007e",
        b"i-07e",
        b"i+1e",
        b"i 1e",
        b"i1_0e",
        b"i1",
        b"i1.5e",
        b"i" + b"9" * 21 + b"e",
        "i\N{ARABIC-INDIC DIGIT ONE}e".encode(),
        b"-1:a",
        b"03:abc",
        b"4:abc",
        b"99999999999999999999:a",
        b"1" * 100_000 + b":a",
        b"3abc",
        b"l",
        b"li1e",
        b"d1:a",
        b"d1:ae",
        b"di1ei2ee",
        b"dle1:ae",
        b"d1:ai1e",
        b"4:spamx",
        b"i1ei2e",
        b"le ",
    ],
)
def test_decode_of_malformed_data_is_refused(data: bytes) -> None:
    with pytest.raises(BencodeError):
        decode(data)


def test_decode_of_key_given_twice_keeps_the_last() -> None:
    assert decode(b"d1:ai1e1:ai2ee") == {"a": 2}


def test_depth_up_to_the_limit_is_accepted_both_ways() -> None:
    data = b"l" * (MAX_DEPTH + 1) + b"e" * (MAX_DEPTH + 1)
    assert encode(decode(data)) == data


@pytest.mark.parametrize("opening", [b"l", b"d1:a"])
def test_decode_nested_too_deeply_is_refused(opening: bytes) -> None:
    with pytest.raises(BencodeError):
        decode(opening * 100_000)


def test_encode_nested_too_deeply_is_refused() -> None:
    value: list[object] = []
    for _ in range(MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(BencodeError):
        encode(value)


@pytest.mark.alone
@pytest.mark.parametrize("item", [b"0:", b"i1e", b"le", b"4:spam"])
def test_decode_of_eight_times_the_data_takes_about_eight_times_as_long(item: bytes) -> None:
    def fastest(count: int) -> float:
        data = b"l" + item * count + b"e"
        times = []
        # How often the garbage collector looks at what is decoded is not decode's doing.
        gc.disable()
        try:
            for _ in range(7):
                start = time.process_time()
                decode(data)
                times.append(time.process_time() - start)
        finally:
            gc.enable()
        return min(times)

    # Quadratic time would be 64 times as long.
    assert fastest(80_000) < 32 * fastest(10_000)
