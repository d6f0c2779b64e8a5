"""JSON of the frozen dataclasses that we store and send between processes.

A record is a frozen dataclass whose fields are str, int, float, bool, None, StrEnum, other
records, and tuples of these. Enum values and field names are the stored format.
"""

import json
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

R = TypeVar("R")


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


def _build(kind: Any, value: Any, at: str) -> Any:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _build_optional(kind, value, at)
    if origin is tuple:
        return _build_tuple(get_args(kind), value, at)
    if isinstance(kind, type) and is_dataclass(kind):
        return _build_record(kind, value, at)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(value)
        except ValueError:
            choices = ", ".join(str(member.value) for member in kind)
            raise RecordError(at, f"{value!r} is none of {choices}") from None
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise RecordError(at, f"{value!r} is not {kind.__name__}")
    return value


def _build_optional(kind: Any, value: Any, at: str) -> Any:
    if value is None:
        return None
    (inner,) = (k for k in get_args(kind) if k is not NoneType)
    return _build(inner, value, at)


def _build_tuple(kinds: tuple[Any, ...], value: Any, at: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise RecordError(at, f"{value!r} is not a list")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_build(kinds[0], item, f"{at}[{i}]") for i, item in enumerate(value))
    if len(value) != len(kinds):
        raise RecordError(at, f"needs {len(kinds)} items, has {len(value)}")
    return tuple(
        _build(k, item, f"{at}[{i}]") for i, (k, item) in enumerate(zip(kinds, value, strict=True))
    )


def _build_record(cls: type, value: Any, at: str) -> Any:
    if not isinstance(value, dict):
        raise RecordError(at, f"{value!r} is not an object")
    arguments: dict[str, Any] = {}
    for name, kind, default in _shape(cls):
        here = f"{at}.{name}" if at else name
        if name in value:
            arguments[name] = _build(kind, value[name], here)
        elif default is MISSING:
            raise RecordError(here, "is missing")
    return cls(**arguments)
