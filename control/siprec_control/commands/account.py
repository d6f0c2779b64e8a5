"""`siprec account`: who owns numbers, connectors and calls, and what they log in with."""

import argparse
from dataclasses import replace
from typing import Any

from siprec.accounts import Account, name_fault
from siprec.model import CallbackMethod
from siprec.record import to_plain
from siprec.store import Store
from siprec_control import output
from siprec_control.commands.nouns import Noun, Nouns, open_store
from siprec_control.errors import Refused
from siprec_control.rest.made import delete_fault, new_account
from siprec_web.errors import UrlError
from siprec_web.overrides import parse_url
from siprec_web.urls import shown


def add(nouns: Nouns, common: argparse.ArgumentParser) -> None:
    """Declare `siprec account show|list|add|set|delete`."""
    noun = Noun(nouns, common, "account", "say who owns numbers, connectors and calls")
    verb = noun.verb("show", show_account, "show an account")
    verb.add_argument("account", metavar="AC…", nargs="?", help="default: the default account")
    verb.add_argument("--token", action="store_true", help="with its token, which is secret")
    noun.verb("list", list_accounts, "list the accounts")
    verb = noun.verb("add", add_account, "make an account, and show its token")
    verb.add_argument("name", metavar="NAME", help="for people")
    verb = noun.verb("set", set_account, "say where an account is told of its alerts")
    verb.add_argument("account", metavar="AC…", nargs="?", help="default: the default account")
    verb.add_argument(
        "--debugger-url", metavar="URL", required=True, help='is told of each alert; "" for none'
    )
    methods = [method.value for method in CallbackMethod]
    verb.add_argument("--debugger-method", choices=methods, default=CallbackMethod.POST.value)
    verb = noun.verb("delete", delete_account, "delete an account and its keys")
    verb.add_argument("account", metavar="AC…")


def show_account(arguments: argparse.Namespace) -> int:
    """Show an account, with its token when that is asked for."""
    with open_store(arguments) as (store, default):
        account = existing(store, arguments.account or default)
    _print(account, with_token=arguments.token, as_json=arguments.json)
    return 0


def list_accounts(arguments: argparse.Namespace) -> int:
    """List the accounts."""
    with open_store(arguments) as (store, _):
        accounts = store.accounts.accounts()
    if arguments.json:
        output.print_json([to_plain(account) for account in accounts])
        return 0
    rows = [(each.sid, each.name, output.local_time(each.created_ms)) for each in accounts]
    output.print_table(("ACCOUNT", "NAME", "CREATED"), rows, none="no accounts")
    return 0


def add_account(arguments: argparse.Namespace) -> int:
    """Make an account."""
    if why := name_fault(arguments.name):
        raise Refused(f"NAME: {why}")
    account = new_account(arguments.name)
    with open_store(arguments) as (store, _):
        store.accounts.put(account)
    _print(account, with_token=True, as_json=arguments.json)
    return 0


def set_account(arguments: argparse.Namespace) -> int:
    """Say where an account is told of its alerts."""
    url: str = arguments.debugger_url
    try:
        parse_url(url or "http://none/")
    except UrlError as error:
        raise Refused(f"--debugger-url: {error}") from error
    with open_store(arguments) as (store, default):
        before = existing(store, arguments.account or default)
        method = CallbackMethod(arguments.debugger_method)
        account = replace(before, debugger_url=url, debugger_method=method)
        store.accounts.put(account)
    _print(account, with_token=False, as_json=arguments.json)
    return 0


def delete_account(arguments: argparse.Namespace) -> int:
    """Delete an account that owns no number any more. Its calls go on."""
    with open_store(arguments) as (store, default):
        account = existing(store, arguments.account)
        if why := delete_fault(store, account, default):
            raise Refused(f"AC…: {why}")
        store.accounts.delete(account.sid)
    if arguments.json:
        output.print_json({"deleted": account.sid})
    else:
        print(f"account {account.sid} deleted")
    return 0


def existing(store: Store, sid: str) -> Account:
    """Give an account.

    Raises:
        Refused: there is none of that sid.
    """
    account = store.accounts.account(sid)
    if account is None:
        raise Refused(f"AC…: no account {sid!r}")
    return account


def _debugger(account: Account) -> str:
    return f"{account.debugger_method.value} {shown(account.debugger_url)}"


def _print(account: Account, *, with_token: bool, as_json: bool) -> None:
    if as_json:
        plain: dict[str, Any] = to_plain(account)
        output.print_json({**plain, "token": account.token} if with_token else plain)
        return
    output.print_fields(
        [
            ("account", account.sid),
            ("name", account.name),
            ("created", output.local_time(account.created_ms, exact=True)),
            *([("debugger", _debugger(account))] if account.debugger_url else []),
            *([("token", account.token)] if with_token else []),
        ]
    )
