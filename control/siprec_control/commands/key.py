"""`siprec key`: API keys, which log in for an account and may be taken away again."""

import argparse

from siprec.accounts import Scope, name_fault
from siprec.record import to_plain
from siprec_control import output
from siprec_control.commands.account import existing
from siprec_control.commands.nouns import Noun, Nouns, open_store
from siprec_control.errors import Refused
from siprec_control.rest.made import new_key


def add(nouns: Nouns, common: argparse.ArgumentParser) -> None:
    """Declare `siprec key add|list|delete`."""
    noun = Noun(nouns, common, "key", "give programs keys of their own")
    verb = noun.verb("add", add_key, "make a key, and show its secret this once")
    verb.add_argument("name", metavar="NAME", help="for people")
    verb.add_argument(
        "--scope",
        choices=[scope.value for scope in Scope],
        default=Scope.CONTROL.value,
        help="look; also change calls and streams (default); also change settings",
    )
    _add_account(verb)
    _add_account(noun.verb("list", list_keys, "list the keys of an account"))
    verb = noun.verb("delete", delete_key, "delete a key")
    verb.add_argument("key", metavar="SK…")
    _add_account(verb)


def _add_account(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--account", metavar="AC…", help="default: the default account")


def add_key(arguments: argparse.Namespace) -> int:
    """Make a key."""
    if why := name_fault(arguments.name):
        raise Refused(f"NAME: {why}")
    with open_store(arguments) as (store, default):
        account = existing(store, arguments.account or default)
        key, secret = new_key(account.sid, arguments.name, Scope(arguments.scope))
        store.accounts.put_key(key)
    if arguments.json:
        output.print_json({**_plain(key), "secret": secret})
    else:
        fields = [("key", key.sid), ("secret", secret), ("scope", key.scope.value)]
        output.print_fields([*fields, ("account", key.account_sid)])
    return 0


def list_keys(arguments: argparse.Namespace) -> int:
    """List the keys of an account."""
    with open_store(arguments) as (store, default):
        keys = store.accounts.keys(arguments.account or default)
    if arguments.json:
        output.print_json([_plain(key) for key in keys])
        return 0
    rows = [(k.sid, k.name, k.scope.value, output.local_time(k.created_ms)) for k in keys]
    output.print_table(("KEY", "NAME", "SCOPE", "CREATED"), rows, none="no keys")
    return 0


def delete_key(arguments: argparse.Namespace) -> int:
    """Delete a key."""
    with open_store(arguments) as (store, default):
        if not store.accounts.delete_key(arguments.account or default, arguments.key):
            raise Refused(f"SK…: no key {arguments.key!r}")
    if arguments.json:
        output.print_json({"deleted": arguments.key})
    else:
        print(f"key {arguments.key} deleted")
    return 0


def _plain(key: object) -> dict[str, object]:
    return {name: value for name, value in to_plain(key).items() if name != "digest"}
