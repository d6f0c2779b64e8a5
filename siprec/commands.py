"""Commands of operators: an entry of the Redis Stream `commands` becomes an order for a shard.

docs/redis.md is the contract, and `VERSION` its version. Nothing here raises: what is wrong with
a command becomes `CommandRefused`, which names the field, and ends as an alert and a verdict.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from siprec.inbox import CommandRefused, PauseOrdered, StartOrdered, StopOrdered
from siprec.model import CallbackMethod, StreamOrder, Track
from siprec.orders import BAD_FIELD, OrderError, check_order, stream_name_fault
from siprec.sids import SidError, call_sid_of, shard_of_sid

VERSION = "1"
"""What `v` of a command must be, and what the key `contract` says."""

BAD_TRACK = 31941

# The shard that tells of commands without a sid: nobody knows whose they are.
HOMELESS_SHARD = 0

PARAMETER = "parameter."

_COMMON = frozenset({"v", "command", "id", "call", "name"})
_STOP = _COMMON | {"stream"}
_FIELDS: Mapping[str, frozenset[str]] = {
    "start": _COMMON | {"connector", "track", "status_callback", "status_callback_method"},
    "stop": _STOP,
    "pause": _STOP | {"track"},
    "resume": _STOP | {"track"},
}

# What an order calls its fields, and what a command does.
_NAMES: Mapping[str, str] = {"connector_name": "connector", "parameters": "parameter"}

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z")
_NOT_UTF8 = re.compile(r"[\ud800-\udfff]")
_SHOWN_CHARS = 40

Pair = tuple[str, str]
Order = StartOrdered | StopOrdered | PauseOrdered | CommandRefused
Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """An entry for the inbox of a shard. `request_id` makes it one, however often it is sent."""

    shard: int
    request_id: str
    entry: Order


class _BadCommand(Exception):
    """A command breaks a rule: the field, and why. `code` is an alert code."""

    def __init__(self, field: str, why: str, code: int = BAD_FIELD) -> None:
        super().__init__(f"{field}: {why}")
        self.code = code


def read_command(entry_id: str, pairs: Iterable[Pair]) -> Forward:
    """Tell what an entry of `commands` with that id asks for.

    `pairs` are its fields in order. Bytes that are not UTF-8 stand in them as lone surrogates.
    """
    every = list(pairs)
    given = dict(every)
    request_id = given.get("id", entry_id)
    if not _REQUEST_ID.match(request_id):
        request_id = entry_id
    try:
        _check_fields(every)
        order = _READ[given["command"]](request_id, given)
    except _BadCommand as error:
        order = _refused(request_id, given, error.code, f"command {entry_id}: {error}")
    return Forward(shard=_shard(order), request_id=request_id, entry=order)


def _check_fields(pairs: list[Pair]) -> None:
    """Refuse what no command may hold, or none of its kind."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if _NOT_UTF8.search(name + value):
            raise _BadCommand(_bare(name), "holds bytes that are not UTF-8")
        if name in given:
            raise _BadCommand(_bare(name), "stands twice")
        given[name] = value
    if _needed(given, "v") != VERSION:
        raise _BadCommand("v", f"{_shown(given['v'])} is not {VERSION}, the version known here")
    command = _needed(given, "command")
    if command not in _FIELDS:
        raise _BadCommand("command", f"{_shown(command)} is not one of {', '.join(_FIELDS)}")
    for name in given:
        if name not in _FIELDS[command] and not (command == "start" and name.startswith(PARAMETER)):
            raise _BadCommand(_bare(name), f"is not a field of {command}")
    if "id" in given and not _REQUEST_ID.match(given["id"]):
        why = "is not 1 to 64 letters, digits, '.', '_', ':' or '-'"
        raise _BadCommand("id", f"{_shown(given['id'])} {why}")


# Orders


