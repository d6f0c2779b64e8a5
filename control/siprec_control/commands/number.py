"""`siprec number`: what calls to a number do."""

import argparse
import sys
from pathlib import Path
from typing import Any

from siprec.model import CallbackMethod
from siprec.numbers import Number, parse_pattern
from siprec.record import to_json, to_plain
from siprec.store import Store
from siprec.twiml import MAX_DOCUMENT_BYTES, Program, TwimlError, compile_document
from siprec_control import output
from siprec_control.commands.nouns import Noun, Nouns, open_store
from siprec_control.errors import Refused
from siprec_web.errors import UrlError
from siprec_web.overrides import parse_url
from siprec_web.urls import shown


def add(nouns: Nouns, common: argparse.ArgumentParser) -> None:
    """Declare `siprec number set|list|show|delete`."""
    noun = Noun(nouns, common, "number", "say what calls to a number do")
    verb = noun.verb("set", set_number, "let a number follow a TwiML document")
    verb.add_argument("number", metavar="NUMBER", help="+15550001, a prefix +1555*, or *")
    verb.add_argument("--twiml", metavar="FILE", help="the document; - is stdin")
    verb.add_argument("--url", help="where it is fetched for each call instead")
    verb.add_argument("--fallback-url", metavar="URL", help="where, when that fails")
    for option in ("--method", "--fallback-method"):
        methods = [method.value for method in CallbackMethod]
        verb.add_argument(option, choices=methods, default=CallbackMethod.POST.value)
    noun.verb("list", list_numbers, "list the numbers")
    for name, act in (("show", show_number), ("delete", delete_number)):
        verb = noun.verb(name, act, f"{name} a number")
        verb.add_argument("number", metavar="NUMBER")


def set_number(arguments: argparse.Namespace) -> int:
    """Let a number of the default account follow a document: its own, or one of the web."""
    pattern = parse_pattern(arguments.number)
    if not arguments.twiml and not arguments.url:
        raise Refused("--twiml or --url: one of them is required")
    if arguments.fallback_url and not arguments.url:
        raise Refused("--fallback-url: there is no --url that could fail")
    for option in ("url", "fallback_url"):
        _check_url(option, getattr(arguments, option))
    document, program = _own(arguments.twiml)
    with open_store(arguments) as (store, account_sid):
        number = Number(
            pattern=pattern,
            account_sid=account_sid,
            twiml=document.decode(),
            program="" if program is None else to_json(program),
            url=arguments.url or "",
            method=CallbackMethod(arguments.method),
            fallback_url=arguments.fallback_url or "",
            fallback_method=CallbackMethod(arguments.fallback_method),
        )
        store.put_number(number)
        missing = _missing_connectors(store, account_sid, program or Program())
    for name in missing:
        print(f"siprec: note: connector {output.shown(name)} is not set yet", file=sys.stderr)
    if arguments.json:
        output.print_json(_plain(number))
    else:
        print(f"number {pattern} follows {output.shown(shown(arguments.url or arguments.twiml))}")
    return 0


def _check_url(option: str, url: str | None) -> None:
    try:
        parse_url(url or "http://none/")
    except UrlError as error:
        raise Refused(f"--{option.replace('_', '-')}: {error}") from error


def _own(name: str | None) -> tuple[bytes, Program | None]:
    if name is None:
        return b"", None
    document = _read(name)
    try:
        return document, compile_document(document)
    except TwimlError as error:
        raise Refused(f"--twiml: {name}: {error}") from error


def list_numbers(arguments: argparse.Namespace) -> int:
    """List the numbers of the default account."""
    with open_store(arguments) as (store, account_sid):
        numbers = store.numbers(account_sid)
    if arguments.json:
        output.print_json([_plain(number) for number in numbers])
        return 0
    rows = [(n.pattern, shown(n.url) or f"{len(n.twiml.encode())} bytes") for n in numbers]
    output.print_table(("NUMBER", "DOCUMENT"), rows, none="no numbers")
    return 0


def show_number(arguments: argparse.Namespace) -> int:
    """Print the document of a number."""
    with open_store(arguments) as (store, _):
        number = store.number(arguments.number)
    if number is None:
        raise Refused(f"NUMBER: {arguments.number!r} is not set")
    if arguments.json:
        output.print_json(_plain(number))
    else:
        pairs = [("number", number.pattern), ("account", number.account_sid)]
        for name, source in zip(("url", "fallback-url"), number.sources, strict=False):
            pairs.append((name, f"{source.method.value} {output.shown(shown(source.url))}"))
        output.print_fields(pairs)
        print()
        print("\n".join(output.shown(line) for line in number.twiml.splitlines()))
    return 0


def delete_number(arguments: argparse.Namespace) -> int:
    """Delete a number."""
    with open_store(arguments) as (store, _):
        if not store.delete_number(arguments.number):
            raise Refused(f"NUMBER: {arguments.number!r} is not set")
    if arguments.json:
        output.print_json({"deleted": arguments.number})
    else:
        print(f"number {output.shown(arguments.number)} deleted")
    return 0


def _missing_connectors(store: Store, account_sid: str, program: Program) -> list[str]:
    orders = (step.order for step in program.steps)
    names = {order.connector_name for order in orders if order is not None}
    return sorted(name for name in names if store.connector(account_sid, name) is None)


def _read(name: str) -> bytes:
    try:
        # One byte more than may be: the compiler says that it is too much.
        if name == "-":
            return sys.stdin.buffer.read(MAX_DOCUMENT_BYTES + 1)
        with Path(name).open("rb") as file:
            return file.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise Refused(f"--twiml: {name}: {error.strerror}") from error


def _plain(number: Number) -> dict[str, Any]:
    plain = to_plain(number)
    del plain["program"]
    return plain
