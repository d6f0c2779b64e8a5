"""The options of `siprec connector set`: a connector out of words and files.

A secret is read from a file or from standard input, never from an argument: arguments of a
process are there for all to see.
"""

import argparse
import sys
from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from typing import Any

from siprec.connector import Connector, Srs
from siprec_control.connector_fields import (
    CHOICES,
    DEFAULTS,
    FILES,
    FLAGS,
    LISTS,
    NUMBERS,
    WORDS,
)
from siprec_control.errors import Refused

MAX_FILE_BYTES = 65_536

_OPTIONS = {
    "name": "NAME",
    "headers": "--header",
    "credential_value": "--credential-file",
    "digest_password": "--digest-password-file",
}
# What belongs together; all of it is kept when it is not given again.
_KEPT = (
    "credential_header",
    "credential_value",
    "digest_user",
    "digest_password",
    "tls_certificate",
    "tls_key",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A connector as it was asked for, not checked yet; `kept` names fields of the old one."""

    connector: Connector
    kept: tuple[str, ...]
    still_drained: tuple[str, ...]


def option_of(field: str) -> str:
    """Name the option that sets a field of a connector."""
    return _OPTIONS.get(field, f"--{field.replace('_', '-')}")


def declare(verb: argparse.ArgumentParser) -> None:
    """Declare NAME and the options on a parser."""
    verb.add_argument("name", metavar="NAME", help="what connectorName refers to")
    verb.add_argument(
        "--srs",
        metavar="URI[,priority=N][,weight=N][,max-sessions=N]",
        action="append",
        required=True,
        type=parse_srs,
        help="a recorder; may stand more than once",
    )
    for field, (kind, text) in CHOICES.items():
        choices = [member.value for member in kind]
        verb.add_argument(option_of(field), choices=choices, help=_with_default(field, text))
    for field, text in NUMBERS.items():
        verb.add_argument(option_of(field), metavar="N", type=int, help=_with_default(field, text))
    for field, text in LISTS.items():
        verb.add_argument(option_of(field), metavar="A,B", type=_list, help=text)
    for field, text in FLAGS.items():
        verb.add_argument(option_of(field), action="store_true", default=None, help=text)
    for field, (word, text) in WORDS.items():
        verb.add_argument(option_of(field), metavar=word, help=text)
    for field, text in FILES.items():
        verb.add_argument(option_of(field), metavar="FILE", dest=field, help=f"{text}; - is stdin")
    verb.add_argument(
        "--header",
        metavar="NAME=VALUE",
        action="append",
        dest="headers",
        type=_header,
        help="a header for each INVITE; may stand more than once",
    )
    verb.add_argument(
        "--no-credentials",
        action="store_true",
        help="forget the stored credential, password and client certificate",
    )


def connector_of(
    arguments: argparse.Namespace, account_sid: str, before: Connector | None
) -> Given:
    """Build the connector that the options ask for, in place of `before`.

    What is not given gets its default, except: login and client certificate of `before` stay
    unless `--no-credentials` is given, and recorders that are drained stay drained.

    Raises:
        Refused: a file cannot be read; names the option.
    """
    given: dict[str, Any] = {}
    for name in DEFAULTS.keys() - FILES.keys() - {"account_sid", "srs"}:
        value = getattr(arguments, name)
        if value is not None:
            given[name] = _typed(name, value)
    given |= _files(arguments)
    kept: dict[str, str] = {}
    if before is not None and not arguments.no_credentials:
        kept = {name: getattr(before, name) for name in _KEPT if name not in given}
        kept = {name: value for name, value in kept.items() if value}
    old = before.srs if before is not None else ()
    drained = {srs.uri for srs in old if srs.drained}
    srs = tuple(replace(s, drained=s.uri in drained) for s in arguments.srs)
    return Given(
        connector=Connector(account_sid=account_sid, srs=srs, **{**kept, **given}),
        kept=tuple(kept),
        still_drained=tuple(s.uri for s in srs if s.drained),
    )


def parse_srs(text: str) -> Srs:
    """Read `URI[,priority=N][,weight=N][,max-sessions=N]`; the URI itself is checked later.

    Raises:
        argparse.ArgumentTypeError: names the part.
    """
    # A user part may hold commas, what follows it may not.
    head, at, tail = text.rpartition("@")
    place, *parts = tail.split(",")
    numbers: dict[str, int] = {}
    for part in parts:
        name, _, value = part.partition("=")
        if name not in ("priority", "weight", "max-sessions") or name in numbers:
            why = f"{part!r} is none of priority=N, weight=N, max-sessions=N, or stands twice"
            raise argparse.ArgumentTypeError(why)
        if not value.isascii() or not value.isdigit() or len(value) > 9:
            raise argparse.ArgumentTypeError(f"{part!r} needs a number")
        numbers[name] = int(value)
    return Srs(
        uri=f"{head}{at}{place}",
        priority=numbers.get("priority", 1),
        weight=numbers.get("weight", 1),
        max_sessions=numbers.get("max-sessions"),
    )


def _typed(name: str, value: Any) -> Any:
    if name in CHOICES:
        return CHOICES[name][0](value)
    return tuple(value) if isinstance(value, list) else value


def _files(arguments: argparse.Namespace) -> dict[str, str]:
    named = {name: getattr(arguments, name) for name in FILES}
    if list(named.values()).count("-") > 1:
        raise Refused("standard input (-) can be read for one option only")
    return {
        name: _read(option_of(name), file, is_line=not name.startswith("tls_"))
        for name, file in named.items()
        if file is not None
    }


def _read(option: str, name: str, *, is_line: bool) -> str:
    try:
        if name == "-":
            data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise Refused(f"{option}: {name}: is over {MAX_FILE_BYTES} bytes")
        text = data.decode()
    except OSError as error:
        raise Refused(f"{option}: {name}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise Refused(f"{option}: {name}: is not text") from None
    # Editors end the last line; the secret does not.
    if is_line:
        text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise Refused(f"{option}: {name}: is empty")
    return text


def _list(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} has no =")
    return name, value


def _with_default(field: str, text: str) -> str:
    default = DEFAULTS[field]
    return text if default in (MISSING, None) else f"{text} (default: {default})"