def _start(request_id: str, given: Mapping[str, str]) -> Order:
    _needed(given, "call")
    order = StreamOrder(
        name=given.get("name", ""),
        connector_name=given.get("connector", "Default"),
        track=_choice(given, "track", Track.BOTH, BAD_TRACK),
        status_callback=given.get("status_callback"),
        status_callback_method=_choice(given, "status_callback_method", CallbackMethod.POST),
        parameters=tuple(
            (name.removeprefix(PARAMETER), value)
            for name, value in given.items()
            if name.startswith(PARAMETER)
        ),
    )
    try:
        check_order(order)
    except OrderError as error:
        raise _BadCommand(_NAMES.get(error.field, error.field), error.why, error.code) from error
    return StartOrdered(request_id=request_id, call_sid=_call_sid(given), order=order)


def _stop(request_id: str, given: Mapping[str, str]) -> Order:
    stream_sid, call_sid, name = _stream(given)
    return StopOrdered(request_id=request_id, stream_sid=stream_sid, call_sid=call_sid, name=name)


def _pause(request_id: str, given: Mapping[str, str]) -> Order:
    stream_sid, call_sid, name = _stream(given)
    return PauseOrdered(
        request_id=request_id,
        stream_sid=stream_sid,
        call_sid=call_sid,
        name=name,
        track=_choice(given, "track", Track.BOTH, BAD_TRACK),
        is_resumed=given["command"] == "resume",
    )


_READ: Mapping[str, Callable[[str, Mapping[str, str]], Order]] = {
    "start": _start,
    "stop": _stop,
    "pause": _pause,
    "resume": _pause,
}


def _refused(request_id: str, given: Mapping[str, str], code: int, text: str) -> CommandRefused:
    """Keep the sids that a bad command names, if it names any: the alert is about those."""
    call_sid, stream_sid = given.get("call", ""), given.get("stream", "")
    try:
        call_sid = call_sid_of(stream_sid)
    except SidError:
        stream_sid = ""
    if _is_call(call_sid):
        return CommandRefused(
            request_id=request_id, code=code, text=text, call_sid=call_sid, stream_sid=stream_sid
        )
    return CommandRefused(request_id=request_id, code=code, text=text)


def _shard(order: Order) -> int:
    if order.call_sid:
        return shard_of_sid(order.call_sid)
    if isinstance(order, StopOrdered | PauseOrdered):
        return shard_of_sid(order.stream_sid)
    return HOMELESS_SHARD


# Fields


def _needed(given: Mapping[str, str], field: str) -> str:
    if field not in given:
        raise _BadCommand(field, "is missing")
    return given[field]


def _call_sid(given: Mapping[str, str]) -> str:
    sid = _needed(given, "call")
    if not _is_call(sid):
        raise _BadCommand("call", f"{_shown(sid)} is not the sid of a call")
    return sid


def _stream(given: Mapping[str, str]) -> tuple[str, str, str]:
    """Give the sid of a stream, or "" with a call's sid and the name of a stream of it."""
    sid = given.get("stream")
    if sid is None:
        if "call" not in given:
            raise _BadCommand("stream", "is missing; call and name do as well")
        call_sid, name = _call_sid(given), _needed(given, "name")
        if why := stream_name_fault(name) if name else "must not be empty":
            raise _BadCommand("name", why)
        return "", call_sid, name
    for other in ("call", "name"):
        if other in given:
            raise _BadCommand(other, "must not stand beside stream")
    try:
        call_sid_of(sid)
        shard_of_sid(sid)
    except SidError:
        raise _BadCommand("stream", f"{_shown(sid)} is not the sid of a stream") from None
    return sid, "", ""


def _is_call(sid: str) -> bool:
    try:
        shard_of_sid(sid)
    except SidError:
        return False
    return sid.startswith("CA")


def _choice(given: Mapping[str, str], field: str, default: Choice, code: int = BAD_FIELD) -> Choice:
    text = given.get(field, default.value)
    try:
        return type(default)(text)
    except ValueError:
        known = ", ".join(type(default))
        raise _BadCommand(field, f"{_shown(text)} is not one of {known}", code) from None


def _shown(text: str) -> str:
    """Give a piece of a command as people may see it: short, and on one line."""
    shown = text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
    return ascii(shown)


def _bare(name: str) -> str:
    """Give the name of a field as people may see it."""
    return _shown(name)[1:-1]
