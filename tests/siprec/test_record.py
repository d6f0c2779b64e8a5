"""Records survive their JSON, and hostile JSON is refused by field name."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.connector import Connector
from siprec.model import Call, Party, Stream, StreamOrder, StreamState, Track
from siprec.record import (
    SDP,
    SECRET,
    RecordError,
    from_json,
    from_local_json,
    from_plain,
    to_json,
    to_local_json,
    to_plain,
)
from siprec.settings import Settings
from siprec.vault import Vault, new_key


@dataclass(frozen=True, slots=True, kw_only=True)
class _Odd:
    """Shapes that the stored records do not have (yet)."""

    ratio: float = 0.5
    pair: tuple[int, str] = (1, "a")
    on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inner:
    """A record inside another one."""

    sdp: str = field(default="", metadata=SDP)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guarded:
    """Marked fields, at the top and further down."""

    plain: str = ""
    password: str = field(default="", metadata=SECRET)
    inner: _Inner | None = None
    inners: tuple[_Inner, ...] = ()


CLEAR = "v=0\r\na=recvonly\r\n"
CRYPTO = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"
KEYED = (
    f"v=0\r\n{CRYPTO}KEY1|2^20|1:4;inline:KEY2 FEC_ORDER=FEC_SRTP\r\na=crypto:2 X Inline:KEY3\r\n"
)
GUARDED = _Guarded(
    plain="shown",
    password="pässword",
    inner=_Inner(sdp=KEYED),
    inners=(_Inner(sdp=CLEAR), _Inner(sdp=f"{KEYED}\udcff")),
)
SECRETS = ("pässword", "KEY1", "KEY2", "KEY3")

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
    assert to_plain(Party(tag="t")) == {
        "name": "",
        "uri": "",
        "tag": "t",
        "since_ms": None,
        "dialog_uri": "",
    }


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


# What is marked


def test_marked_fields_are_stored_sealed_and_come_back(vault: Vault) -> None:
    text = to_json(GUARDED, vault.seal)
    assert not [secret for secret in SECRETS if secret in text]
    assert text.count("sealed:1:") == 3
    assert "a=recvonly" in text
    assert from_json(_Guarded, text, vault.unseal) == GUARDED
    assert from_json(_Guarded, text.encode(), vault.unseal) == GUARDED


@pytest.mark.parametrize(
    "guarded",
    [
        _Guarded(password="x"),
        _Guarded(inner=_Inner(sdp=KEYED)),
        _Guarded(inner=_Inner(sdp="a=key-mgmt inline:x")),
        _Guarded(inner=_Inner(sdp="sealed:anything")),
        _Guarded(inners=(_Inner(), _Inner(sdp="a=crypto"))),
    ],
    ids=["secret", "sdp", "inline", "pretends", "in-a-list"],
)
def test_record_that_needs_a_seal_is_not_stored_without(guarded: _Guarded, vault: Vault) -> None:
    with pytest.raises(RecordError, match=r"^holds secrets, which are stored sealed only"):
        to_json(guarded)
    sealed = to_json(guarded, vault.seal)
    assert from_json(_Guarded, sealed, vault.unseal) == guarded
    with pytest.raises(RecordError, match=r"(password|sdp): is sealed, and no vault is at hand$"):
        from_json(_Guarded, sealed)


def test_record_without_secrets_needs_no_seal(vault: Vault) -> None:
    guarded = _Guarded(plain="KEY1", inner=_Inner(sdp=CLEAR))
    assert to_json(guarded) == to_json(guarded, vault.seal)
    assert from_json(_Guarded, to_json(guarded)) == guarded


@pytest.mark.parametrize("name", ["credential_value", "digest_password", "tls_key"])
def test_secret_of_a_connector_is_never_stored_in_clear(name: str, vault: Vault) -> None:
    plain = {"account_sid": "AC", "name": "c", "srs": [{"uri": "sip:a"}], name: "geheim"}
    connector = from_plain(Connector, plain)
    with pytest.raises(RecordError):
        to_json(connector)
    assert "geheim" not in to_json(connector, vault.seal)
    assert to_plain(connector)[name] == "(hidden)"


@pytest.mark.parametrize("text", ["geheim", "sealed:1:", "sealed:1:00000000:geheim"])
def test_secret_that_looks_sealed_is_sealed_like_any(text: str, vault: Vault) -> None:
    guarded = from_plain(_Guarded, {"password": text})
    assert guarded.password == text
    stored = to_json(guarded, vault.seal)
    assert "geheim" not in stored
    assert from_json(_Guarded, stored, vault.unseal) == guarded


def test_local_json_is_in_clear_and_comes_back() -> None:
    guarded = _Guarded(password="pässword", inner=_Inner(sdp="sealed:1:x\udcff"))
    text = to_local_json(guarded)
    assert text == '{"password":"pässword","inner":{"sdp":"sealed:1:x\udcff"}}'
    assert from_local_json(_Guarded, text) == guarded
    with pytest.raises(RecordError, match="not JSON"):
        from_local_json(_Guarded, "{")


def test_sealed_field_with_another_key_is_named_and_not_quoted(
    vault: Vault, tmp_path: Path
) -> None:
    text = to_json(GUARDED, vault.seal)
    other = tmp_path / "other.key"
    other.touch(mode=0o600)
    other.write_text(new_key().text)
    with pytest.raises(RecordError, match=rf"^password: is sealed with key \w+, .*{other}$"):
        from_json(_Guarded, text, Vault(other).unseal)


def test_marked_field_of_a_wrong_type_is_named_and_not_quoted() -> None:
    with pytest.raises(RecordError, match=r"^password: is not str$"):
        from_plain(_Guarded, {"password": 1234})


def test_to_plain_hides_secrets_and_keys_and_no_more() -> None:
    plain = to_plain(GUARDED)
    assert plain["plain"] == "shown"
    assert plain["password"] == "(hidden)"
    assert plain["inner"]["sdp"] == (
        f"v=0\r\n{CRYPTO}(hidden)|2^20|1:4;inline:(hidden) FEC_ORDER=FEC_SRTP\r\n"
        "a=crypto:2 X Inline:(hidden)\r\n"
    )
    assert plain["inners"][0] == {"sdp": CLEAR}
    assert to_plain(_Guarded()) == {"plain": "", "password": "", "inner": None, "inners": []}
