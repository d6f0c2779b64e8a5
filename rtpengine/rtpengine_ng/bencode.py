"""Bencode, the encoding of NG: `i42e`, `4:spam`, `l…e`, `d…e`.

Text is UTF-8 on the wire and str here; bytes that are not UTF-8 survive a round trip as
surrogate escapes. Both directions are strict and take time linear in the size.
"""

from typing import TypeAlias

Value: TypeAlias = "str | int | list[Value] | dict[str, Value]"

MAX_DEPTH = 64
# 64 bits are all that rtpengine can hold, and int() takes quadratic time over more.
_MAX_DIGITS = 20
_INTEGERS = range(-(2**63), 2**64)
_DIGITS = frozenset(b"0123456789")


class BencodeError(ValueError):
    """The data is not bencode, or a value cannot be put into it."""


def encode(value: object) -> bytes:
    """Encode str, bytes, int, list, tuple, or dict with str keys (written sorted).

    Raises:
        BencodeError: another type (None, bool and float too), an integer of more than 64
            bits, or nested more than `MAX_DEPTH`.
    """
    parts: list[bytes] = []
    _encode(value, parts, 0)
    return b"".join(parts)


def decode(data: bytes) -> Value:
    """Decode exactly one value; every byte string becomes a str.

    Raises:
        BencodeError: malformed, nested more than `MAX_DEPTH`, or followed by anything.
            Of a key that comes twice the last value stays.
    """
    value, end = _decode(data, 0, 0)
    if end != len(data):
        raise BencodeError(f"{len(data) - end} bytes follow the value")
    return value


def _text(data: bytes) -> bytes:
    return b"%d:%b" % (len(data), data)


def _encode(value: object, parts: list[bytes], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise BencodeError(f"nested more than {MAX_DEPTH} deep")
    match value:
        case str():
            parts.append(_text(_utf8(value)))
        case bytes():
            parts.append(_text(value))
        case int() if not isinstance(value, bool) and value in _INTEGERS:
            parts.append(b"i%de" % value)
        case list() | tuple():
            parts.append(b"l")
            for item in value:
                _encode(item, parts, depth + 1)
            parts.append(b"e")
        case dict():
            _encode_dict(value, parts, depth)
        case _:
            raise BencodeError(f"cannot encode this {type(value).__name__}")


def _encode_dict(value: dict[object, object], parts: list[bytes], depth: int) -> None:
    keyed: list[tuple[bytes, object]] = []
    for key, item in value.items():
        if not isinstance(key, str):
            raise BencodeError(f"a key must be str, not {type(key).__name__}")
        keyed.append((_utf8(key), item))
    keyed.sort(key=lambda pair: pair[0])
    parts.append(b"d")
    for raw, item in keyed:
        parts.append(_text(raw))
        _encode(item, parts, depth + 1)
    parts.append(b"e")


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise BencodeError(f"not Unicode text: {error.reason}") from error


def _decode(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    if depth > MAX_DEPTH:
        raise BencodeError(f"nested more than {MAX_DEPTH} deep")
    match data[at : at + 1]:
        case b"i":
            return _decode_int(data, at + 1)
        case b"l":
            return _decode_list(data, at + 1, depth)
        case b"d":
            return _decode_dict(data, at + 1, depth)
        case _:
            return _decode_text(data, at)


def _decode_list(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    items: list[Value] = []
    while data[at : at + 1] != b"e":
        item, at = _decode(data, at, depth + 1)
        items.append(item)
    return items, at + 1


def _decode_dict(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    items: dict[str, Value] = {}
    while data[at : at + 1] != b"e":
        key, at = _decode_text(data, at)
        items[key], at = _decode(data, at, depth + 1)
    return items, at + 1


def _decode_int(data: bytes, at: int) -> tuple[int, int]:
    sign = -1 if data[at : at + 1] == b"-" else 1
    number, end = _digits(data, at + (sign < 0), b"e")
    if sign < 0 and number == 0:
        raise BencodeError(f"minus zero at byte {at}")
    return sign * number, end


def _decode_text(data: bytes, at: int) -> tuple[str, int]:
    length, start = _digits(data, at, b":")
    end = start + length
    if end > len(data):
        raise BencodeError(f"byte string at {at} is longer than the data")
    return data[start:end].decode("utf-8", "surrogateescape"), end


def _digits(data: bytes, at: int, stop: bytes) -> tuple[int, int]:
    """Read decimal digits up to `stop`; give the number and the index after `stop`."""
    end = data.find(stop, at, at + _MAX_DIGITS + 1)
    digits = data[at:end] if end > at else b""
    if not digits or not _DIGITS.issuperset(digits):
        raise BencodeError(f"no number at byte {at}")
    if digits[0] == 0x30 and len(digits) > 1:
        raise BencodeError(f"leading zero at byte {at}")
    return int(digits), end + 1
