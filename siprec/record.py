"""JSON of the frozen dataclasses that we store and send between processes.

A record is a frozen dataclass whose fields are str, int, float, bool, None, StrEnum, other
records, and tuples of these. Enum values and field names are the stored format.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

R = TypeVar("R")

SECRET: Mapping[str, str] = {"seal": "secret"}
"""Marks a field that is stored sealed and shown to nobody."""

SDP: Mapping[str, str] = {"seal": "sdp"}
"""Marks session descriptions: with keys in it one is stored sealed, and shown without them."""


class RecordError(ValueError):
    """A stored or received record does not have the shape of its class.

    `field` is the dotted path of the offending field.
    """

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}" if field else why)
        self.field = field
        self.why = why


def to_json(record: object) -> str:
    """Encode a record as compact JSON text. Fields that hold their default are left out."""
    return json.dumps(record, default=_plain, separators=(",", ":"), ensure_ascii=False)


def to_plain(record: object) -> dict[str, Any]:
    """Give the record as plain dicts and lists, defaults included: what people are shown."""
    plain: dict[str, Any] = json.loads(json.dumps(record, default=_all_fields))
    return plain


def from_json(cls: type[R], text: str | bytes) -> R:
    """Decode the JSON text of a record of class `cls`.

    Raises:
        RecordError: not JSON, or not the shape of `cls`. An unknown field is ignored, so that
            a newer writer does not stop an older reader.
    """
    try:
        plain = json.loads(text)
    # json raises RecursionError for arrays nested a thousand deep.
    except (ValueError, RecursionError) as error:
        raise RecordError("", f"not JSON: {error}") from error
    return from_plain(cls, plain)


def from_plain(cls: type[R], plain: object) -> R:
    """Build a record of class `cls` from plain dicts and lists.

    Raises:
        RecordError: the shape is not that of `cls`; names the field.
    """
    built: R = _build(cls, plain, "")
    return built


def _shape_of(cls: Any) -> tuple[tuple[str, Any, Any], ...]:
    hints = get_type_hints(cls)
    return tuple((f.name, hints[f.name], f.default) for f in fields(cls))


# typeshed's cache() takes no class as an argument.
_shape: Callable[[Any], tuple[tuple[str, Any, Any], ...]] = cache(_shape_of)


def _plain(record: object) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, _, default in _shape(type(record)):
        value = getattr(record, name)
        if default is MISSING or value != default:
            out[name] = value
    return out


def _all_fields(record: object) -> dict[str, Any]:
    return {name: getattr(record, name) for name, _, _ in _shape(type(record))}


# Types are looked at once; a builder checks and converts one value, named `at` in errors.
_Build = Callable[[Any, str], Any]


def _builder_of(kind: Any) -> _Build:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _optional(kind)
    if origin is tuple:
        return _tuple(get_args(kind))
    if isinstance(kind, type) and is_dataclass(kind):
        return _record(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum(kind)
    return _scalar(kind)


_builder: Callable[[Any], _Build] = cache(_builder_of)


def _build(kind: Any, value: Any, at: str) -> Any:
    return _builder(kind)(value, at)


def _scalar(kind: type) -> _Build:
    def build(value: Any, at: str) -> Any:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        raise RecordError(at, f"{value!r} is not {kind.__name__}")

    return build


def _enum(kind: type[Enum]) -> _Build:
    def build(value: Any, at: str) -> Any:
        try:
            return kind(value)
        except ValueError:
            choices = ", ".join(str(member.value) for member in kind)
            raise RecordError(at, f"{value!r} is none of {choices}") from None

    return build


def _optional(kind: Any) -> _Build:
    (inner,) = (_builder(k) for k in get_args(kind) if k is not NoneType)
    return lambda value, at: None if value is None else inner(value, at)


def _tuple(kinds: tuple[Any, ...]) -> _Build:
    is_endless = len(kinds) == 2 and kinds[1] is Ellipsis
    builders = [_builder(k) for k in kinds if k is not Ellipsis]

    def build(value: Any, at: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise RecordError(at, f"{value!r} is not a list")
        if is_endless:
            return tuple(builders[0](item, f"{at}[{i}]") for i, item in enumerate(value))
        if len(value) != len(kinds):
            raise RecordError(at, f"needs {len(kinds)} items, has {len(value)}")
        items = enumerate(zip(builders, value, strict=True))
        return tuple(inner(item, f"{at}[{i}]") for i, (inner, item) in items)

    return build


def _record(cls: type) -> _Build:
    fields_of = [(name, _builder(kind), default) for name, kind, default in _shape(cls)]

    def build(value: Any, at: str) -> Any:
        if not isinstance(value, dict):
            raise RecordError(at, f"{value!r} is not an object")
        arguments: dict[str, Any] = {}
        for name, inner, default in fields_of:
            if name in value:
                arguments[name] = inner(value[name], f"{at}.{name}" if at else name)
            elif default is MISSING:
                raise RecordError(f"{at}.{name}" if at else name, "is missing")
        return cls(**arguments)

    return build
