"""JSON of the frozen dataclasses that we store and send between processes.

A record is a frozen dataclass whose fields are str, int, float, bool, None, StrEnum, other
records, and tuples of these. Enum values and field names are the stored format.

A str field marked SECRET or SDP is written to the store sealed (siprec.vault), and shown without
what must not be seen. `to_json` refuses a record that needs a seal and gets none; only
`to_local_json`, for the processes of one machine, writes it in clear.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache, lru_cache, partial
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from siprec.errors import SiprecError

R = TypeVar("R")

Seal = Callable[[str], str]
"""Seals or unseals a text: `seal` and `unseal` of siprec.vault.Vault."""

SEALED = "sealed:"
"""What every sealed text begins with."""

HIDDEN = "(hidden)"
"""What people see in the place of a secret."""

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


def to_json(record: object, seal: Seal | None = None) -> str:
    """Encode a record as compact JSON text, to be stored. Fields at their default are left out.

    `seal` gets each SECRET that is not empty, and each SDP with a key in it.

    Raises:
        RecordError: there is something to seal, and no `seal`.
        VaultError: what `seal` raises comes through.
    """
    return _encoder(_no_seal if seal is None else seal).encode(record)


def to_local_json(record: object) -> str:
    """Encode a record with its secrets in clear, for another process of this machine.

    Never store it, log it, or send it anywhere else. `from_local_json` reads it.
    """
    return _encoder(str).encode(record)


def to_plain(record: object) -> dict[str, Any]:
    """Give the record as plain dicts and lists, defaults included: what people are shown.

    Secrets and the keys of SRTP are hidden, so that a record cannot be made from it again.
    """
    plain: dict[str, Any] = json.loads(json.dumps(record, default=_shown_fields))
    return plain


def from_json(cls: type[R], text: str | bytes, unseal: Seal | None = None) -> R:
    """Decode the JSON text of a record of class `cls`, as `to_json` wrote it.

    Raises:
        RecordError: not JSON, or not the shape of `cls`, or sealed and not to be unsealed. An
            unknown field is ignored, so that a newer writer does not stop an older reader.
    """
    built: R = _build(cls, _parsed(text), "", _no_unseal if unseal is None else unseal)
    return built


def from_local_json(cls: type[R], text: str | bytes) -> R:
    """Decode what `to_local_json` wrote.

    Raises:
        RecordError: not JSON, or not the shape of `cls`.
    """
    return from_plain(cls, _parsed(text))


def _parsed(text: str | bytes) -> object:
    try:
        return json.loads(text)
    # json raises RecursionError for arrays nested a thousand deep.
    except (ValueError, RecursionError) as error:
        raise RecordError("", f"not JSON: {error}") from error


def from_plain(cls: type[R], plain: object) -> R:
    """Build a record of class `cls` from plain dicts and lists.

    Raises:
        RecordError: the shape is not that of `cls`; names the field.
    """
    # In what people write nothing is sealed, whatever it looks like.
    built: R = _build(cls, plain, "", str)
    return built


@lru_cache(maxsize=4)
def _encoder(seal: Seal) -> json.JSONEncoder:
    fields_of = partial(_fields, seal)
    return json.JSONEncoder(default=fields_of, separators=(",", ":"), ensure_ascii=False)


# Name, type and default of each field; and those that are marked, with the mark.
_Fields = tuple[tuple[str, Any, Any], ...]
_Marks = tuple[tuple[str, str], ...]


def _shape_of(cls: Any) -> tuple[_Fields, _Marks]:
    hints = get_type_hints(cls)
    marks = tuple((f.name, f.metadata["seal"]) for f in fields(cls) if "seal" in f.metadata)
    return tuple((f.name, hints[f.name], f.default) for f in fields(cls)), marks


# typeshed's cache() takes no class as an argument.
_shape: Callable[[Any], tuple[_Fields, _Marks]] = cache(_shape_of)


def _fields(seal: Seal, record: object) -> dict[str, Any]:
    kinds, marks = _shape(type(record))
    out: dict[str, Any] = {}
    for name, _, default in kinds:
        value = getattr(record, name)
        if default is MISSING or value != default:
            out[name] = value
    for name, mark in marks:
        if (value := out.get(name)) and _needs_seal(value, mark):
            out[name] = seal(value)
    return out


def _needs_seal(value: str, mark: str) -> bool:
    """Tell whether the value may not be stored as it is.

    A peer's SDP that pretends to be sealed is sealed too, or nobody could read it again.
    """
    if mark == SECRET["seal"]:
        return True
    return "a=crypto" in value or "inline:" in value or value.startswith(SEALED)


def _no_seal(text: str) -> str:
    raise RecordError("", "holds secrets, which are stored sealed only, and no vault is at hand")


def _no_unseal(text: str) -> str:
    raise SiprecError("is sealed, and no vault is at hand")


# The key and salt of RFC 4568 §9.2, without lifetime and MKI.
_INLINE = re.compile(r"(inline:)[^\s|;]*", re.IGNORECASE)


def _shown_fields(record: object) -> dict[str, Any]:
    kinds, marks = _shape(type(record))
    out = {name: getattr(record, name) for name, _, _ in kinds}
    for name, mark in marks:
        if mark == SECRET["seal"]:
            out[name] = out[name] and HIDDEN
        else:
            out[name] = _INLINE.sub(rf"\1{HIDDEN}", out[name])
    return out


# Types are looked at once; a builder checks and converts one value, named `at` in errors.
_Build = Callable[[Any, str, Seal], Any]


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


def _build(kind: Any, value: Any, at: str, unseal: Seal) -> Any:
    return _builder(kind)(value, at, unseal)


def _scalar(kind: type) -> _Build:
    def build(value: Any, at: str, unseal: Seal) -> Any:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        raise RecordError(at, f"{value!r} is not {kind.__name__}")

    return build


def _enum(kind: type[Enum]) -> _Build:
    def build(value: Any, at: str, unseal: Seal) -> Any:
        try:
            return kind(value)
        except ValueError:
            choices = ", ".join(str(member.value) for member in kind)
            raise RecordError(at, f"{value!r} is none of {choices}") from None

    return build


def _optional(kind: Any) -> _Build:
    (inner,) = (_builder(k) for k in get_args(kind) if k is not NoneType)
    return lambda value, at, unseal: None if value is None else inner(value, at, unseal)


def _tuple(kinds: tuple[Any, ...]) -> _Build:
    is_endless = len(kinds) == 2 and kinds[1] is Ellipsis
    builders = [_builder(k) for k in kinds if k is not Ellipsis]

    def build(value: Any, at: str, unseal: Seal) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise RecordError(at, f"{value!r} is not a list")
        if is_endless:
            return tuple(builders[0](item, f"{at}[{i}]", unseal) for i, item in enumerate(value))
        if len(value) != len(kinds):
            raise RecordError(at, f"needs {len(kinds)} items, has {len(value)}")
        items = enumerate(zip(builders, value, strict=True))
        return tuple(inner(item, f"{at}[{i}]", unseal) for i, (inner, item) in items)

    return build


def _marked(value: Any, at: str, unseal: Seal) -> str:
    """Build a field that is marked. What it holds stands in no error."""
    if not isinstance(value, str):
        raise RecordError(at, "is not str")
    if not value.startswith(SEALED):
        return value
    try:
        return unseal(value)
    except SiprecError as error:
        raise RecordError(at, str(error)) from error


def _record(cls: type) -> _Build:
    kinds, marks = _shape(cls)
    marked = {name for name, _ in marks}
    fields_of = [
        (name, _marked if name in marked else _builder(kind), default)
        for name, kind, default in kinds
    ]

    def build(value: Any, at: str, unseal: Seal) -> Any:
        if not isinstance(value, dict):
            raise RecordError(at, f"{value!r} is not an object")
        arguments: dict[str, Any] = {}
        for name, inner, default in fields_of:
            if name in value:
                arguments[name] = inner(value[name], f"{at}.{name}" if at else name, unseal)
            elif default is MISSING:
                raise RecordError(f"{at}.{name}" if at else name, "is missing")
        return cls(**arguments)

    return build
