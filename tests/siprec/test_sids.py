"""Sids, Call-IDs and fork tags that carry their shard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.sids import (
    FORK_TAG_PREFIX,
    SHARDS,
    SidError,
    call_sid_of,
    make_call_sid,
    make_fork_tag,
    make_leg_call_id,
    make_stream_sid,
    parse_leg_call_id,
    shard_of_call_id,
    shard_of_sid,
)

SHARD = st.integers(0, SHARDS - 1)
HEX = st.text("0123456789abcdef", min_size=22, max_size=22)


@given(SHARD, HEX, st.integers(1, 0xFFFF), *[st.integers(1, 999_999)] * 2)
def test_names_made_from_a_call_lead_back_to_it(
    shard: int, random_hex: str, ordinal: int, leg: int, attempt: int
) -> None:
    call_sid = make_call_sid(shard, random_hex)
    stream_sid = make_stream_sid(call_sid, ordinal)
    assert len(call_sid) == len(stream_sid) == 34
    assert shard_of_sid(call_sid) == shard_of_sid(stream_sid) == shard
    assert call_sid_of(stream_sid) == call_sid
    call_id = make_leg_call_id(stream_sid, leg, attempt)
    assert parse_leg_call_id(call_id) == (stream_sid, leg, attempt)
    fork_tag = make_fork_tag(stream_sid, leg, attempt)
    assert fork_tag == f"{FORK_TAG_PREFIX}{stream_sid}-{leg}-{attempt}"


def test_shard_of_a_call_id_is_crc16_as_xmodem_has_it() -> None:
    # The check value of CRC-16/XMODEM over "123456789" is 0x31C3.
    assert shard_of_call_id("123456789") == 0x31C3 % SHARDS


@given(st.text())
def test_shard_of_any_call_id_is_one_of_all(call_id: str) -> None:
    assert 0 <= shard_of_call_id(call_id) < SHARDS


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "CA"),
        ("CA00", "CA"),
        ("SR" + "0" * 31, "SR"),
        ("CA" + "0" * 33, "CA"),
        ("CA" + "G" * 32, "CA"),
        ("CA" + "0" * 32 + "\n", "CA"),
        ("SRff" + "0" * 30, "SR"),
        ("CA40" + "0" * 30, "CA"),
        ("NO" + "0" * 32, "CA"),
    ],
)
def test_shard_of_what_is_no_sid_is_refused(text: str, kind: str) -> None:
    with pytest.raises(SidError, match=f"is not a {kind} sid") as caught:
        shard_of_sid(text)
    assert (caught.value.text, caught.value.kind) == (text, kind)


@pytest.mark.parametrize("text", ["CA" + "0" * 32, "SR0", ""])
def test_call_of_what_is_no_stream_is_refused(text: str) -> None:
    with pytest.raises(SidError, match="is not a SR sid"):
        call_sid_of(text)


@pytest.mark.parametrize(
    "call_id",
    [
        "",
        "abc@host",
        "SR" + "0" * 32,
        "SR" + "0" * 32 + "-1",
        "SR" + "0" * 32 + "-0-1",
        "SR" + "0" * 32 + "-1-0",
        "SR" + "0" * 32 + "-1234567-1",
        "SR" + "0" * 32 + "-1-1234567",
        "SR" + "0" * 32 + "-1-1@host",
        "SRff" + "0" * 30 + "-1-1",
        "CA" + "0" * 32 + "-1-1",
    ],
)
def test_call_id_of_others_is_none_of_ours(call_id: str) -> None:
    assert parse_leg_call_id(call_id) is None
